/** What `gsup/app` gets wrong today: each of these is a sentence of the contract, and fails. */
import { once } from 'node:events';
import { existsSync, statSync } from 'node:fs';
import { createServer as createNetServer } from 'node:net';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { App } from '../kit/app.ts';
import { Folder } from '../kit/gsup.ts';
import { Watched } from '../kit/shutdowns.ts';

const CEILING_MS = 5000;
const BASE = `import { createShutdown } from 'gsup/app'; const alive = setInterval(() => {}, 1e6);`;

/** Fails when it takes too long. */
function within<T>(work: Promise<T>, ms = CEILING_MS): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`not within ${ms} ms`)), ms);
    work.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}

test.fails.each([
  ['without a prototype', () => Object.create(null)],
  [
    'that is its own cause',
    () => {
      const error = new Error('circle');
      error.cause = error;
      return error;
    },
  ],
])('a hook that throws something %s stops nothing', async (_name, made) => {
  using watched = new Watched();
  const errors: unknown[] = [];
  const listener = (error: unknown): void => void errors.push(error);
  const others = process.listeners('unhandledRejection');
  process.removeAllListeners('unhandledRejection').on('unhandledRejection', listener);
  try {
    watched.shutdown.hook('db', () => {});
    watched.shutdown.hook('strange', () => {
      throw made();
    });
    const report = await within(watched.shutdown.begin(), 1000);
    expect(report.hooks).toMatchObject([{ outcome: 'failed' }, { name: 'db', outcome: 'done' }]);
    expect(errors).toEqual([]);
  } finally {
    process.removeAllListeners('unhandledRejection');
    for (const other of others) process.on('unhandledRejection', other);
  }
});

test.fails('an uncaught error without a prototype begins the same shutdown', async () => {
  await using app = new App(`${BASE}
    createShutdown().hook('db', () => console.log('closed'));
    setImmediate(() => { throw Object.create(null); });`);
  expect(await within(app.ended)).toEqual({ code: 1, signal: null });
  expect(app.lines).toEqual(['closed']);
});

test.fails('a hook of "close" that hangs leaves time to those of "flush"', async () => {
  using watched = new Watched({ timeout: 400 });
  const left: number[] = [];
  watched.shutdown.hook('metrics', ({ remainingMs }) => void left.push(remainingMs), { phase: 'flush' });
  watched.shutdown.hook('hanging', () => new Promise(() => {}));
  await watched.shutdown.begin();
  expect(left[0]).toBeGreaterThan(10);
});

test.fails('a state that hangs leaves time to the hooks', async () => {
  using folder = new Folder();
  using watched = new Watched({ timeout: 400 });
  const left: number[] = [];
  const file = join(folder.path, 'state.json');
  await watched.shutdown.persist('hanging', { file, save: () => new Promise(() => {}) });
  watched.shutdown.hook('db', ({ remainingMs }) => void left.push(remainingMs));
  await watched.shutdown.begin();
  expect(left[0]).toBeGreaterThan(10);
});

test.fails('a hook that registers itself again and again is stopped at the deadline', async () => {
  await using app = new App(`${BASE}
    const shutdown = createShutdown({ timeout: 300 });
    const again = () => void shutdown.hook('again', again);
    again();
    console.log('up');`);
  await app.said('up');
  app.kill('SIGTERM');
  expect(await within(app.ended, 3000)).toMatchObject({ signal: null });
});

test.fails('a supervisor that does not hang up does not keep an app that has ended', async () => {
  using folder = new Folder();
  const path = join(folder.path, 'link.sock');
  const server = createNetServer({ allowHalfOpen: true }, (socket) => void socket.on('error', () => {}).resume());
  server.listen(path);
  await once(server, 'listening');
  try {
    await using app = new App(
      `import { createShutdown } from 'gsup/app';
      const shutdown = createShutdown();
      shutdown.ready();
      await new Promise((resolve) => setTimeout(resolve, 100));
      const { exitCode } = await shutdown.begin();
      console.log('report ' + exitCode);`,
      { env: { GSUP_LINK: path, GSUP_ID: 'token', GSUP_GRACE_MS: '60000' } },
    );
    await app.said('report 0');
    expect(await within(app.ended, 3000)).toEqual({ code: 0, signal: null });
  } finally {
    server.close();
  }
});

test.fails('an app that waits for what never comes, at its top level, ends with 13 as ever', async () => {
  await using app = new App(`import { createShutdown } from 'gsup/app';
    createShutdown().hook('db', () => console.log('closed'));
    await new Promise(() => {});`);
  expect(await within(app.ended)).toEqual({ code: 13, signal: null });
  expect(app.lines).toEqual(['closed']);
});

test.fails('a hook that comes too late to run is said to be left undone', async () => {
  using watched = new Watched();
  let isRun = false;
  const late = (): void => {
    isRun = true;
  };
  watched.shutdown.hook('logs', () => void watched.shutdown.hook('late', late), { phase: 'flush' });
  const { undone } = await watched.shutdown.begin();
  expect(isRun || undone.length > 0).toBe(true);
});

test.fails('a state that comes too late to be saved is refused, or said to be left undone', async () => {
  using folder = new Folder();
  using watched = new Watched();
  const file = join(folder.path, 'late.json');
  let isRefused = false;
  watched.shutdown.hook('db', async () => {
    await watched.shutdown.persist('late', { file, save: () => 1 }).catch(() => {
      isRefused = true;
    });
  });
  const { undone } = await watched.shutdown.begin();
  expect(isRefused || undone.length > 0 || existsSync(file)).toBe(true);
});

test.fails('a state keeps the mode of its file', async () => {
  using folder = new Folder();
  using watched = new Watched();
  const file = folder.write('secret.json', '1');
  const { chmodSync } = await import('node:fs');
  chmodSync(file, 0o600);
  await watched.shutdown.persist('secret', { file, save: () => 2 });
  await watched.shutdown.begin();
  expect((statSync(file).mode & 0o777).toString(8)).toBe('600');
});

test.fails('a deadline that is no number a clock knows is no deadline', async () => {
  using folder = new Folder();
  const path = join(folder.path, 'link.sock');
  const server = createNetServer((socket) => {
    socket.on('error', () => {}).resume();
    socket.write('{"type":"stop","deadlineMs":1e999,"reason":"nonsense"}\n');
  });
  server.listen(path);
  await once(server, 'listening');
  try {
    await using app = new App(
      `${BASE} createShutdown().hook('db', async () => { await new Promise((resolve) => setTimeout(resolve, 50)); console.log('closed'); });`,
      { env: { GSUP_LINK: path, GSUP_ID: 'token', GSUP_GRACE_MS: '60000' } },
    );
    expect(await within(app.ended)).toEqual({ code: 0, signal: null });
    expect(app.lines).toEqual(['closed']);
  } finally {
    server.close();
  }
});
