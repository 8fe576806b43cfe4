import { randomBytes } from 'node:crypto';
import { request } from 'node:http';
import type { Socket } from 'node:net';
import { expect, test } from 'vitest';
import { Home } from '../kit/home.ts';
import { servicePort, startLoad } from '../kit/load.ts';
import { rollingApp, serving, web, writeServices } from '../kit/rolling.ts';

test.each([
  ['express', 'express.mjs', 1],
  ['express', 'express.mjs', 2],
  ['fastify', 'fastify.mjs', 1],
  ['fastify', 'fastify.mjs', 2],
])(
  '%s (%s) × %i with a plain listen(): three reloads under load, no request fails, every pid is replaced',
  async (_, app, instances) => {
    await using home = new Home();
    const port = await servicePort();
    await home.ok(['start', writeServices(home, { api: web(port, { script: rollingApp(app), instances }) })]);
    const lives = [await serving(home)];
    await using load = startLoad({ port });
    for (let reload = 0; reload < 3; reload++) {
      await home.ok(['reload', 'api']);
      lives.push(await serving(home));
    }
    expect((await load.stop()).reasons).toEqual({});
    expect(new Set(lives.flat()).size).toBe(4 * instances);
    expect(home.records.filter(({ phase, verdict }) => phase === 'stopped' && verdict !== 'clean')).toEqual([]);
  },
);

test('ws: a reload closes each open WebSocket with 1001, and a new connection goes to the new one', async () => {
  await using home = new Home();
  const port = await servicePort();
  await home.ok(['start', writeServices(home, { api: web(port, { script: rollingApp('ws.mjs') }) })]);
  const [old] = await serving(home);
  const clients = await Promise.all(Array.from({ length: 5 }, () => dial(port)));
  for (const client of clients) {
    expect(await client.next()).toBe(`${old} `);
    client.send('still there?');
    expect(await client.next()).toBe('still there?');
  }
  await home.ok(['reload', 'api']);
  expect(await Promise.all(clients.map(({ closed }) => closed))).toEqual(clients.map(() => 1001));
  const [pid] = await serving(home);
  expect(pid).not.toBe(old);
  const next = await dial(port);
  expect(await next.next()).toBe(`${pid} `);
  next.end();
  expect((await home.record('stopped')).verdict).toBe('clean');
});

type WebSocketClient = {
  /** The next text that comes. */
  next(): Promise<string>;
  send(text: string): void;
  end(): void;
  /** The code with which the server closes. */
  readonly closed: Promise<number>;
};

/** The little of RFC 6455 that a test needs: short frames, each whole. Node 20 has no WebSocket. */
function dial(port: number): Promise<WebSocketClient> {
  const headers = {
    Connection: 'Upgrade',
    Upgrade: 'websocket',
    'Sec-WebSocket-Version': '13',
    'Sec-WebSocket-Key': randomBytes(16).toString('base64'),
  };
  return new Promise((opened, failed) => {
    const call = request({ host: '127.0.0.1', port, headers, agent: false, timeout: 15_000 });
    call.on('timeout', () => call.destroy(new Error('no answer')));
    call.on('error', failed);
    call.on('upgrade', (_response, socket: Socket, head) => opened(clientOn(socket, head)));
    call.end();
  });
}

function clientOn(socket: Socket, head: Buffer): WebSocketClient {
  const texts: string[] = [];
  const takers: ((text: string) => void)[] = [];
  let tell: (code: number) => void = () => {};
  const closed = new Promise<number>((told) => {
    tell = told;
  });
  let rest: Buffer = Buffer.alloc(0);
  const take = (bytes: Buffer): void => {
    rest = Buffer.concat([rest, bytes]);
    for (let size = rest[1] ?? 0; rest.length >= 2 + size && rest.length >= 2; size = rest[1] ?? 0) {
      const [kind, body] = [(rest[0] ?? 0) & 0x0f, rest.subarray(2, 2 + size)];
      rest = rest.subarray(2 + size);
      if (kind === 8) {
        tell(body.length >= 2 ? body.readUInt16BE() : 1005);
        // The close frame goes back, else the server waits for it.
        socket.end(frame(8, body));
      } else if (takers.length > 0) takers.shift()?.(body.toString());
      else texts.push(body.toString());
    }
  };
  socket.on('data', take);
  socket.on('error', () => {});
  socket.on('close', () => tell(1006));
  take(head);
  return {
    next: () =>
      new Promise((told) => {
        const text = texts.shift();
        if (text === undefined) takers.push(told);
        else told(text);
      }),
    send: (text) => socket.write(frame(1, Buffer.from(text))),
    end: () => socket.destroy(),
    closed,
  };
}

/** A client has to mask; a mask of zeros leaves the bytes as they are. */
function frame(kind: number, body: Buffer): Buffer {
  return Buffer.concat([Buffer.from([0x80 | kind, 0x80 | body.length, 0, 0, 0, 0]), body]);
}
