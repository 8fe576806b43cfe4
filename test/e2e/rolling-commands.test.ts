import { expect, test } from 'vitest';
import { isAlive } from '../kit/gsup.ts';
import { Home } from '../kit/home.ts';
import { servicePort, startLoad } from '../kit/load.ts';
import { instancesAlive, onlyAlive, rollingApp, rollingRecords, serving, web, writeServices } from '../kit/rolling.ts';

test.concurrent('reload of a stopped service starts it', async () => {
  await using home = new Home();
  const port = await servicePort();
  await home.ok(['start', writeServices(home, { api: web(port, { instances: 2 }) })]);
  await home.ok(['stop', 'api']);
  expect(instancesAlive(home)).toEqual([]);
  await home.ok(['reload', 'api']);
  expect(await serving(home)).toHaveLength(2);
});

test.concurrent('reload of a name that nobody has exits 4, and replaces nothing', async () => {
  await using home = new Home();
  const port = await servicePort();
  await home.ok(['start', writeServices(home, { api: web(port) })]);
  const before = await serving(home);
  const { status, stderr } = await home.run(['reload', 'ap']);
  expect(status).toBe(4);
  expect(stderr).toContain('did you mean api?');
  expect((await home.run(['reload'])).status).toBe(2);
  expect(await serving(home)).toEqual(before);
});

test.concurrent('rolling-restart is another name of reload; a service without sockets is replaced as well', async () => {
  await using home = new Home();
  const service = { command: ['sleep', '1000'], rolling: { minReady: '10ms' } };
  await home.ok(['start', writeServices(home, { job: service })]);
  const before = await serving(home, 'job');
  await home.ok(['rolling-restart', 'job']);
  const after = await serving(home, 'job');
  expect(after).not.toEqual(before);
  await onlyAlive(home, after);
});

test.concurrent('two reloads at once queue: both exit 0, everything is replaced twice', async () => {
  await using home = new Home();
  const port = await servicePort();
  await home.ok(['start', writeServices(home, { api: web(port, { instances: 2 }) })]);
  const both = await Promise.all([home.run(['reload', 'api']), home.run(['reload', 'api'])]);
  expect(both.map(({ status, stderr }) => (status === 0 ? 0 : stderr))).toEqual([0, 0]);
  expect(home.records.filter(({ phase }) => phase === 'spawned')).toHaveLength(6);
  const once = ['rolling-started api', 'rolling-completed api'];
  expect(rollingRecords(home.records)).toEqual([...once, ...once]);
  await onlyAlive(home, await serving(home));
});

test.concurrent.each([
  ['names in any order', ['web', 'api', 'db']],
  ['all', ['all']],
])('reload of several (%s) goes one service at a time, what is depended on first', async (_, names) => {
  await using home = new Home();
  const job = { command: ['sleep', '1000'], ready: { exec: ['true'] }, rolling: { minReady: '10ms' } };
  const file = writeServices(home, {
    web: { ...job, dependsOn: ['api'] },
    api: { ...job, dependsOn: ['db'], instances: 2 },
    db: job,
  });
  await home.ok(['start', file]);
  await home.ok(['reload', ...names]);
  expect(rollingRecords(home.records)).toEqual(
    ['db', 'api', 'web'].flatMap((name) => [`rolling-started ${name}`, `rolling-completed ${name}`]),
  );
  const { stdout } = await home.ok(['events']);
  expect(stdout.match(/^.*rolling restart.*$/gim)?.length).toBeGreaterThanOrEqual(6);
});

test.concurrent('when one of several fails, the ones after it are left alone', async () => {
  await using home = new Home();
  const job = { command: ['sleep', '1000'], rolling: { minReady: '10ms' } };
  const script = home.write('db.mjs', 'setInterval(() => {}, 1e9); console.log("up");');
  const db = { script, ready: { log: '^up' }, rolling: { minReady: '10ms' } };
  await home.ok(['start', writeServices(home, { db, api: { ...job, dependsOn: ['db'] } })]);
  const before = [await serving(home, 'db'), await serving(home, 'api')];
  home.write('db.mjs', 'throw new Error("no disk")');
  const { status, stderr } = await home.run(['reload', 'api', 'db']);
  expect(status).toBe(1);
  expect(stderr).toContain('Error: no disk');
  expect([await serving(home, 'db'), await serving(home, 'api')]).toEqual(before);
  expect(rollingRecords(home.records)).toEqual(['rolling-started db', 'rolling-aborted db']);
});

test.concurrent('Ctrl-C leaves the command, and the reload goes on', async () => {
  await using home = new Home();
  const port = await servicePort();
  await home.ok(['start', writeServices(home, { api: web(port, { rolling: { minReady: '1s' } }) })]);
  const [old] = await serving(home);
  await using reload = home.begin(['reload', 'api']);
  await home.record('ready', 'api:0', 2);
  reload.kill('SIGINT');
  await reload.ended;
  expect(home.records.some(({ phase }) => phase === 'rolling-completed')).toBe(false);
  await home.record('rolling-completed');
  await home.gone(Number(old));
  await onlyAlive(home, await serving(home));
});

test('scale goes down from the highest index by the ladder, and no request fails', async () => {
  await using home = new Home();
  const port = await servicePort();
  await home.ok(['start', writeServices(home, { api: web(port, { instances: 3 }) })]);
  const before = await serving(home);
  await using load = startLoad({ port });
  await load.until('100 answers', ({ ok }) => ok > 100);
  await home.ok(['scale', 'api', '1']);
  expect(await serving(home)).toEqual(before.slice(0, 1));
  expect(before.slice(1).filter(isAlive)).toEqual([]);
  expect((await load.stop()).reasons).toEqual({});
  const verdicts = home.records.filter(({ phase }) => phase === 'stopped').map((one) => [one.instance, one.verdict]);
  expect(verdicts.sort()).toEqual([
    ['api:1', 'clean'],
    ['api:2', 'clean'],
  ]);
});

test('stop in the middle of a reload ends both runs of the instance, and the reload exits 1', async () => {
  await using home = new Home();
  const port = await servicePort();
  await home.ok(['start', writeServices(home, { api: web(port, { rolling: { minReady: '10s' } }) })]);
  await using reload = home.begin(['reload', 'api']);
  await home.record('ready', 'api:0', 2);
  await home.ok(['stop', 'api']);
  expect(await reload.status()).toBe(1);
  expect(instancesAlive(home)).toEqual([]);
});

test('restart in the middle of a reload leaves one run of each instance', async () => {
  await using home = new Home();
  const port = await servicePort();
  await home.ok(['start', writeServices(home, { api: web(port, { rolling: { minReady: '1s' } }) })]);
  await using reload = home.begin(['reload', 'api']);
  await home.record('ready', 'api:0', 2);
  await home.ok(['restart', 'api']);
  await reload.ended;
  const after = await serving(home);
  expect(after).toHaveLength(1);
  await onlyAlive(home, after);
});

test('delete frees the port', async () => {
  await using home = new Home();
  const port = await servicePort();
  await home.ok(['start', writeServices(home, { api: web(port) })]);
  await home.ok(['delete', 'api']);
  const { sockets: _, ...plain } = web(port, { script: rollingApp('plain-port.mjs') });
  await home.ok(['start', writeServices(home, { other: plain })]);
  expect(await serving(home, 'other')).toHaveLength(1);
});
