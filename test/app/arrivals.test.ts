import { once } from 'node:events';
import { mkdirSync } from 'node:fs';
import { createServer, type ServerResponse } from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { connect as connectTls } from 'node:tls';
import { expect, test } from 'vitest';
import { App } from '../kit/app.ts';
import { CERTIFICATE } from '../kit/certificate.ts';
import { Line, listening, portOf } from '../kit/client.ts';
import { Folder } from '../kit/gsup.ts';
import { News } from '../kit/news.ts';
import { Held, Watched } from '../kit/shutdowns.ts';

const CEILING_MS = 5000;

/** Fails when it takes too long. */
function within<T>(work: Promise<T>, ms = CEILING_MS): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`not within ${ms} ms`)), ms);
    work.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}

test('requests on connections that the kernel had taken when it begins are answered, however many wait', async () => {
  using watched = new Watched();
  const server = await listening(watched.shutdown.server(createServer((_request, response) => response.end('whole'))));
  const answers = Array.from({ length: 20 }, async () => {
    const socket = connect(portOf(server), '127.0.0.1').setEncoding('utf8');
    let text = '';
    socket.on('data', (part: string) => {
      text += part;
    });
    socket.on('error', () => {});
    const closed = new Promise((resolve) => socket.once('close', resolve));
    socket.write('GET / HTTP/1.1\r\nHost: test\r\n\r\n');
    await closed;
    return text.endsWith('whole');
  });
  // connect() has returned for each: they are in the queue of the listener, and the event loop has not turned yet.
  const report = watched.shutdown.begin();
  expect((await Promise.all(answers)).filter((isWhole) => isWhole)).toHaveLength(20);
  await report;
});

test('a request that has arrived while the app was busy with itself is answered, not reset', async () => {
  using folder = new Folder();
  const file = join(folder.path, 'arrived');
  await using app = new App(
    `import { createShutdown } from 'gsup/app'; import http from 'node:http'; import { existsSync } from 'node:fs';
    // The event loop stands still from the moment that the idle connection is known to be idle.
    const block = () => { console.log('blocked'); while (!existsSync(process.env.FILE)); };
    const shutdown = createShutdown({ timeout: '5s', logger: ({ phase }) => phase === 'waiting' && block() });
    const server = shutdown.server(http.createServer((request, response) => response.end('answered ' + request.url)));
    server.listen(0, '127.0.0.1', () => console.log('port ' + server.address().port));`,
    { env: { FILE: file } },
  );
  using line = await Line.to(await app.port());
  line.get('/1');
  await line.heard('answered /1');
  app.kill('SIGTERM');
  await app.said('blocked');
  line.get('/2');
  // Blocked for longer than the 20 ms that a request may be on its way.
  await new Promise((resolve) => setTimeout(resolve, 100));
  mkdirSync(file);
  await within(Promise.race([line.heard('answered /2'), line.closed()]));
  expect(line.text).toContain('answered /2');
});

test('a request that a listener of "checkContinue" answers is in flight like any other', async () => {
  using watched = new Watched();
  const responses = new News<ServerResponse>();
  const server = createServer();
  server.on('checkContinue', (request, response) => {
    response.writeContinue();
    request.resume();
    request.on('end', () => responses.tell(response));
  });
  await listening(watched.shutdown.server(server));
  using line = await Line.to(portOf(server));
  line.say('POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n12');
  const [response] = await responses.until((all) => all.length > 0);
  const report = watched.shutdown.begin();
  await watched.entered('waiting');
  // Longer than a connection on which nothing happens is left alone.
  await within(Promise.race([line.closed(), new Promise((resolve) => setTimeout(resolve, 200))]));
  response?.end('whole');
  await within(Promise.race([line.heard('whole'), line.closed()]));
  expect(line.text).toContain('whole');
  expect(await report).toMatchObject({ servers: [{ idle: 0, finished: 1 }] });
});

test.each([
  ['http', false],
  ['https', true],
] as const)(
  'over %s "reject" answers 503 also when the request comes some time after its connection',
  async (_name, isSecure) => {
    using watched = new Watched();
    const held = new Held();
    const server = isSecure ? createSecureServer(CERTIFICATE, held.handle) : createServer(held.handle);
    await listening(watched.shutdown.server(server, { whileDraining: 'reject' }));
    const busy = connection(portOf(server), isSecure);
    busy.write('GET /busy HTTP/1.1\r\nHost: test\r\n\r\n');
    const response = await held.nth(1);
    const report = watched.shutdown.begin();
    await watched.entered('waiting');
    const late = connection(portOf(server), isSecure);
    await once(late, isSecure ? 'secureConnect' : 'connect');
    let text = '';
    late.setEncoding('utf8').on('data', (part: string) => {
      text += part;
    });
    const closed = new Promise((resolve) => late.once('close', resolve));
    // As far away as another continent.
    await new Promise((resolve) => setTimeout(resolve, 150));
    late.write('GET /late HTTP/1.1\r\nHost: test\r\n\r\n');
    await within(closed);
    response.end();
    busy.destroy();
    await report;
    expect(text).toContain('503');
  },
);

function connection(port: number, isSecure: boolean): Socket {
  const options = { port, host: '127.0.0.1', rejectUnauthorized: false };
  return (isSecure ? connectTls(options) : connect(options)).on('error', () => {});
}

test('a TLS server on a Unix socket is closed although somebody never shook hands', async () => {
  using folder = new Folder();
  using watched = new Watched();
  const path = join(folder.path, 'tls.sock');
  const server = createSecureServer(CERTIFICATE);
  watched.shutdown.server(server).listen(path);
  await once(server, 'listening');
  const silent = connect(path).on('error', () => {});
  await once(server, 'connection');
  const spoken = connectTls({ path, rejectUnauthorized: false }).on('error', () => {});
  await once(spoken, 'secureConnect');
  const closed = once(server, 'close');
  try {
    await watched.shutdown.begin();
    await within(closed, 1000);
  } finally {
    silent.destroy();
    spoken.destroy();
  }
});
