import { expect, test } from 'vitest';
import { Home } from '../kit/home.ts';
import { ask, servicePort, startLoad } from '../kit/load.ts';
import { killAll, onlyAlive, rollingApp, rollingRecords, serving, web, writeServices } from '../kit/rolling.ts';

test.each([
  ['a Node app', 'http.mjs', 1],
  ['a Node app', 'http.mjs', 3],
  ['a Python app', 'listen-fds.py', 1],
  ['a Python app', 'listen-fds.py', 3],
  ['a shell program', 'listen-fds.sh', 1],
])(
  '%s (%s) × %i: five reloads under 12 clients, no request fails, every pid is replaced each time',
  async (_, app, instances) => {
    await using home = new Home();
    const port = await servicePort();
    await home.ok(['start', writeServices(home, { api: web(port, { script: rollingApp(app), instances }) })]);
    const lives = [await serving(home)];
    await using load = startLoad({ port });
    for (let reload = 0; reload < 5; reload++) {
      await home.ok(['reload', 'api']);
      lives.push(await serving(home));
    }
    const report = await load.stop();
    expect(report.reasons).toEqual({});
    expect(report.ok).toBeGreaterThan(100);
    expect(lives.map(({ length }) => length)).toEqual(Array.from({ length: 6 }, () => instances));
    const known = new Set(lives.flat());
    expect(known.size).toBe(6 * instances);
    expect(Object.keys(report.pids).filter((pid) => !known.has(Number(pid)))).toEqual([]);
    await onlyAlive(home, lives.at(-1) ?? []);
    const unclean = home.records.filter(({ phase, verdict }) => phase === 'stopped' && verdict !== 'clean');
    expect(unclean).toEqual([]);
  },
);

test('the new one is ready, and has been for minReady, before the old one gets its signal', async () => {
  await using home = new Home();
  const port = await servicePort();
  await home.ok(['start', writeServices(home, { api: web(port, { rolling: { minReady: '300ms' } }) })]);
  await home.ok(['reload', 'api']);
  const ready = await home.record('ready', 'api:0', 2);
  const signal = await home.record('signal-sent', 'api:0');
  expect(signal.time - ready.time).toBeGreaterThanOrEqual(299);
  const steps = home.records.filter(({ phase }) => phase === 'rolling-step');
  const step = { service: 'api', instance: 'api:0', step: 1, steps: 1 };
  expect(steps).toMatchObject([
    step,
    { ...step, reason: expect.stringMatching(/^\d+ is ready and has been for 300ms; \d+ leaves$/) },
  ]);
});

test('a request that is being answered when the old one gets its signal is answered by it', async () => {
  await using home = new Home();
  const port = await servicePort();
  await home.ok(['start', writeServices(home, { api: web(port, { env: { SLOW_MS: '1500' } }) })]);
  const [old] = await serving(home);
  const slow = ask(port, '/slow');
  await home.ok(['reload', 'api']);
  expect(await slow).toBe(`${old} \n`);
  expect(await ask(port)).toBe(`${(await serving(home))[0]} \n`);
});

test('apply of a changed file is rolling: no request fails, the new version answers', async () => {
  await using home = new Home();
  const port = await servicePort();
  const write = (VERSION: string) => writeServices(home, { api: web(port, { instances: 2, env: { VERSION } }) });
  await home.ok(['start', write('1')]);
  const before = await serving(home);
  await using load = startLoad({ port });
  await load.until('version 1', ({ versions }) => (versions['1'] ?? 0) > 0);
  await home.ok(['apply', '-c', write('2')]);
  await load.until('version 2', ({ versions }) => (versions['2'] ?? 0) > 0);
  expect((await load.stop()).reasons).toEqual({});
  const after = await serving(home);
  expect(after).toHaveLength(2);
  expect(after.filter((pid) => before.includes(pid))).toEqual([]);
  expect(rollingRecords(home.records)).toEqual(['rolling-started api', 'rolling-completed api']);
});

test.each([1, 2])(
  'maxSurge 0 replaces %i in place: no two runs of one instance at a time, no request fails',
  async (instances) => {
    await using home = new Home();
    const port = await servicePort();
    const service = web(port, { instances, rolling: { maxSurge: 0, minReady: '50ms' } });
    await home.ok(['start', writeServices(home, { api: service })]);
    const before = await serving(home);
    await using load = startLoad({ port });
    await home.ok(['reload', 'api']);
    const after = await serving(home);
    for (const pid of after) if (instances === 1) await load.answered(pid);
    expect((await load.stop()).reasons).toEqual({});
    expect(after).toHaveLength(instances);
    expect(after.filter((pid) => before.includes(pid))).toEqual([]);
    for (let index = 0; index < instances; index++) {
      const told = home.phases(`api:${index}`).filter((phase) => phase === 'spawned' || phase === 'exited');
      expect(told).toEqual(['spawned', 'exited', 'spawned']);
    }
  },
);

test('an app on a port of its own is replaced in place with maxSurge 0', async () => {
  await using home = new Home();
  const port = await servicePort();
  const { sockets: _, ...service } = web(port, { script: rollingApp('plain-port.mjs'), rolling: { maxSurge: 0 } });
  await home.ok(['start', writeServices(home, { api: service })]);
  const [old] = await serving(home);
  await home.ok(['reload', 'api']);
  const [pid] = await serving(home);
  expect(pid).not.toBe(old);
  expect(await ask(port)).toBe(`${pid} \n`);
});

test('kill -9 of every instance under load: no connection is refused while the replacements start', async () => {
  await using home = new Home();
  const port = await servicePort();
  await home.ok(['start', writeServices(home, { api: web(port, { instances: 3 }) })]);
  const before = await serving(home);
  await using load = startLoad({ port });
  await load.until('100 answers', ({ ok }) => ok > 100);
  killAll(before);
  await load.until('an answer of a replacement', ({ pids }) =>
    Object.keys(pids).some((pid) => !before.includes(Number(pid))),
  );
  for (let index = 0; index < 3; index++) await home.record('ready', `api:${index}`, 2);
  const { reasons } = await load.stop();
  expect(Object.keys(reasons).filter((reason) => reason.startsWith('ECONNREFUSED'))).toEqual([]);
  // What was in flight on the killed: at most one request of each client.
  expect(Object.values(reasons).reduce((total, n) => total + n, 0)).toBeLessThanOrEqual(12);
});

test('a connection that is made while no instance runs waits, and is answered later', async () => {
  await using home = new Home();
  const port = await servicePort();
  await home.ok(['start', writeServices(home, { api: web(port, { restart: { minDelay: '1s' } }) })]);
  const before = await serving(home);
  killAll(before);
  await home.record('backoff', 'api:0');
  expect(await ask(port)).toBe(`${(await serving(home))[0]} \n`);
  expect(await serving(home)).not.toEqual(before);
});
