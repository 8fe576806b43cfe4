import { expect, test } from 'vitest';
import { createShutdown } from '../../src/app/index.ts';
import { App } from '../kit/app.ts';
import { Watched } from '../kit/shutdowns.ts';

test('hooks run one after the other, last registered first, those of "flush" after those of "close"', async () => {
  using watched = new Watched();
  const order: string[] = [];
  const hook = (name: string, phase: 'close' | 'flush' = 'close') =>
    watched.shutdown.hook(
      name,
      async () => {
        order.push(`${name} begins`);
        await new Promise((resolve) => setImmediate(resolve));
        order.push(`${name} ends`);
      },
      { phase },
    );
  hook('logs', 'flush');
  hook('db');
  hook('metrics', 'flush');
  hook('queue');
  const remove = hook('removed');
  remove();
  remove();
  const report = await watched.shutdown.begin();
  expect(order).toEqual(['queue', 'db', 'metrics', 'logs'].flatMap((name) => [`${name} begins`, `${name} ends`]));
  expect(report.hooks).toMatchObject([
    { name: 'queue', phase: 'close', outcome: 'done' },
    { name: 'db', phase: 'close', outcome: 'done' },
    { name: 'metrics', phase: 'flush', outcome: 'done' },
    { name: 'logs', phase: 'flush', outcome: 'done' },
  ]);
});

test('hooks run after the work has ended and the states are saved', async () => {
  using watched = new Watched();
  watched.shutdown.hook('db', () => {});
  const report = await watched.shutdown.begin();
  expect(report.phases.map(({ phase }) => phase)).toEqual([
    'draining',
    'closing-servers',
    'waiting',
    'persisting',
    'closing',
    'flushing',
  ]);
  expect(watched.records.all.flatMap((record) => record['phase'] ?? [])).toEqual(
    report.phases.map(({ phase }) => phase),
  );
});

test('one that throws, one that rejects and one that hangs do not stop the rest, and the report names each', async () => {
  using watched = new Watched({ timeout: '2s' });
  const order: string[] = [];
  watched.shutdown.hook('last', () => void order.push('last'));
  watched.shutdown.hook('throwing', () => {
    throw new Error('broken');
  });
  watched.shutdown.hook('rejecting', () => Promise.reject(new Error('refused')));
  watched.shutdown.hook(
    'hanging',
    ({ signal, remainingMs }) =>
      new Promise((resolve) => {
        order.push(`${remainingMs}`);
        signal.addEventListener('abort', () => {
          order.push(signal.reason.message);
          resolve(null);
        });
      }),
    { timeout: '50ms' },
  );
  const report = await watched.shutdown.begin();
  expect(order).toEqual(['50', 'hook "hanging" has had its 50 ms', 'last']);
  expect(report.exitCode).toBe(1);
  expect(report.hooks).toMatchObject([
    { name: 'hanging', outcome: 'late' },
    { name: 'rejecting', outcome: 'failed', error: 'refused' },
    { name: 'throwing', outcome: 'failed', error: 'broken' },
    { name: 'last', outcome: 'done' },
  ]);
  expect(report.undone).toEqual([
    expect.stringMatching(/^hook "hanging" had not ended after \d+ ms$/),
    'hook "rejecting" failed: refused',
    'hook "throwing" failed: broken',
  ]);
});

test('a hook that hangs without a timeout of its own leaves time to those after it', async () => {
  using watched = new Watched({ timeout: 400 });
  const left: number[] = [];
  watched.shutdown.hook('second', ({ remainingMs }) => void left.push(remainingMs));
  watched.shutdown.hook('hanging', () => new Promise(() => {}));
  const report = await watched.shutdown.begin();
  expect(left[0]).toBeGreaterThan(10);
  expect(report.hooks).toMatchObject([{ outcome: 'late' }, { outcome: 'done' }]);
  expect(report.durationMs).toBeLessThan(5000);
});

test('a task that hangs leaves time to the hooks', async () => {
  using watched = new Watched({ timeout: 400 });
  void watched.shutdown.run('hanging', () => new Promise(() => {}));
  const left: number[] = [];
  watched.shutdown.hook('db', ({ remainingMs }) => void left.push(remainingMs));
  const report = await watched.shutdown.begin();
  expect(left[0]).toBeGreaterThan(10);
  expect(report).toMatchObject({ exitCode: 1, hooks: [{ name: 'db', outcome: 'done' }] });
});

test('a hook that is registered by another hook runs too', async () => {
  using watched = new Watched();
  watched.shutdown.hook('outer', () => void watched.shutdown.hook('inner', () => {}));
  expect((await watched.shutdown.begin()).hooks).toMatchObject([{ name: 'outer' }, { name: 'inner' }]);
});

test('a hook of "close" that hangs leaves time to those of "flush"', async () => {
  using watched = new Watched({ timeout: 400 });
  const left: number[] = [];
  watched.shutdown.hook('metrics', ({ remainingMs }) => void left.push(remainingMs), { phase: 'flush' });
  watched.shutdown.hook('hanging', () => new Promise(() => {}));
  await watched.shutdown.begin();
  expect(left[0]).toBeGreaterThan(10);
});

test('a hook of "flush" that hangs leaves time to flushing', async () => {
  const flushed: string[] = [];
  // Over a turn of the event loop: a deadline of 0 ms would come first.
  const flush = () => new Promise<void>((resolve) => setTimeout(() => resolve(void flushed.push('logs')), 5));
  using watched = new Watched({ timeout: 1000, flush });
  watched.shutdown.hook('hanging', () => new Promise(() => {}), { phase: 'flush' });
  const { undone } = await watched.shutdown.begin();
  expect(flushed).toContain('logs');
  expect(undone).not.toContain('flushing failed');
});

test('a hook that registers itself again and again is stopped at the deadline', async () => {
  await using app = new App(`import { createShutdown } from 'gsup/app'; const alive = setInterval(() => {}, 1e6);
    const shutdown = createShutdown({ timeout: 300 });
    const again = () => void shutdown.hook('again', again);
    again();
    console.log('up');`);
  await app.said('up');
  app.kill('SIGTERM');
  expect(await app.ended).toMatchObject({ signal: null });
});

test('hooks that were there before are run although the deadline has come', async () => {
  using watched = new Watched({ timeout: 20 });
  const order: string[] = [];
  watched.shutdown.hook('first', () => void order.push('first'));
  watched.shutdown.hook('busy', () => {
    const end = performance.now() + 50;
    while (performance.now() < end);
    watched.shutdown.hook('late', () => void order.push('late'));
  });
  const { hooks, undone } = await watched.shutdown.begin();
  expect(order).toEqual(['first']);
  expect(hooks.map(({ name }) => name)).toEqual(['busy', 'late', 'first']);
  expect(undone).toContain('hook "late" skipped: it was registered too late');
});

test('a hook of "close" that comes while those of "flush" run is run with them', async () => {
  using watched = new Watched();
  watched.shutdown.hook('logs', () => void watched.shutdown.hook('late', () => {}), { phase: 'flush' });
  expect(await watched.shutdown.begin()).toMatchObject({
    exitCode: 0,
    hooks: [
      { name: 'logs', outcome: 'done' },
      { name: 'late', phase: 'close', outcome: 'done' },
    ],
  });
});

test('a hook that comes when all have been run is refused', async () => {
  using watched = new Watched();
  await watched.shutdown.begin('SIGTERM');
  expect(() => watched.shutdown.hook('db', () => {})).toThrow(
    'cannot register hook "db": the app is shutting down (SIGTERM)',
  );
});

test('the ceiling of a phase that ends before the deadline leaves time to others by itself', async () => {
  using watched = new Watched({ timeout: '10s', phaseTimeouts: { closing: 3000 } });
  const left: number[] = [];
  watched.shutdown.hook('metrics', () => {}, { phase: 'flush' });
  watched.shutdown.hook('db', ({ remainingMs }) => void left.push(remainingMs));
  await watched.shutdown.begin();
  expect(left[0]).toBeGreaterThan(2700);
});

test('a phase has its own ceiling', async () => {
  using watched = new Watched({ phaseTimeouts: { waiting: 50, closing: '60ms' } });
  void watched.shutdown.run('hanging', () => new Promise(() => {}));
  watched.shutdown.hook('hanging', () => new Promise(() => {}));
  const { phases, durationMs } = await watched.shutdown.begin();
  expect(phases.filter(({ outcome }) => outcome === 'late').map(({ phase }) => phase)).toEqual(['waiting', 'closing']);
  expect(durationMs).toBeLessThan(5000);
});

test('the logger and what is handed in are flushed, whatever their way is', async () => {
  const flushed: string[] = [];
  const logger = {
    info: () => {},
    warn: () => {},
    error: () => {},
    flush: (done?: () => void) => {
      flushed.push('logger');
      done?.();
    },
  };
  const flush = [
    async () => void flushed.push('function'),
    { flush: () => Promise.resolve(flushed.push('promise')) },
    { flushSync: () => void flushed.push('sync') },
  ];
  using shutdown = disposable(createShutdown({ logger, flush }));
  shutdown.hook('metrics', () => void flushed.push('hook'), { phase: 'flush' });
  expect(await shutdown.begin()).toMatchObject({ exitCode: 0 });
  expect(flushed.slice(0, 5)).toEqual(['hook', 'function', 'promise', 'sync', 'logger']);
});

test('what cannot be flushed is left undone, and does not hang', async () => {
  using broken = new Watched({ flush: () => Promise.reject(new Error('disk full')) });
  expect(await broken.shutdown.begin()).toMatchObject({ exitCode: 1, undone: ['flushing failed: disk full'] });
  using hanging = new Watched({ timeout: 100, flush: () => new Promise(() => {}) });
  expect(await hanging.shutdown.begin()).toMatchObject({ exitCode: 1, undone: ['logs were not flushed in time'] });
});

test.each([
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
    const report = await watched.shutdown.begin();
    expect(report.hooks).toMatchObject([{ outcome: 'failed' }, { name: 'db', outcome: 'done' }]);
    expect(errors).toEqual([]);
  } finally {
    process.removeAllListeners('unhandledRejection');
    for (const other of others) process.on('unhandledRejection', other);
  }
});

test('what cannot be read is refused with words', () => {
  expect(() => createShutdown({ timeout: '10 parsecs' })).toThrow(
    'timeout: "10 parsecs" is no duration; write 500ms, 10s, 1m30s or milliseconds',
  );
  expect(() => createShutdown({ drainDelay: 'soon' })).toThrow('drainDelay: "soon" is no duration');
  // @ts-expect-error: no phase.
  expect(() => createShutdown({ phaseTimeouts: { stopping: 1 } })).toThrow('phaseTimeouts: "stopping" is no phase');
  using watched = new Watched();
  expect(() => watched.shutdown.hook('db', () => {}, { timeout: 'x' })).toThrow(
    'hook "db", timeout: "x" is no duration',
  );
  // @ts-expect-error: no phase.
  expect(() => watched.shutdown.hook('db', () => {}, { phase: 'end' })).toThrow('write close or flush');
  expect(process.listenerCount('SIGTERM')).toBe(1);
});

function disposable<T extends { dispose(): void }>(one: T): T & Disposable {
  return Object.assign(one, { [Symbol.dispose]: () => one.dispose() });
}
