import { once } from 'node:events';
import { createServer } from 'node:http';
import { type AddressInfo, createServer as createNetServer } from 'node:net';
import { expect, test } from 'vitest';
import { WebSocket, WebSocketServer } from 'ws';
import { App } from '../kit/app.ts';
import { get, Line, listening, portOf } from '../kit/client.ts';
import { News } from '../kit/news.ts';
import { Watched } from '../kit/shutdowns.ts';

const UPGRADE = 'GET /chat HTTP/1.1\r\nHost: test\r\nConnection: Upgrade\r\nUpgrade: ';
const SWITCHED = 'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: ';

/** A server that takes upgrades to any protocol and says them back. */
function upgrading() {
  const server = createServer((_request, response) => response.end('plain'));
  server.on('upgrade', (request, socket) => {
    socket.on('error', () => {});
    socket.write(`${SWITCHED}${request.headers.upgrade}\r\n\r\n`);
    socket.on('data', (data) => socket.write(data));
    socket.on('end', () => socket.end());
  });
  return server;
}

test('a WebSocket that nobody else looks after gets close 1001, and its end is waited for', async () => {
  using watched = new Watched();
  const server = await listening(watched.shutdown.server(upgrading()));
  using line = await Line.to(portOf(server));
  line.socket.setEncoding('latin1');
  line.say(`${UPGRADE}websocket\r\n\r\n`);
  await line.heard('101');
  const report = watched.shutdown.begin();
  await line.heard('\x88\x02\x03\xe9');
  expect(watched.shutdown.pending).toMatchObject({ requests: 0, connections: 1 });
  line.socket.end();
  expect(await report).toMatchObject({ exitCode: 0, servers: [{ finished: 1, destroyed: 0 }] });
});

test('of an upgraded protocol that only the app knows, the app takes leave itself', async () => {
  using watched = new Watched();
  const onDrain = (socket: { end(text: string): unknown }): void => void socket.end('bye');
  const server = await listening(watched.shutdown.server(upgrading(), { onDrain }));
  using line = await Line.to(portOf(server));
  line.say(`${UPGRADE}chess\r\n\r\n`);
  await line.heard('101');
  const report = watched.shutdown.begin();
  await line.heard('bye');
  await line.closed();
  expect(await report).toMatchObject({ exitCode: 0, servers: [{ finished: 1, destroyed: 0 }] });
});

test('an upgraded socket that stays is cut at the deadline, and counted', async () => {
  using watched = new Watched({ timeout: 200 });
  const server = await listening(watched.shutdown.server(upgrading()));
  using line = await Line.to(portOf(server));
  line.say(`${UPGRADE}chess\r\n\r\n`);
  await line.heard('101');
  const report = await watched.shutdown.begin();
  expect(report).toMatchObject({ exitCode: 1, servers: [{ destroyed: 1 }] });
  await line.closed();
});

test('a server without upgrades answers such a request as ever', async () => {
  using watched = new Watched();
  const server = await listening(watched.shutdown.server(createServer((_request, response) => response.end('plain'))));
  expect(server.listenerCount('upgrade')).toBe(0);
  using line = await Line.to(portOf(server));
  line.say(`${UPGRADE}websocket\r\n\r\n`);
  await line.heard('plain');
  const take = (): void => {};
  server.on('upgrade', take);
  expect(server.listenerCount('upgrade')).toBe(2);
  server.off('upgrade', take);
  expect(server.listenerCount('upgrade')).toBe(0);
});

test('"reject" turns upgrades away with 503', async () => {
  using watched = new Watched();
  const server = await listening(watched.shutdown.server(upgrading(), { whileDraining: 'reject' }));
  using open = await Line.to(portOf(server));
  open.say(`${UPGRADE}chess\r\n\r\n`);
  await open.heard('101');
  const report = watched.shutdown.begin();
  await watched.entered('waiting');
  using next = await Line.to(portOf(server));
  next.say(`${UPGRADE}chess\r\n\r\n`);
  await next.heard('HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nRetry-After: 1\r\n');
  await next.closed();
  expect(await get(portOf(server))).toMatchObject({ status: 503 });
  open.socket.end();
  expect(await report).toMatchObject({ exitCode: 0, servers: [{ rejected: 2, destroyed: 0 }] });
});

test('after dispose() a server is as it was', async () => {
  using watched = new Watched();
  const server = upgrading();
  const before = ['connection', 'request', 'upgrade', 'newListener', 'removeListener'].map((event) =>
    server.listenerCount(event),
  );
  watched.shutdown.server(server);
  watched.shutdown.dispose();
  expect(
    ['connection', 'request', 'upgrade', 'newListener', 'removeListener'].map((event) => server.listenerCount(event)),
  ).toEqual(before);
});

test('connections of a net server are waited for, silent ones are not', async () => {
  using watched = new Watched();
  const server = await listening(watched.shutdown.server(createNetServer((socket) => socket.pipe(socket))));
  const accepted = once(server, 'connection');
  using silent = await Line.to(portOf(server));
  await accepted;
  using line = await Line.to(portOf(server));
  line.say('a');
  await line.heard('a');
  const report = watched.shutdown.begin();
  await silent.closed();
  line.say('b');
  await line.heard('ab');
  line.socket.end();
  expect(await report).toMatchObject({ exitCode: 0, servers: [{ idle: 1, finished: 1, destroyed: 0 }] });
});

test('a net server that speaks first takes leave in onDrain, and is cut at the deadline when the other side stays', async () => {
  using watched = new Watched({ timeout: 200 });
  const onDrain = (socket: { write(text: string): unknown }): void => void socket.write('bye');
  const server = createNetServer((socket) => void socket.on('error', () => {}).write('hello'));
  await listening(watched.shutdown.server(server, { onDrain, name: 'chat' }));
  using line = await Line.to(portOf(server));
  await line.heard('hello');
  const report = await watched.shutdown.begin();
  await line.heard('bye');
  expect(report).toMatchObject({ exitCode: 1, undone: ['1 connection of chat had to be cut'] });
});

test.concurrent.each([
  ['handed in', 'shutdown.server(server); shutdown.server(wss);', 'handed in'],
  ['with a server of its own', 'shutdown.server(wss);', 'own'],
  ['not handed in', 'shutdown.server(server);', 'not'],
])('clients of ws are closed with 1001: %s', async (_name, handIn, kind) => {
  await using app =
    new App(`import { createShutdown } from 'gsup/app'; import http from 'node:http'; import { WebSocket, WebSocketServer } from 'ws';
    const shutdown = createShutdown({ logger: ({ servers }) => servers && console.log(JSON.stringify(servers.map(({ name, destroyed, finished }) => [name.split(' ')[0], finished, destroyed]))) });
    const server = http.createServer();
    const wss = new WebSocketServer(${kind === 'own' ? '{ port: 0, host: "127.0.0.1" }' : '{ server }'});
    ${handIn}
    const listening = ${kind === 'own' ? 'wss' : 'server.listen(0, "127.0.0.1")'};
    await new Promise((resolve) => listening.once('listening', resolve));
    wss.on('connection', (socket) => socket.on('message', (data) => socket.send(data)));
    const client = new WebSocket('ws://127.0.0.1:' + listening.address().port);
    client.on('open', () => client.send('hello'));
    client.on('message', () => console.log('up'));
    const release = shutdown.track('client');
    client.on('close', (code) => { console.log('closed ' + code); release(); });`);
  await app.said('up');
  app.kill('SIGTERM');
  expect(await app.ended).toEqual({ code: 0, signal: null });
  expect(app.stderr).toBe('');
  expect(app.lines).toContain('closed 1001');
  expect(app.lines.at(-1)).toBe(
    { 'handed in': '[["http",1,0],["ws",1,0]]', own: '[["ws",1,0]]', not: '[["http",1,0]]' }[kind],
  );
});

test('a WebSocket whose upgrade the app has not answered yet gets no frame before the answer', async () => {
  using watched = new Watched();
  const upgrades = new News<() => void>();
  const server = createServer();
  server.on('upgrade', (_request, socket) => {
    socket.on('error', () => {}).on('end', () => socket.end());
    // Who it is was being looked up.
    upgrades.tell(() => {
      socket.resume();
      socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n');
    });
  });
  await listening(watched.shutdown.server(server));
  using line = await Line.to(portOf(server));
  line.socket.setEncoding('latin1');
  line.say('GET / HTTP/1.1\r\nHost: test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n');
  const [accept] = await upgrades.until((all) => all.length > 0);
  const report = watched.shutdown.begin();
  await watched.entered('waiting');
  accept?.();
  await line.heard('101 Switching');
  line.socket.end();
  await report;
  expect(line.text.startsWith('HTTP/1.1 101')).toBe(true);
});

test('the clients of a ws server are taken leave of by the app, which may still answer them', async () => {
  using watched = new Watched();
  const server = new WebSocketServer({ port: 0, host: '127.0.0.1' });
  const met = new Promise<WebSocket>((resolve) => server.once('connection', resolve));
  let answer = () => {};
  watched.shutdown.server(server, {
    onDrain: (client) => {
      answer = () => client.send('42', () => client.close(1001));
    },
  });
  await once(server, 'listening');
  const client = new WebSocket(`ws://127.0.0.1:${(server.address() as AddressInfo).port}`);
  await met;
  const heard: string[] = [];
  client.on('message', (text) => heard.push(String(text)));
  const closed = once(client, 'close');
  const report = watched.shutdown.begin();
  await watched.entered('waiting');
  answer();
  expect((await closed)[0]).toBe(1001);
  expect(heard).toEqual(['42']);
  expect(await report).toMatchObject({ exitCode: 0, servers: [{ name: 'ws', finished: 1, destroyed: 0 }] });
});
