import { expect, test } from 'vitest';
import { Home } from '../kit/home.ts';
import { ask, servicePort, startLoad } from '../kit/load.ts';
import { onlyAlive, release, rollingApp, rollingRecords, rows, serving, web, writeServices } from '../kit/rolling.ts';

test.each([
  ['throws', 'broken.mjs', 'Error: this release is broken', 'exit 1 before it was ready', 1],
  ['throws', 'broken.mjs', 'Error: this release is broken', 'exit 1 before it was ready', 3],
  ['never gets ready', 'late.mjs', 'waiting for what never comes', 'not ready within 1s', 1],
])(
  'a release that %s (%s) is removed: exit 1, the end of its stderr, nobody notices',
  async (_, app, says, why, instances) => {
    await using home = new Home();
    const port = await servicePort();
    const script = release(home, 'http.mjs');
    const ready = { log: '^listening', timeout: '1s' };
    await home.ok(['start', writeServices(home, { api: web(port, { script, instances, ready }) })]);
    const [pids, before] = [await serving(home), await rows(home)];
    await using load = startLoad({ port });
    release(home, app);
    const { status, stderr } = await home.run(['reload', 'api']);
    expect(status).toBe(1);
    expect(stderr).toContain(says);
    expect(await serving(home)).toEqual(pids);
    expect(await rows(home)).toEqual(before);
    await onlyAlive(home, pids);
    const { ok } = load.report;
    await load.until('more answers', (report) => report.ok > ok + 100);
    expect((await load.stop()).reasons).toEqual({});
    expect(rollingRecords(home.records)).toEqual(['rolling-started api', 'rolling-aborted api']);
    expect(await home.record('rolling-aborted')).toMatchObject({ service: 'api', instance: 'api:0', reason: why });
    release(home, 'http.mjs');
    await home.ok(['reload', 'api']);
    expect((await serving(home)).filter((pid) => pids.includes(pid))).toEqual([]);
  },
);

test('apply of a file whose new version throws: exit 1, the old spec is in force again', async () => {
  await using home = new Home();
  const port = await servicePort();
  const write = (more: object) => writeServices(home, { api: web(port, { instances: 2, ...more }) });
  await home.ok(['start', write({ env: { VERSION: '1' } })]);
  const [pids, before] = [await serving(home), await rows(home)];
  await using load = startLoad({ port });
  const file = write({ env: { VERSION: '2' }, script: rollingApp('broken.mjs') });
  const { status, stderr } = await home.run(['apply', '-c', file]);
  expect(status).toBe(1);
  expect(stderr).toContain('Error: this release is broken');
  expect(await serving(home)).toEqual(pids);
  expect(await rows(home)).toEqual(before);
  await home.ok(['reload', 'api']);
  expect(Object.keys((await load.stop()).versions)).toEqual(['1']);
  expect(load.report.reasons).toEqual({});
  expect(await ask(port)).toMatch(/^\d+ 1\n$/);
});

test('a new version of which the second instance throws is taken back: all are of the old one', async () => {
  await using home = new Home();
  const port = await servicePort();
  const script = home.write(
    'app.mjs',
    `if (process.env.VERSION === '2' && process.env.NODE_APP_INSTANCE === '1') throw new Error('not on this one');
await import(${JSON.stringify(rollingApp('http.mjs'))});
`,
  );
  const write = (VERSION: string) =>
    writeServices(home, { api: web(port, { script, instances: 3, env: { VERSION } }) });
  await home.ok(['start', write('1')]);
  const before = await serving(home);
  await using load = startLoad({ port });
  const { status, stderr } = await home.run(['apply', '-c', write('2')]);
  expect(status).toBe(1);
  expect(stderr).toContain('Error: not on this one');
  const after = await serving(home);
  expect(after.map((pid) => before.includes(pid))).toEqual([false, true, true]);
  await onlyAlive(home, after);
  expect((await load.stop()).reasons).toEqual({});
  await using later = startLoad({ port, maxRequests: 200 });
  await later.until('200 answers', ({ ok }) => ok === 200);
  expect(later.report.versions).toEqual({ '1': 200 });
});

test('a service on a port of its own can not run twice: exit 1, the old one stays, and it says what to do', async () => {
  await using home = new Home();
  const port = await servicePort();
  const { sockets: _, ...service } = web(port, { script: rollingApp('plain-port.mjs') });
  await home.ok(['start', writeServices(home, { api: service })]);
  const pids = await serving(home);
  const { status, stderr } = await home.run(['reload', 'api']);
  expect(status).toBe(1);
  expect(stderr).toContain('EADDRINUSE');
  expect(stderr).toContain('sockets');
  expect(stderr).toContain('maxSurge: 0');
  expect(await serving(home)).toEqual(pids);
  expect(await ask(port)).toBe(`${pids[0]} \n`);
});

test('a new one that gets ready and fails within minReady is removed, and the old one stays', async () => {
  await using home = new Home();
  const port = await servicePort();
  const script = release(home, 'http.mjs');
  await home.ok(['start', writeServices(home, { api: web(port, { script, rolling: { minReady: '5s' } }) })]);
  const pids = await serving(home);
  home.write('app.mjs', `console.log('listening'); setTimeout(() => { throw new Error('too soon glad'); }, 100);`);
  await using load = startLoad({ port });
  const { status, stderr } = await home.run(['reload', 'api']);
  expect(status).toBe(1);
  expect(stderr).toContain('Error: too soon glad');
  expect(await serving(home)).toEqual(pids);
  expect((await load.stop()).reasons).toEqual({});
});

test('in place (maxSurge 0) a version that throws gives way to the old one, started again', async () => {
  await using home = new Home();
  const port = await servicePort();
  const write = (more: object) => writeServices(home, { api: web(port, { rolling: { maxSurge: 0 }, ...more }) });
  await home.ok(['start', write({ env: { VERSION: '1' } })]);
  await using load = startLoad({ port });
  const file = write({ env: { VERSION: '2' }, script: rollingApp('broken.mjs') });
  expect((await home.run(['apply', '-c', file])).status).toBe(1);
  expect(await ask(port)).toMatch(/^\d+ 1\n$/);
  expect((await load.stop()).reasons).toEqual({});
  expect(Object.keys(load.report.versions)).toEqual(['1']);
});
