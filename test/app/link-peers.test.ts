/** The link of an app to peers that are no sound supervisor. */
import { once } from 'node:events';
import { createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { App } from '../kit/app.ts';
import { Folder } from '../kit/gsup.ts';
import { News } from '../kit/news.ts';

const BASE = `import { createShutdown } from 'gsup/app'; const alive = setInterval(() => {}, 1e6);`;

/** Whatever the test makes of the other end. */
class Peer implements AsyncDisposable {
  readonly #folder = new Folder();
  readonly #server: Server;
  readonly connected = new News<{ readonly socket: Socket; readonly at: number }>();
  readonly environment = { GSUP_LINK: join(this.#folder.path, 'link.sock'), GSUP_ID: 'token', GSUP_GRACE_MS: '60000' };

  /** `meet` takes each connection; it stays half open until it says otherwise. */
  constructor(meet: (socket: Socket) => void = () => {}) {
    this.#server = createServer({ allowHalfOpen: true }, (socket) => {
      socket.on('error', () => {}).resume();
      this.connected.tell({ socket, at: performance.now() });
      meet(socket);
    });
  }

  async listen(): Promise<this> {
    this.#server.listen(this.environment.GSUP_LINK);
    await once(this.#server, 'listening');
    return this;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const { socket } of this.connected.all) socket.destroy();
    await new Promise((closed) => this.#server.close(closed));
    this.#folder[Symbol.dispose]();
  }
}

test('one that does not hang up does not keep an app that has ended', async () => {
  const hellos = new News<string>();
  await using peer = await new Peer((socket) => socket.setEncoding('utf8').on('data', hellos.tell)).listen();
  await using app = new App(
    `${BASE} const shutdown = createShutdown();
    await new Promise((resolve) => process.once('SIGUSR2', resolve));
    clearInterval(alive);
    const { exitCode } = await shutdown.begin();
    console.log('report ' + exitCode);`,
    { env: peer.environment },
  );
  await hellos.until((all) => all.length > 0);
  app.kill('SIGUSR2');
  expect(await app.ended).toEqual({ code: 0, signal: null });
  expect(app.lines).toEqual(['report 0']);
});

test.each([
  ['is infinite', ',"deadlineMs":1e999'],
  ['is text', ',"deadlineMs":"soon"'],
  ['is missing', ''],
])('a "stop" whose deadline %s begins it under its own', async (_name, deadline) => {
  await using peer = await new Peer((socket) =>
    socket.write(`{"type":"stop"${deadline},"reason":"nonsense"}\n`),
  ).listen();
  await using app = new App(
    `${BASE} createShutdown({ logger: ({ type, reason, deadlineMs }) => type && console.log(reason, deadlineMs) })
      .hook('db', async () => { await new Promise((resolve) => setTimeout(resolve, 50)); console.log('closed'); });`,
    { env: peer.environment },
  );
  expect(await app.ended).toEqual({ code: 0, signal: null });
  // Its own less what has passed since it was told.
  expect(app.lines).toEqual(['closed', expect.stringMatching(/^nonsense (54000|539\d\d)$/)]);
});

test('one that talks garbage without end is tried again less and less often', async () => {
  await using peer = await new Peer((socket) => socket.write('x'.repeat(1_000_000))).listen();
  await using app = new App(`${BASE} createShutdown().hook('db', () => console.log('closed'));`, {
    env: peer.environment,
  });
  const times = (await peer.connected.until((all) => all.length >= 5)).map(({ at }) => at);
  // 10, 20, 40 and 80 ms.
  expect((times[4] ?? 0) - (times[0] ?? 0)).toBeGreaterThan(140);
  app.kill('SIGTERM');
  expect(await app.ended).toEqual({ code: 0, signal: null });
  expect(app.lines).toEqual(['closed']);
});
