import { expect, test } from 'vitest';
import { App } from '../kit/app.ts';

const CEILING_MS = 5000;
const BASE = `import { createShutdown } from 'gsup/app'; const alive = setInterval(() => {}, 1e6);`;

/** Fails when it takes too long. */
function within<T>(work: Promise<T>, ms = CEILING_MS): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`not within ${ms} ms`)), ms);
    work.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}

test('an onDrain that throws is reported, and stops nothing', async () => {
  await using app = new App(`${BASE} import net from 'node:net';
    const shutdown = createShutdown({ timeout: '1s' });
    shutdown.hook('db', () => console.log('closed'));
    const server = shutdown.server(net.createServer((socket) => { socket.on('error', () => {}); socket.write('hello'); }), { onDrain: () => { throw new Error('no farewell'); } });
    server.listen(0, '127.0.0.1', () => net.connect(server.address().port).on('error', () => {}).on('data', () => console.log('up')));`);
  await app.said('up');
  app.kill('SIGTERM');
  expect(await within(app.ended)).toEqual({ code: 1, signal: null });
  expect(app.lines).toEqual(['up', 'closed']);
});

test('a WebSocket client that cannot be closed is reported, and stops nothing', async () => {
  await using app = new App(`${BASE}
    const shutdown = createShutdown({ timeout: '1s' });
    shutdown.hook('db', () => console.log('closed'));
    const client = { close() { throw new Error('not open'); }, terminate() {}, once() {} };
    shutdown.server({ clients: new Set([client]), close() {} });
    console.log('up');`);
  await app.said('up');
  app.kill('SIGTERM');
  expect(await within(app.ended)).toMatchObject({ signal: null });
  expect(app.lines).toEqual(['up', 'closed']);
});
