import { once } from 'node:events';
import { Agent, createServer, request, type Server, type ServerResponse } from 'node:http';
import { connect as connectH2, createServer as createH2Server } from 'node:http2';
import { createServer as createSecureServer, Agent as SecureAgent } from 'node:https';
import { connect, createServer as createNetServer } from 'node:net';
import { describe, expect, test } from 'vitest';
import type { ServerOptions, ShutdownOptions } from '../../src/app/index.ts';
import { CERTIFICATE } from '../kit/certificate.ts';
import { get, Line, listening, portOf } from '../kit/client.ts';
import { Held, Watched } from '../kit/shutdowns.ts';

const LONG = 10_000;

async function serve(
  create: (held: Held) => Server = (held) => createServer(held.handle),
  { options = {}, serverOptions = {} }: { options?: ShutdownOptions; serverOptions?: ServerOptions } = {},
) {
  const held = new Held();
  const watched = new Watched(options);
  const server = await listening(watched.shutdown.server(create(held), serverOptions));
  return { held, watched, shutdown: watched.shutdown, server, port: portOf(server) };
}

function connectionsOf(server: Server): Promise<number> {
  return new Promise((resolve, reject) =>
    server.getConnections((error, count) => (error ? reject(error) : resolve(count))),
  );
}

describe.each([
  ['http', false],
  ['https', true],
] as const)('%s', (_protocol, isSecure) => {
  const create = (held: Held) => (isSecure ? createSecureServer(CERTIFICATE, held.handle) : createServer(held.handle));
  const agent = () =>
    isSecure ? new SecureAgent({ keepAlive: true, maxSockets: 1 }) : new Agent({ keepAlive: true, maxSockets: 1 });

  test('the server says "close" once, and holds no connection afterwards, with and without keep-alive', async () => {
    const { held, watched, shutdown, server, port } = await serve(create);
    using _ = watched;
    const kept = agent();
    let closes = 0;
    server.on('close', () => {
      closes += 1;
    });
    const answers = [get(port, '/', { isSecure, agent: kept }), get(port, '/', { isSecure })];
    for (let n = 1; n <= 2; n += 1) (await held.nth(n)).end('hello');
    for (const answer of answers) expect((await answer).body).toBe('hello');
    const closed = once(server, 'close');
    expect(await shutdown.begin()).toMatchObject({ exitCode: 0 });
    await closed;
    expect([closes, await connectionsOf(server)]).toEqual([1, 0]);
    kept.destroy();
  });

  test('requests that end one after the other are all waited for, and the last ends it', async () => {
    const { held, watched, shutdown, server, port } = await serve(create);
    using _ = watched;
    const agents = [agent(), agent()];
    const answers = agents.map((one) => get(port, '/', { isSecure, agent: one }));
    const responses = [await held.nth(1), await held.nth(2)];
    for (const response of responses) response.write('hello');
    const report = shutdown.begin();
    await watched.entered('waiting');
    responses[0]?.end('world');
    expect((await answers[0])?.body).toBe('helloworld');
    expect(shutdown.phase).toBe('waiting');
    responses[1]?.end('world');
    expect((await answers[1])?.body).toBe('helloworld');
    const { durationMs, exitCode } = await report;
    expect(exitCode).toBe(0);
    expect(durationMs).toBeLessThan(LONG / 2);
    expect(server.listening).toBe(false);
    for (const one of agents) one.destroy();
  });

  test('connections that hang are there until the deadline, and gone after it', async () => {
    const { held, watched, shutdown, server, port } = await serve(create, { options: { timeout: 300 } });
    using _ = watched;
    const answers = Promise.allSettled([get(port, '/1', { isSecure }), get(port, '/2', { isSecure })]);
    await held.nth(2);
    const closed = once(server, 'close');
    const report = shutdown.begin();
    await watched.entered('waiting');
    expect(await connectionsOf(server)).toBe(2);
    expect(await report).toMatchObject({ exitCode: 1, servers: [{ destroyed: 2 }] });
    await closed;
    expect(await connectionsOf(server)).toBe(0);
    expect((await answers).map(({ status }) => status)).toEqual(['rejected', 'rejected']);
  });

  test('a stream in chunks that began before goes on to its end', async () => {
    const { held, watched, shutdown, port } = await serve(create);
    using _ = watched;
    const answer = get(port, '/', { isSecure });
    const response = await held.nth(1);
    response.write('0;');
    const report = shutdown.begin();
    await watched.entered('waiting');
    for (let n = 1; n < 5; n += 1) await new Promise((resolve) => response.write(`${n};`, resolve));
    response.end('end');
    expect((await answer).body).toBe('0;1;2;3;4;end');
    expect(await report).toMatchObject({ exitCode: 0, servers: [{ finished: 1, destroyed: 0 }] });
  });
});

test('a client that has closed its half is answered', async () => {
  const { held, watched, shutdown, port } = await serve((one) =>
    Object.assign(createServer(one.handle), { httpAllowHalfOpen: true }),
  );
  using _ = watched;
  const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true }).setEncoding('utf8');
  let text = '';
  socket.on('data', (part: string) => {
    text += part;
  });
  const ended = once(socket, 'end');
  socket.end('GET /1 HTTP/1.1\r\nHost: test\r\n\r\nGET /2 HTTP/1.1\r\nHost: test\r\n\r\n');
  const responses = [await held.nth(1), await held.nth(2)];
  const report = shutdown.begin();
  await watched.entered('waiting');
  responses[1]?.end('two');
  responses[0]?.end('one');
  await ended;
  expect(text.match(/one|two|connection: [a-z-]+/gi)).toEqual([
    'Connection: keep-alive',
    'one',
    'Connection: close',
    'two',
  ]);
  expect(await report).toMatchObject({ exitCode: 0, servers: [{ finished: 1, destroyed: 0 }] });
  socket.destroy();
});

test('a client that never reads its answer is cut at the deadline, and counted', async () => {
  const { held, watched, shutdown, port } = await serve(undefined, { options: { timeout: 300 } });
  using _ = watched;
  const socket = connect(port, '127.0.0.1').on('error', () => {});
  socket.pause();
  socket.write('GET /big HTTP/1.1\r\nHost: test\r\n\r\n');
  (await held.nth(1)).end(Buffer.alloc(50_000_000));
  const report = await shutdown.begin();
  expect(report).toMatchObject({ exitCode: 1, servers: [{ destroyed: 1, finished: 0 }] });
  expect(report.durationMs).toBeLessThan(LONG / 2);
  socket.destroy();
});

test('of two event streams, the one that listens to the signal ends, the other is cut', async () => {
  using watched = new Watched({ timeout: 400 });
  const { shutdown } = watched;
  const server = createServer((asked, response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    response.write('data: hello\n\n');
    if (asked.url === '/good') shutdown.signal.addEventListener('abort', () => response.end('data: bye\n\n'));
  });
  await listening(shutdown.server(server));
  using good = await Line.to(portOf(server));
  using bad = await Line.to(portOf(server));
  good.get('/good');
  bad.get('/bad');
  await Promise.all([good.heard('data: hello'), bad.heard('data: hello')]);
  const report = shutdown.begin();
  await Promise.all([good.closed(), bad.closed()]);
  expect([good.text.includes('data: bye'), bad.text.includes('data: bye')]).toEqual([true, false]);
  // The good one had ended before the servers began to close.
  expect(await report).toMatchObject({ exitCode: 1, servers: [{ idle: 1, finished: 0, destroyed: 1 }] });
});

test('a request that waits for "100 Continue" sends its body while the server drains, and is answered', async () => {
  using watched = new Watched();
  const server = createServer(async (asked, response: ServerResponse) => {
    let length = 0;
    for await (const chunk of asked) length += chunk.length;
    response.end(`read ${length}`);
  });
  await listening(watched.shutdown.server(server));
  using line = await Line.to(portOf(server));
  line.say('POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n');
  await line.heard('100 Continue');
  const report = watched.shutdown.begin();
  await watched.entered('waiting');
  line.say('12345');
  await line.heard('read 5');
  expect(line.text).toContain('Connection: close');
  expect(await report).toMatchObject({ exitCode: 0, servers: [{ finished: 1, destroyed: 0 }] });
});

test('"reject" refuses also uploads and those that ask before they send, and lets an upload that had begun end', async () => {
  const { held, watched, shutdown, server, port } = await serve(undefined, {
    serverOptions: { whileDraining: 'reject' },
  });
  using _ = watched;
  server.on('checkContinue', () => {
    throw new Error('nobody asks the app');
  });
  using begun = await Line.to(port);
  begun.say('POST /begun HTTP/1.1\r\nHost: test\r\nContent-Length: 4\r\n\r\n12');
  const response = await held.nth(1);
  const report = shutdown.begin();
  await watched.entered('waiting');
  using asking = await Line.to(port);
  asking.say('POST /ask HTTP/1.1\r\nHost: test\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n');
  await asking.heard('HTTP/1.1 503');
  await asking.closed();
  expect(asking.text).not.toContain('100 Continue');
  const status = await new Promise((resolve, reject) => {
    const upload = request({ port, host: '127.0.0.1', method: 'POST', path: '/upload' }, (answer) => {
      answer.resume();
      answer.on('end', () => resolve(answer.statusCode));
    });
    upload.on('error', reject);
    upload.end('x'.repeat(1000));
  });
  expect(status).toBe(503);
  begun.say('34');
  response.end('whole');
  await begun.heard('whole');
  expect(await report).toMatchObject({ exitCode: 0, servers: [{ rejected: 2, finished: 3, destroyed: 0 }] });
  expect(held.count).toBe(1);
});

test('"reject" without a request in flight ends at once', async () => {
  const { watched, shutdown, port } = await serve(undefined, { serverOptions: { whileDraining: 'reject' } });
  using _ = watched;
  expect(await shutdown.begin()).toMatchObject({ exitCode: 0, servers: [{ rejected: 0, destroyed: 0 }] });
  await expect(get(port)).rejects.toMatchObject({ code: 'ECONNREFUSED' });
});

test('a server that the app has closed before is waited for', async () => {
  const { held, watched, shutdown, server, port } = await serve();
  using _ = watched;
  using line = await Line.to(port);
  line.get('/');
  const response = await held.nth(1);
  server.close();
  const report = shutdown.begin();
  await watched.entered('waiting');
  expect(shutdown.pending.requests).toBe(1);
  response.end('whole');
  await line.heard('whole');
  expect(line.text).toContain('Connection: close');
  expect(await report).toMatchObject({ exitCode: 0, servers: [{ finished: 1, destroyed: 0 }] });
});

test('a server that is about to listen when it begins does not stay open', async () => {
  using watched = new Watched();
  const server = watched.shutdown.server(createServer());
  const closed = once(server, 'close');
  server.listen(0, '127.0.0.1');
  expect(await watched.shutdown.begin()).toMatchObject({ exitCode: 0 });
  await closed;
  expect(server.listening).toBe(false);
});

test('a server that is handed in during the drain delay is drained with the others', async () => {
  using watched = new Watched({ drainDelay: 300 });
  const report = watched.shutdown.begin();
  expect(watched.shutdown.phase).toBe('draining');
  const held = new Held();
  const server = await listening(watched.shutdown.server(createServer(held.handle)));
  const answer = get(portOf(server));
  const response = await held.nth(1);
  await watched.entered('waiting');
  expect(server.listening).toBe(false);
  response.end('whole');
  expect(await answer).toMatchObject({ body: 'whole', headers: { connection: 'close' } });
  expect(await report).toMatchObject({ exitCode: 0, servers: [{ finished: 1 }] });
});

test('what the handlers ask during the shutdown does not begin it twice', async () => {
  using watched = new Watched();
  const { shutdown } = watched;
  let hooks = 0;
  shutdown.hook('once', () => {
    hooks += 1;
  });
  const begun: Promise<unknown>[] = [];
  const server = createServer((_asked, response) => {
    begun.push(shutdown.begin('a handler'));
    response.end('ending');
  });
  await listening(shutdown.server(server));
  const answers = [get(portOf(server)), get(portOf(server)), get(portOf(server))];
  for (const answer of answers) expect((await answer).body).toBe('ending');
  begun.push(shutdown.begin('afterwards'));
  const reports = await Promise.all(begun);
  expect(new Set(reports).size).toBe(1);
  expect(reports[0]).toMatchObject({ reason: 'a handler', exitCode: 0 });
  expect(hooks).toBe(1);
});

test('an HTTP/2 connection without a word, and a session that sends its request in that very moment, end well', async () => {
  using watched = new Watched();
  const server = createH2Server((_asked, response) => void response.end('whole'));
  await listening(watched.shutdown.server(server));
  using silent = await Line.to(portOf(server));
  const client = connectH2(`http://127.0.0.1:${portOf(server)}`).on('error', () => {});
  await once(client, 'remoteSettings');
  const report = watched.shutdown.begin();
  const stream = client.request({ ':path': '/' });
  let body = '';
  stream.setEncoding('utf8').on('data', (text: string) => {
    body += text;
  });
  await once(stream, 'close');
  expect(body).toBe('whole');
  await silent.closed();
  expect(await report).toMatchObject({ exitCode: 0, servers: [{ destroyed: 0 }] });
  client.destroy();
});

test('connections of a net server that end by themselves meanwhile are finished, not cut', async () => {
  using watched = new Watched();
  const server = await listening(watched.shutdown.server(createNetServer((socket) => void socket.write('hello'))));
  const lines = [await Line.to(portOf(server)), await Line.to(portOf(server))];
  for (const line of lines) await line.heard('hello');
  const report = watched.shutdown.begin();
  await watched.entered('waiting');
  expect(watched.shutdown.pending.connections).toBe(2);
  lines[0]?.socket.end();
  lines[1]?.socket.destroy();
  expect(await report).toMatchObject({ exitCode: 0, servers: [{ finished: 2, destroyed: 0 }] });
});
