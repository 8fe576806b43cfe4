import { once } from 'node:events';
import { Agent, createServer } from 'node:http';
import { createServer as createSecureServer, Agent as SecureAgent } from 'node:https';
import { connect } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { describe, expect, test } from 'vitest';
import type { ServerOptions, ShutdownOptions } from '../../src/app/index.ts';
import { CERTIFICATE } from '../kit/certificate.ts';
import { get, Line, listening, portOf } from '../kit/client.ts';
import { Held, Watched } from '../kit/shutdowns.ts';

const LONG = 10_000;

describe.each([
  ['http', false],
  ['https', true],
] as const)('%s', (protocol, isSecure) => {
  async function serve(options: ShutdownOptions = {}, serverOptions: ServerOptions = {}) {
    const held = new Held();
    const watched = new Watched(options);
    const created = isSecure ? createSecureServer(CERTIFICATE, held.handle) : createServer(held.handle);
    const server = await listening(watched.shutdown.server(created, serverOptions));
    const port = portOf(server);
    const keepAlive = isSecure
      ? new SecureAgent({ keepAlive: true, maxSockets: 1 })
      : new Agent({ keepAlive: true, maxSockets: 1 });
    const ask = (path = '/', agent?: Agent) => get(port, path, { isSecure, ...(agent ? { agent } : {}) });
    return { held, watched, shutdown: watched.shutdown, server, port, keepAlive, ask };
  }

  test('a server without connections ends at once', async () => {
    const { watched, shutdown, server, port } = await serve();
    using _ = watched;
    const report = await shutdown.begin('test');
    expect(server.listening).toBe(false);
    expect(report).toMatchObject({ exitCode: 0, undone: [], reason: 'test' });
    expect(report.servers).toEqual([
      { name: `${protocol} 127.0.0.1:${port}`, idle: 0, finished: 0, destroyed: 0, rejected: 0 },
    ]);
  });

  test('a request in flight is answered with "Connection: close", and nothing new is accepted meanwhile', async () => {
    const { held, watched, shutdown, ask, keepAlive } = await serve();
    using _ = watched;
    const answer = ask('/slow', keepAlive);
    const response = await held.nth(1);
    const report = shutdown.begin();
    await watched.entered('waiting');
    expect(shutdown.pending).toMatchObject({ requests: 1, connections: 1, names: ['GET /slow'] });
    await expect(ask()).rejects.toMatchObject({ code: 'ECONNREFUSED' });
    response.end('done');
    expect(await answer).toMatchObject({ status: 200, body: 'done', headers: { connection: 'close' } });
    expect(await report).toMatchObject({ exitCode: 0, servers: [{ finished: 1, destroyed: 0 }] });
    keepAlive.destroy();
  });

  test('before it begins nothing says "Connection: close"', async () => {
    const { held, watched, ask, keepAlive } = await serve();
    using _ = watched;
    const answer = ask('/', keepAlive);
    (await held.nth(1)).end();
    expect((await answer).headers.connection).toBe('keep-alive');
    const report = watched.shutdown.begin();
    expect(await report).toMatchObject({ exitCode: 0, servers: [{ idle: 1, destroyed: 0 }] });
    keepAlive.destroy();
  });

  test('a response whose headers had gone out is finished, and a request that uses its connection again is told', async () => {
    const { held, watched, shutdown, ask, keepAlive } = await serve();
    using _ = watched;
    const first = ask('/1', keepAlive);
    const streaming = await held.nth(1);
    streaming.write('be');
    const second = ask('/2', keepAlive);
    const report = shutdown.begin();
    await watched.entered('waiting');
    streaming.end('gun');
    expect(await first).toMatchObject({ body: 'begun', headers: { connection: 'keep-alive' } });
    (await held.nth(2)).end('again');
    expect(await second).toMatchObject({ status: 200, body: 'again', headers: { connection: 'close' } });
    expect(await report).toMatchObject({ exitCode: 0, servers: [{ finished: 1, idle: 0 }] });
    keepAlive.destroy();
  });

  test('a response whose headers had gone out closes its connection soon, when nothing follows', async () => {
    const { held, watched, shutdown, ask, keepAlive } = await serve();
    using _ = watched;
    const answer = ask('/', keepAlive);
    const streaming = await held.nth(1);
    streaming.write('be');
    const report = shutdown.begin();
    await watched.entered('waiting');
    streaming.end('gun');
    expect((await answer).body).toBe('begun');
    expect((await report).durationMs).toBeLessThan(LONG / 2);
    keepAlive.destroy();
  });

  test('an answer that never comes is cut at the deadline, not later, and counted', async () => {
    const { held, watched, shutdown, ask } = await serve({ timeout: 300 });
    using _ = watched;
    const answers = Promise.allSettled([ask(), ask()]);
    await held.nth(2);
    const report = await shutdown.begin();
    expect(report).toMatchObject({ exitCode: 1, servers: [{ destroyed: 2, finished: 0 }] });
    expect(report.undone).toEqual([expect.stringMatching(/^2 connections of https? 127.0.0.1:\d+ had to be cut$/)]);
    expect(report.durationMs).toBeGreaterThanOrEqual(290);
    expect(report.durationMs).toBeLessThan(LONG / 2);
    expect(await answers).toMatchObject([{ status: 'rejected' }, { status: 'rejected' }]);
  });

  test('"immediate" cuts what is in flight and does not wait', async () => {
    const { held, watched, shutdown, ask } = await serve({ immediate: true });
    using _ = watched;
    const answer = expect(ask()).rejects.toThrow();
    await held.nth(1);
    const report = await shutdown.begin();
    expect(report).toMatchObject({ exitCode: 1, servers: [{ destroyed: 1 }] });
    expect(report.durationMs).toBeLessThan(LONG / 2);
    await answer;
  });

  test('a connection that never said anything does not hold it up', async () => {
    const { watched, shutdown, port, server } = await serve();
    using _ = watched;
    const accepted = once(server, 'connection');
    using line = await Line.to(port);
    await accepted;
    const report = await shutdown.begin();
    expect(report).toMatchObject({ exitCode: 0, servers: [{ idle: 1, destroyed: 0 }] });
    expect(report.durationMs).toBeLessThan(LONG / 2);
    await line.closed();
  });

  test('"reject" answers 503 with Retry-After until the last request is done, and /livez as ever', async () => {
    const { held, watched, shutdown, ask, server, keepAlive } = await serve({}, { whileDraining: 'reject' });
    using _ = watched;
    const slow = ask('/slow');
    const response = await held.nth(1);
    const report = shutdown.begin();
    await watched.entered('waiting');
    expect(server.listening).toBe(true);
    const refused = await ask('/next', keepAlive);
    expect(refused).toMatchObject({ status: 503, headers: { connection: 'close', 'retry-after': '1' } });
    expect(await ask('/livez')).toMatchObject({ status: 200 });
    expect(await ask('/readyz')).toMatchObject({ status: 503, body: '{"status":"draining","ready":false}' });
    expect(held.count).toBe(1);
    response.end('done');
    expect(await slow).toMatchObject({ status: 200, body: 'done', headers: { connection: 'close' } });
    expect(await report).toMatchObject({ exitCode: 0, servers: [{ rejected: 1, destroyed: 0 }] });
    expect(server.listening).toBe(false);
  });
});

async function plain(options: ShutdownOptions = {}) {
  const held = new Held();
  const watched = new Watched(options);
  const server = await listening(watched.shutdown.server(createServer(held.handle)));
  return { held, watched, shutdown: watched.shutdown, server, port: portOf(server) };
}

test('a TLS connection that never shook hands, and one in the middle of a request, do not hold it up', async () => {
  using watched = new Watched();
  const server = await listening(watched.shutdown.server(createSecureServer(CERTIFICATE, () => {})));
  const accepted = once(server, 'connection');
  using silent = await Line.to(portOf(server));
  await accepted;
  const half = connectTls({ port: portOf(server), host: '127.0.0.1', rejectUnauthorized: false });
  half.on('error', () => {});
  await once(half, 'secureConnect');
  const closed = once(half, 'close');
  half.write('GET / HTTP/1.1\r\nHo');
  const report = await watched.shutdown.begin();
  expect(report).toMatchObject({ exitCode: 0, servers: [{ destroyed: 0, finished: 0 }] });
  await Promise.all([silent.closed(), closed]);
});

test('idle, half-told and never used connections end at once, a busy one stays', async () => {
  const { held, watched, shutdown, port, server } = await plain();
  using _ = watched;
  using idle = await Line.to(port);
  idle.get('/idle');
  (await held.nth(1)).end('was here');
  await idle.heard('was here');
  const accepted = once(server, 'connection');
  using unused = await Line.to(port);
  await accepted;
  using half = await Line.to(port);
  half.say('POST /half HTTP/1.1\r\nHost: test\r\nContent-Le');
  using busy = await Line.to(port);
  busy.get('/busy');
  const response = await held.nth(2);
  const report = shutdown.begin();
  await Promise.all([idle.closed(), unused.closed(), half.closed()]);
  expect(busy.isClosed).toBe(false);
  expect(shutdown.pending).toMatchObject({ requests: 1, names: ['GET /busy'] });
  response.end('the rest');
  await busy.heard('the rest');
  await busy.closed();
  expect(await report).toMatchObject({ exitCode: 0, servers: [{ idle: 3, finished: 1, destroyed: 0 }] });
});

test('a request that was on its way when it began is answered, on a new connection and on an idle one', async () => {
  const { held, watched, shutdown, port, server } = await plain();
  using _ = watched;
  const accepted = once(server, 'connection');
  using fresh = await Line.to(port);
  await accepted;
  using idle = await Line.to(port);
  idle.get('/1');
  (await held.nth(1)).end('first');
  await idle.heard('first');
  const report = shutdown.begin();
  fresh.get('/2');
  idle.get('/3');
  const responses = [await held.nth(2), await held.nth(3)];
  await watched.entered('waiting');
  for (const response of responses) response.end('answered');
  for (const line of [fresh, idle]) {
    await line.heard('answered');
    await line.closed();
    expect(line.text).toContain('Connection: close');
  }
  expect(await report).toMatchObject({ exitCode: 0, servers: [{ idle: 0, finished: 2, destroyed: 0 }] });
});

test('200 idle connections are closed beside 20 busy ones, which are all answered', async () => {
  const { held, watched, shutdown, port } = await plain();
  using _ = watched;
  const idle = await Promise.all(Array.from({ length: 200 }, () => Line.to(port)));
  for (const line of idle) line.get('/');
  for (let n = 1; n <= 200; n += 1) (await held.nth(n)).end('x');
  await Promise.all(idle.map((line) => line.heard('x')));
  const answers = Array.from({ length: 20 }, () => get(port));
  await held.nth(220);
  const report = shutdown.begin();
  await Promise.all(idle.map((line) => line.closed()));
  for (let n = 201; n <= 220; n += 1) (await held.nth(n)).end('y');
  for (const answer of answers) expect((await answer).body).toBe('y');
  expect(await report).toMatchObject({ exitCode: 0, servers: [{ idle: 200, finished: 20, destroyed: 0 }] });
});

test('of pipelined requests each is answered, and only the last closes', async () => {
  const { held, watched, shutdown, port } = await plain();
  using _ = watched;
  using line = await Line.to(port);
  line.get('/1');
  line.get('/2');
  const [first, second] = [await held.nth(1), await held.nth(2)];
  const report = shutdown.begin();
  await watched.entered('waiting');
  line.get('/3');
  const third = await held.nth(3);
  first.end('one');
  second.end('two');
  third.end('three');
  await line.closed();
  expect(line.text.match(/one|two|three|connection: [a-z-]+/gi)).toEqual([
    'Connection: keep-alive',
    'one',
    'two',
    'Connection: close',
    'three',
  ]);
  expect(await report).toMatchObject({ exitCode: 0, servers: [{ finished: 1 }] });
});

test('an upload in progress is read to its end', async () => {
  using watched = new Watched();
  const server = createServer(async (request, response) => {
    let length = 0;
    for await (const chunk of request) length += chunk.length;
    response.end(`read ${length}`);
  });
  await listening(watched.shutdown.server(server));
  using line = await Line.to(portOf(server));
  const asked = once(server, 'request');
  line.say('POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 10\r\n\r\n12345');
  await asked;
  const report = watched.shutdown.begin();
  await watched.entered('waiting');
  line.say('67890');
  await line.heard('read 10');
  expect(await report).toMatchObject({ exitCode: 0 });
});

test('a client that goes away in the middle is not waited for', async () => {
  const { held, watched, shutdown, port } = await plain();
  using _ = watched;
  using line = await Line.to(port);
  line.get('/');
  await held.nth(1);
  const report = shutdown.begin();
  await watched.entered('waiting');
  line.socket.destroy();
  expect((await report).durationMs).toBeLessThan(LONG / 2);
});

test('during the drain delay requests are served as ever, while readiness is off', async () => {
  const { held, watched, shutdown, port } = await plain({ drainDelay: '1s' });
  using _ = watched;
  const report = shutdown.begin();
  const answer = get(port);
  (await held.nth(1)).end('served');
  expect(await answer).toMatchObject({ status: 200, body: 'served' });
  expect(shutdown.phase).toBe('draining');
  const { phases, exitCode } = await report;
  expect(exitCode).toBe(0);
  expect(phases[0]).toMatchObject({ phase: 'draining', outcome: 'done' });
  expect(phases[0]?.ms).toBeGreaterThanOrEqual(990);
});

test('several servers drain side by side', async () => {
  using watched = new Watched();
  const held = new Held();
  const servers = [createServer(held.handle), createServer(held.handle)];
  for (const server of servers) await listening(watched.shutdown.server(server));
  const answers = servers.map((server) => get(portOf(server)));
  const responses = [await held.nth(1), await held.nth(2)];
  const report = watched.shutdown.begin();
  await watched.entered('waiting');
  expect(watched.shutdown.pending.requests).toBe(2);
  for (const response of responses) response.end('ok');
  for (const answer of answers) expect((await answer).status).toBe(200);
  expect((await report).servers).toMatchObject([{ finished: 1 }, { finished: 1 }]);
});

test('a server that was never told to listen, and one that is handed in too late, hold nothing up', async () => {
  using watched = new Watched();
  watched.shutdown.server(createServer());
  const report = await watched.shutdown.begin();
  expect(report).toMatchObject({ exitCode: 0 });
  const late = await listening(createServer());
  watched.shutdown.server(late);
  expect(late.listening).toBe(false);
});

test('what is no server is refused with words', () => {
  using watched = new Watched();
  // @ts-expect-error: this is what a user might hand in.
  expect(() => watched.shutdown.server({})).toThrow(
    'server: this is no server of node:http, https, http2, net or ws; hand in what listens',
  );
  // @ts-expect-error: a word that is not known.
  expect(() => watched.shutdown.server(createServer(), { whileDraining: 'closed' })).toThrow(
    'server: whileDraining "closed" is not known; write close or reject',
  );
});

test('connections of before it was handed in are known from their next request on', async () => {
  using watched = new Watched();
  const held = new Held();
  const server = await listening(createServer(held.handle));
  const socket = connect(portOf(server), '127.0.0.1').setEncoding('utf8');
  await once(server, 'connection');
  watched.shutdown.server(server);
  socket.write('GET / HTTP/1.1\r\nHost: test\r\n\r\n');
  const response = await held.nth(1);
  const report = watched.shutdown.begin();
  await watched.entered('waiting');
  expect(watched.shutdown.pending.requests).toBe(1);
  const heard = once(socket, 'data');
  response.end('ok');
  expect(String(await heard)).toContain('Connection: close');
  expect(await report).toMatchObject({ exitCode: 0 });
});
