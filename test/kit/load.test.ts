import { once } from 'node:events';
import { createServer, type RequestListener } from 'node:http';
import { createServer as createNetServer, type Server, type Socket } from 'node:net';
import { expect, test } from 'vitest';
import { ask, servicePort, startLoad } from './load.ts';

test('every answer is counted by its pid and version, over kept and fresh connections', async () => {
  let connections = 0;
  await using server = await serve((_request, response) => response.end('17 v2\n'));
  server.on('connection', () => connections++);
  await using load = startLoad({ port: server.port, clients: 4, maxRequests: 100 });
  await load.until('100 answers', ({ ok }) => ok === 100);
  expect(await load.stop()).toMatchObject({
    failed: 0,
    reasons: {},
    retried: 0,
    pids: { 17: 100 },
    versions: { v2: 100 },
  });
  expect(connections).toBeGreaterThan(10);
  expect(connections).toBeLessThan(100);
});

test('a status, a refusal and a connection that ends too early have failed', async () => {
  await using server = await serve((_request, response) => response.writeHead(503).end());
  await expect(ask(server.port)).rejects.toThrow('status 503');
  await expect(ask(await servicePort())).rejects.toThrow('ECONNREFUSED');
  await using closing = await serveRaw((socket) => socket.once('data', () => socket.destroy()));
  const load = startLoad({ port: closing.port, clients: 2, maxRequests: 10 });
  await load.until('10 failures', ({ failed }) => failed === 10);
  const { retried, reasons } = await load.stop();
  expect(retried).toBe(0);
  expect(Object.keys(reasons).sort()).toEqual(['ECONNRESET fresh', 'ECONNRESET kept']);
});

test('what has begun to be answered is not asked again; a kept connection that is closed before is, once', async () => {
  const answer = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n1\n';
  const second = (reply: string) => (socket: Socket) => {
    socket.once('data', () => {
      socket.write(answer);
      socket.once('data', () => (reply === '' ? socket.destroy() : socket.end(reply)));
    });
  };
  await using closing = await serveRaw(second(''));
  const load = startLoad({ port: closing.port, clients: 1, maxRequests: 4 });
  await load.until('4 answers', ({ ok }) => ok === 4);
  expect(await load.stop()).toMatchObject({ ok: 4, failed: 0, retried: 2 });
  await using half = await serveRaw(second(answer.slice(0, 20)));
  const other = startLoad({ port: half.port, clients: 1, maxRequests: 2 });
  await other.until('a failure', ({ failed }) => failed === 1);
  expect(await other.stop()).toMatchObject({ ok: 1, failed: 1, retried: 0 });
});

test('it ends by itself at its limits', async () => {
  await using server = await serve((_request, response) => response.end('1\n'));
  const load = startLoad({ port: server.port, maxMs: 50 });
  await load.until('the end', ({ elapsedMs }) => elapsedMs >= 50);
  const { ok } = await load.stop();
  expect(load.report.ok).toBe(ok);
});

type Served = AsyncDisposable & Server & { readonly port: number };

function serve(listener: RequestListener): Promise<Served> {
  return listening(createServer(listener));
}

function serveRaw(onConnection: (socket: Socket) => void): Promise<Served> {
  return listening(createNetServer((socket) => onConnection(socket.on('error', () => {}))));
}

async function listening(server: Server): Promise<Served> {
  const sockets = new Set<Socket>();
  server.on('connection', (socket) => sockets.add(socket));
  const port = await servicePort();
  server.listen(port, '127.0.0.1');
  await once(server, 'listening');
  return Object.assign(server, {
    port,
    [Symbol.asyncDispose]: async () => {
      for (const socket of sockets) socket.destroy();
      await new Promise((closed) => server.close(closed));
    },
  });
}
