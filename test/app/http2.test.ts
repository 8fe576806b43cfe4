import { once } from 'node:events';
import {
  type ClientHttp2Session,
  connect,
  createSecureServer,
  createServer,
  type Http2Server,
  type ServerHttp2Session,
} from 'node:http2';
import { expect, test } from 'vitest';
import type { ServerOptions } from '../../src/app/index.ts';
import { CERTIFICATE } from '../kit/certificate.ts';
import { get, listening, portOf } from '../kit/client.ts';
import { News } from '../kit/news.ts';
import { Watched } from '../kit/shutdowns.ts';

/** The end of a response, left to the test. */
type End = { end(text: string): unknown };

async function serve(
  create: (held: (response: End) => void) => Http2Server,
  options: ServerOptions = {},
  timeout = 10_000,
) {
  const watched = new Watched({ timeout });
  const responses = new News<End>();
  const server = await listening(watched.shutdown.server(create(responses.tell), options));
  const nth = async (n: number): Promise<End> => {
    const response = (await responses.until((all) => all.length >= n))[n - 1];
    if (response === undefined) throw new Error('none');
    return response;
  };
  return { watched, shutdown: watched.shutdown, server, nth };
}

const plain = (held: (response: End) => void) => createServer((_request, response) => held(response));
const streams = (held: (response: End) => void) => {
  const server = createServer();
  server.on('stream', (stream) => {
    stream.on('error', () => {});
    stream.respond({ ':status': 200 });
    held(stream);
  });
  return server;
};

async function session(server: Http2Server, protocol = 'http'): Promise<ClientHttp2Session> {
  const client = connect(`${protocol}://127.0.0.1:${portOf(server)}`, { rejectUnauthorized: false });
  client.on('error', () => {});
  await once(client, 'remoteSettings');
  return client;
}

async function ask(client: ClientHttp2Session): Promise<{ status: number; body: string }> {
  const stream = client.request({ ':path': '/' });
  let body = '';
  let status = 0;
  stream.setEncoding('utf8').on('data', (text: string) => {
    body += text;
  });
  stream.on('response', (headers) => {
    status = Number(headers[':status']);
  });
  await once(stream, 'close');
  return { status, body };
}

test.each([
  ['requests', plain],
  ['streams', streams],
])('%s in flight are answered after GOAWAY, idle sessions end at once', async (_name, create) => {
  const { watched, shutdown, server, nth } = await serve(create);
  using _ = watched;
  const [busy, idle] = [await session(server), await session(server)];
  const goaway = Promise.all([once(busy, 'goaway'), once(idle, 'goaway')]);
  const idleClosed = once(idle, 'close');
  const answer = ask(busy);
  const response = await nth(1);
  const report = shutdown.begin();
  await goaway;
  await idleClosed;
  expect(shutdown.pending.requests).toBe(1);
  expect(busy.closed || busy.destroyed).toBe(true);
  response.end('whole');
  expect(await answer).toEqual({ status: 200, body: 'whole' });
  expect(await report).toMatchObject({ exitCode: 0, servers: [{ idle: 1, finished: 1, destroyed: 0 }] });
});

test('a stream that does not end is cut at the deadline, and counted', async () => {
  const { watched, shutdown, server, nth } = await serve(plain, {}, 300);
  using _ = watched;
  const client = await session(server);
  const answer = ask(client).catch(() => null);
  await nth(1);
  const report = await shutdown.begin();
  expect(report).toMatchObject({ exitCode: 1, servers: [{ destroyed: 1, finished: 0 }] });
  await answer;
});

test('over TLS both HTTP/2 and HTTP/1 are drained', async () => {
  const create = (held: (response: End) => void) =>
    createSecureServer({ ...CERTIFICATE, allowHTTP1: true }, (_request, response) => held(response));
  const { watched, shutdown, server, nth } = await serve(create);
  using _ = watched;
  const client = await session(server, 'https');
  const answers = [ask(client), get(portOf(server), '/', { isSecure: true })] as const;
  const responses = [await nth(1), await nth(2)];
  const report = shutdown.begin();
  await watched.entered('waiting');
  expect(shutdown.pending).toMatchObject({ requests: 2, connections: 2 });
  for (const response of responses) response.end('whole');
  expect(await answers[0]).toEqual({ status: 200, body: 'whole' });
  expect(await answers[1]).toMatchObject({ status: 200, body: 'whole', headers: { connection: 'close' } });
  expect(await report).toMatchObject({ exitCode: 0, servers: [{ finished: 2, destroyed: 0 }] });
});

test('"reject" answers new sessions with 503 until the last stream has ended', async () => {
  const { watched, shutdown, server, nth } = await serve(plain, { whileDraining: 'reject' });
  using _ = watched;
  const answer = ask(await session(server));
  const response = await nth(1);
  const report = shutdown.begin();
  await watched.entered('waiting');
  expect(await ask(await session(server))).toEqual({ status: 503, body: '' });
  response.end('whole');
  expect(await answer).toEqual({ status: 200, body: 'whole' });
  expect(await report).toMatchObject({ exitCode: 0, servers: [{ rejected: 1, destroyed: 0 }] });
});

test.each([
  ['idle', false],
  ['busy', true],
])('an HTTP/2 request that was on its way on an %s session when GOAWAY went out is answered', async (_name, isBusy) => {
  const held = new News<{ end(text: string): unknown }>();
  let ask = (_path: string): Promise<string> => Promise.resolve('');
  let late: Promise<string> | null = null;
  using watched = new Watched({
    logger: ({ phase }) => {
      if (phase === 'waiting') late = ask('/late');
    },
  });
  const server = createServer((request, response) => {
    if (request.url === '/hold') held.tell(response);
    else response.end('whole');
  });
  const sessions = new News<ServerHttp2Session>();
  server.on('session', sessions.tell);
  await listening(watched.shutdown.server(server));
  const client = connect(`http://127.0.0.1:${portOf(server)}`).on('error', () => {});
  await once(client, 'remoteSettings');
  ask = (path) =>
    new Promise((resolve, reject) => {
      const stream = client.request({ ':path': path });
      let body = '';
      stream.setEncoding('utf8').on('data', (text: string) => {
        body += text;
      });
      stream.on('error', reject);
      stream.on('close', () => resolve(body));
    });
  const slow = isBusy ? ask('/hold') : null;
  if (isBusy) await held.until((all) => all.length > 0);
  const report = watched.shutdown.begin();
  await new Promise((resolve) => setTimeout(resolve, 50));
  held.all[0]?.end('held');
  await slow;
  await report;
  client.destroy();
  expect(await late).toBe('whole');
});

test('over HTTP/2 "reject" answers /livez as ever', async () => {
  using watched = new Watched();
  const held = new News<{ end(text: string): unknown }>();
  const server = createServer((_request, response) => held.tell(response));
  await listening(watched.shutdown.server(server, { whileDraining: 'reject' }));
  const status = async (path: string): Promise<unknown> => {
    const client = connect(`http://127.0.0.1:${portOf(server)}`).on('error', () => {});
    const stream = client.request({ ':path': path });
    const [headers] = await once(stream, 'response');
    client.destroy();
    return headers[':status'];
  };
  const busy = status('/hold');
  await held.until((all) => all.length > 0);
  const report = watched.shutdown.begin();
  await watched.entered('waiting');
  const found = await status('/livez');
  held.all[0]?.end('held');
  await busy;
  await report;
  expect(found).toBe(200);
});
