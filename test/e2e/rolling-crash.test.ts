import { expect, test } from 'vitest';
import { Home } from '../kit/home.ts';
import { ask, servicePort, startLoad } from '../kit/load.ts';
import { instancesAlive, killAll, onlyAlive, release, rows, serving, web, writeServices } from '../kit/rolling.ts';

test.each([
  ['has begun', 'rolling-started', 1, 1],
  ['has started the new one', 'spawned', 2, 1],
  ['waits for minReady', 'ready', 2, 1],
  ['has signalled the old one', 'signal-sent', 1, 1],
  ['has lost the old one', 'exited', 1, 1],
  ['has started the first of three', 'spawned', 4, 3],
  ['has replaced the first of three', 'stopped', 1, 3],
  ['is at the last of three', 'spawned', 6, 3],
])(
  'kill -9 of the daemon when a reload %s (%s %i, × %i): the next one ends it, no request fails',
  async (_, phase, nth, instances) => {
    await using home = new Home();
    const port = await servicePort();
    await home.ok(['start', writeServices(home, { api: web(port, { instances, rolling: { minReady: '300ms' } }) })]);
    await using load = startLoad({ port });
    await using reload = home.begin(['reload', 'api']);
    await home.record(phase, undefined, nth);
    await home.killDaemon();
    await reload.ended;
    // Queued behind what is left of the first one.
    await home.ok(['reload', 'api']);
    const after = await serving(home);
    expect(after).toHaveLength(instances);
    await onlyAlive(home, after);
    expect((await load.stop()).reasons).toEqual({});
    expect(await rows(home)).toHaveLength(instances);
  },
);

test.each([
  ['starts the new one', 'spawned', 2],
  ['waits for minReady', 'ready', 2],
  ['has signalled the old one', 'signal-sent', 1],
])(
  'kill -9 of the daemon when a reload %s: by itself it comes to one run, replaced or as before',
  async (_, phase, nth) => {
    await using home = new Home();
    const port = await servicePort();
    await home.ok(['start', writeServices(home, { api: web(port, { rolling: { minReady: '300ms' } }) })]);
    await using load = startLoad({ port });
    await using reload = home.begin(['reload', 'api']);
    await home.record(phase, undefined, nth);
    await home.killDaemon();
    await reload.ended;
    await home.ok(['ls']);
    await home.until('one run', () => (instancesAlive(home).length === 1 ? true : undefined));
    await home.until('the end of the reload', () => {
      const last = home.records.filter((one) => /^rolling-(completed|aborted)$|^notice$/.test(one.phase)).at(-1);
      return last ? true : undefined;
    });
    await onlyAlive(home, await serving(home));
    expect((await load.stop()).reasons).toEqual({});
  },
);

test('kill -9 of the daemon in a reload of a broken release: the old one serves on, no request fails', async () => {
  await using home = new Home();
  const port = await servicePort();
  const script = release(home, 'http.mjs');
  const ready = { log: '^listening', timeout: '2s' };
  await home.ok(['start', writeServices(home, { api: web(port, { script, ready }) })]);
  const before = await serving(home);
  await using load = startLoad({ port });
  release(home, 'late.mjs');
  await using reload = home.begin(['reload', 'api']);
  await home.record('spawned', undefined, 2);
  await home.killDaemon();
  await reload.ended;
  await home.ok(['ls']);
  await home.record('rolling-aborted');
  await onlyAlive(home, before);
  expect(await serving(home)).toEqual(before);
  expect((await load.stop()).reasons).toEqual({});
});

test('after a kill -9 of the daemon the sockets are taken back: a reload, a crash and a delete work as before', async () => {
  await using home = new Home();
  const port = await servicePort();
  const service = web(port, { instances: 2, restart: { minDelay: '1s' } });
  await home.ok(['start', writeServices(home, { api: service })]);
  const before = await serving(home);
  await using load = startLoad({ port });
  await load.until('100 answers', ({ ok }) => ok > 100);
  await home.killDaemon();
  await home.ok(['ls']);
  expect(await serving(home)).toEqual(before);
  await home.ok(['reload', 'api']);
  const after = await serving(home);
  expect(after.filter((pid) => before.includes(pid))).toEqual([]);
  expect((await load.stop()).reasons).toEqual({});
  killAll(after);
  await home.record('backoff');
  expect(await ask(port)).toMatch(/^\d+ \n$/);
  await home.ok(['delete', 'api']);
  await expect(ask(port)).rejects.toThrow('ECONNREFUSED');
});

test('after a kill -9 of the daemon and of every instance the service listens again', async () => {
  await using home = new Home();
  const port = await servicePort();
  await home.ok(['start', writeServices(home, { api: web(port) })]);
  const before = await serving(home);
  await home.killDaemon();
  killAll(before);
  for (const pid of before) await home.gone(pid);
  await home.ok(['ls']);
  await home.record('ready', 'api:0', 2);
  expect(await ask(port)).toBe(`${(await serving(home))[0]} \n`);
});

test('update replaces the daemon under load, and a reload after it works: no request fails', async () => {
  await using home = new Home();
  const port = await servicePort();
  await home.ok(['start', writeServices(home, { api: web(port, { instances: 2 }) })]);
  const before = await serving(home);
  await using load = startLoad({ port });
  await load.until('100 answers', ({ ok }) => ok > 100);
  await home.ok(['update']);
  expect(await serving(home)).toEqual(before);
  await home.ok(['reload', 'api']);
  expect((await serving(home)).filter((pid) => before.includes(pid))).toEqual([]);
  expect((await load.stop()).reasons).toEqual({});
});
