import { expect, test } from 'vitest';
import { ShuttingDownError } from '../../src/app/index.ts';
import { News } from '../kit/news.ts';
import { Watched } from '../kit/shutdowns.ts';

/** A promise that the test settles. */
function held<T = void>() {
  let resolve: (value: T) => void = () => {};
  let reject: (error: unknown) => void = () => {};
  const promise = new Promise<T>((yes, no) => {
    resolve = yes;
    reject = no;
  });
  return { promise, resolve, reject };
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => signal.addEventListener('abort', () => resolve()));
}

test('a task is waited for, and its value is what run() gives', async () => {
  using watched = new Watched();
  const { promise, resolve } = held<number>();
  const value = watched.shutdown.run('job', () => promise);
  const report = watched.shutdown.begin();
  await watched.entered('waiting');
  expect(watched.shutdown.pending).toMatchObject({ tasks: 1, names: ['job'] });
  resolve(42);
  expect(await value).toBe(42);
  expect(await report).toMatchObject({ exitCode: 0, tasks: [{ name: 'job', outcome: 'done' }] });
});

test('a task that ended before it began is not in the report; one that fails gives its error to its caller', async () => {
  using watched = new Watched();
  await watched.shutdown.run('early', () => {});
  await expect(watched.shutdown.run('broken', () => Promise.reject(new Error('no')))).rejects.toThrow('no');
  expect(await watched.shutdown.begin()).toMatchObject({ exitCode: 0, tasks: [] });
});

test('a task is refused once it has begun, and is not called', async () => {
  using watched = new Watched();
  const report = watched.shutdown.begin('SIGTERM');
  let isCalled = false;
  const refused = watched.shutdown.run('late', () => {
    isCalled = true;
  });
  await expect(refused).rejects.toBeInstanceOf(ShuttingDownError);
  await expect(refused).rejects.toThrow('cannot begin task "late": the app is shutting down (SIGTERM)');
  expect(() => watched.shutdown.worker('late', () => {})).toThrow(ShuttingDownError);
  await expect(watched.shutdown.pool(1).run('late', () => {})).rejects.toThrow(ShuttingDownError);
  expect(isCalled).toBe(false);
  await report;
});

test('the signal of a task is aborted when it begins; ending because of that is no failure', async () => {
  using watched = new Watched();
  const { signal } = watched.shutdown;
  const task = watched.shutdown.run('job', async (own) => {
    await aborted(own);
    throw own.reason;
  });
  const failed = expect(task).rejects.toBeInstanceOf(ShuttingDownError);
  expect(signal.aborted).toBe(false);
  const report = watched.shutdown.begin('enough');
  expect(signal.aborted).toBe(true);
  expect(signal.reason).toMatchObject({ name: 'ShuttingDownError', reason: 'enough' });
  await failed;
  expect(await report).toMatchObject({
    exitCode: 0,
    tasks: [{ name: 'job', outcome: 'cancelled' }],
    explanations: [{ mistake: 'task-cancelled', where: 'task "job"' }],
  });
});

test('a task that does not end is named when the deadline comes', async () => {
  using watched = new Watched({ timeout: 100 });
  void watched.shutdown.run('export', () => new Promise(() => {}));
  const report = await watched.shutdown.begin();
  expect(report).toMatchObject({ exitCode: 1, undone: ['task "export" had not ended'] });
  expect(report.phases).toContainEqual(expect.objectContaining({ phase: 'waiting', outcome: 'late' }));
  expect(report.explanations).toMatchObject([{ mistake: 'ended-before-tasks', where: 'task "export"' }]);
});

test('a task that fails in the middle is left undone, also a worker; one that ends because it was told to is not', async () => {
  using watched = new Watched();
  const late = (end: (signal: AbortSignal) => unknown) => (signal: AbortSignal) =>
    new Promise((_resolve, reject) => signal.addEventListener('abort', () => setImmediate(() => reject(end(signal)))));
  const tasks = [
    watched.shutdown.run(
      'export',
      late(() => new Error('no disk')),
    ),
    watched.shutdown.run(
      'wrapped',
      late((signal) => new Error('fetch failed', { cause: signal.reason })),
    ),
    watched.shutdown.run(
      'axios',
      late(() => Object.assign(new Error('canceled'), { code: 'ERR_CANCELED' })),
    ),
  ];
  const settled = Promise.allSettled(tasks);
  watched.shutdown.worker(
    'poller',
    late(() => new Error('no queue')),
  );
  expect(await watched.shutdown.begin()).toMatchObject({
    exitCode: 1,
    undone: ['task "export" failed: no disk', 'worker "poller" failed: no queue'],
    tasks: [{ outcome: 'failed' }, { outcome: 'cancelled' }, { outcome: 'cancelled' }],
  });
  await settled;
});

test('a worker goes on until its signal is aborted, and its last round is waited for', async () => {
  using watched = new Watched();
  const rounds = new News<number>();
  const { promise, resolve } = held();
  watched.shutdown.worker('poller', async (signal) => {
    for (let round = 1; !signal.aborted; round += 1) {
      rounds.tell(round);
      if (round === 3) await promise;
    }
  });
  await rounds.until((all) => all.length === 3);
  const report = watched.shutdown.begin();
  await watched.entered('waiting');
  expect(watched.shutdown.pending.workers).toBe(1);
  resolve();
  expect(await report).toMatchObject({ exitCode: 0, workers: [{ name: 'poller', outcome: 'done' }] });
  expect(rounds.all).toHaveLength(3);
});

test('a worker that fails is told and reported, and the others go on', async () => {
  using watched = new Watched();
  watched.shutdown.worker('broken', () => Promise.reject(new Error('no queue')));
  const { promise, resolve } = held();
  watched.shutdown.worker('sound', () => promise);
  await watched.records.until((all) => all.some(({ msg }) => msg === 'worker "broken" failed: Error: no queue'));
  expect(watched.shutdown.signal.aborted).toBe(false);
  const report = watched.shutdown.begin();
  resolve();
  expect(await report).toMatchObject({
    exitCode: 0,
    workers: [
      { name: 'broken', outcome: 'failed', error: 'no queue' },
      { name: 'sound', outcome: 'done' },
    ],
    explanations: [{ mistake: 'worker-failed', where: 'worker "broken"' }],
  });
});

test('a pool runs so many at once; those in line are turned away when it begins, those that run are waited for', async () => {
  using watched = new Watched();
  const pool = watched.shutdown.pool(2);
  const jobs = [held(), held(), held(), held()];
  const begun: number[] = [];
  const results = jobs.map(({ promise }, n) =>
    pool.run(`job ${n}`, async () => {
      begun.push(n);
      await promise;
    }),
  );
  const settled = Promise.allSettled(results);
  expect(pool).toMatchObject({ size: 2, running: 2, waiting: 2 });
  jobs[0]?.resolve();
  await results[0];
  expect(pool).toMatchObject({ running: 2, waiting: 1 });
  await watched.shutdown.run('turn of the event loop', () => new Promise((resolve) => setImmediate(resolve)));
  expect(begun).toEqual([0, 1, 2]);
  const report = watched.shutdown.begin();
  jobs[1]?.resolve();
  jobs[2]?.resolve();
  expect((await settled).map(({ status }) => status)).toEqual(['fulfilled', 'fulfilled', 'fulfilled', 'rejected']);
  expect((await settled)[3]).toMatchObject({ reason: { name: 'ShuttingDownError' } });
  expect(await report).toMatchObject({ exitCode: 0, tasks: [{ name: 'job 1' }, { name: 'job 2' }] });
  expect(pool).toMatchObject({ running: 0, waiting: 0 });
  expect(() => watched.shutdown.pool(0)).toThrow('pool: "0" is no size; write 1 or more');
});

test('what is tracked is waited for until it is released, and a second release counts for nothing', async () => {
  using watched = new Watched();
  const releases = [watched.shutdown.track('upload'), watched.shutdown.track()];
  const report = watched.shutdown.begin();
  await watched.entered('waiting');
  expect(watched.shutdown.pending).toMatchObject({ tracked: 2, names: ['upload', 'tracked'] });
  releases[0]?.();
  releases[0]?.();
  expect(watched.shutdown.pending.tracked).toBe(1);
  releases[1]?.();
  expect(await report).toMatchObject({ exitCode: 0, tasks: [{ name: 'upload' }, { name: 'tracked' }] });
});

test('a token is cancelled with its parent, or alone', async () => {
  using watched = new Watched();
  const parent = watched.shutdown.child();
  const [alone, other] = [parent.child(), parent.child()];
  alone.cancel('enough');
  expect(alone.signal).toMatchObject({ aborted: true, reason: 'enough' });
  expect([parent.signal.aborted, other.signal.aborted]).toEqual([false, false]);
  const forgotten = parent.child();
  forgotten[Symbol.dispose]();
  parent.cancel();
  expect(other.signal).toMatchObject({ aborted: true, reason: { name: 'AbortError' } });
  expect(parent.child().signal.aborted).toBe(true);
  expect([forgotten.signal.aborted, watched.shutdown.signal.aborted]).toEqual([false, false]);
  const child = watched.shutdown.child();
  void watched.shutdown.begin();
  expect(child.signal.reason).toBeInstanceOf(ShuttingDownError);
});

test('a listener of the signal that throws, or begins it again, changes nothing', async () => {
  using watched = new Watched();
  const { signal } = watched.shutdown;
  let again: Promise<unknown> | null = null;
  signal.addEventListener('abort', () => {
    again = watched.shutdown.begin('again');
  });
  const report = watched.shutdown.begin('first');
  expect(again).toBe(report);
  expect(watched.shutdown.begin('third')).toBe(report);
  expect((await report).reason).toBe('first');
});

test('while traffic is still served, its tasks begin and end; then they are refused, and those under way cancelled', async () => {
  using watched = new Watched({ drainDelay: '300ms' });
  const report = watched.shutdown.begin();
  await watched.entered('draining');
  expect(watched.shutdown.signal.aborted).toBe(true);
  expect(await watched.shutdown.run('order', (signal) => signal.aborted)).toBe(false);
  expect(await watched.shutdown.pool(1).run('pooled', () => 'done')).toBe('done');
  expect(() => watched.shutdown.worker('poller', () => {})).toThrow(ShuttingDownError);
  const long = watched.shutdown.run('long', async (signal) => {
    await aborted(signal);
    return signal.reason instanceof ShuttingDownError;
  });
  expect(await long).toBe(true);
  await expect(watched.shutdown.run('late', () => {})).rejects.toThrow(ShuttingDownError);
  expect((await report).tasks.map(({ name, outcome }) => [name, outcome])).toEqual([
    ['order', 'done'],
    ['pooled', 'done'],
    ['long', 'done'],
  ]);
});

test('a worker that ends when it is told to has made no mistake', async () => {
  using watched = new Watched();
  watched.shutdown.worker('idle', async (signal) => {
    await aborted(signal);
    throw signal.reason;
  });
  expect(await watched.shutdown.begin()).toMatchObject({
    exitCode: 0,
    workers: [{ name: 'idle', outcome: 'cancelled' }],
    explanations: [],
  });
});
