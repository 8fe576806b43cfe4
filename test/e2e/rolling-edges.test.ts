import { expect, test } from 'vitest';
import { isAlive } from '../kit/gsup.ts';
import { Home } from '../kit/home.ts';
import { ask, servicePort, startLoad } from '../kit/load.ts';
import {
  instancesAlive,
  killAll,
  onlyAlive,
  release,
  rollingRecords,
  rows,
  serving,
  web,
  writeServices,
} from '../kit/rolling.ts';

test('the new one is killed before it is ready: exit 1, the old one serves on', async () => {
  await using home = new Home();
  const port = await servicePort();
  const script = release(home, 'http.mjs');
  await home.ok(['start', writeServices(home, { api: web(port, { script }) })]);
  const before = await serving(home);
  release(home, 'late.mjs');
  await using load = startLoad({ port });
  await using reload = home.begin(['reload', 'api']);
  const { pid } = await home.record('spawned', 'api:0', 2);
  killAll([Number(pid)]);
  expect(await reload.status()).toBe(1);
  await onlyAlive(home, before);
  expect((await load.stop()).reasons).toEqual({});
});

test('the old one is killed while the new one comes: connections wait for it, none is refused', async () => {
  await using home = new Home();
  const port = await servicePort();
  await home.ok(['start', writeServices(home, { api: web(port, { rolling: { minReady: '300ms' } }) })]);
  const [old] = await serving(home);
  await using load = startLoad({ port });
  await using reload = home.begin(['reload', 'api']);
  await home.record('spawned', 'api:0', 2);
  killAll([Number(old)]);
  await reload.ended;
  await load.until('an answer of another', ({ pids }) => Object.keys(pids).some((pid) => Number(pid) !== old));
  const { reasons } = await load.stop();
  expect(Object.keys(reasons).filter((reason) => reason.startsWith('ECONNREFUSED'))).toEqual([]);
  await home.ok(['reload', 'api']);
  await onlyAlive(home, await serving(home));
});

test('every instance is killed in the middle of a reload: the service comes back as many as it was', async () => {
  await using home = new Home();
  const port = await servicePort();
  await home.ok(['start', writeServices(home, { api: web(port, { instances: 3, rolling: { minReady: '300ms' } }) })]);
  await using reload = home.begin(['reload', 'api']);
  await home.record('spawned', undefined, 5);
  killAll(instancesAlive(home));
  await reload.ended;
  await home.until('three to be alive', () => (instancesAlive(home).length === 3 ? true : undefined));
  await home.ok(['reload', 'api']);
  const after = await serving(home);
  expect(after).toHaveLength(3);
  await onlyAlive(home, after);
});

test.each([['delete'], ['kill']])('%s in the middle of a reload ends both runs and frees the port', async (command) => {
  await using home = new Home();
  const port = await servicePort();
  await home.ok(['start', writeServices(home, { api: web(port, { instances: 2, rolling: { minReady: '10s' } }) })]);
  await using reload = home.begin(['reload', 'api']);
  await home.record('ready', 'api:0', 2);
  await home.ok(command === 'kill' ? ['kill'] : [command, 'api']);
  await reload.ended;
  expect(reload.child.exitCode).not.toBe(0);
  expect(instancesAlive(home)).toEqual([]);
  await expect(ask(port)).rejects.toThrow('ECONNREFUSED');
});

test('scale in the middle of a reload: both are done, as many as asked for are left', async () => {
  await using home = new Home();
  const port = await servicePort();
  await home.ok(['start', writeServices(home, { api: web(port, { instances: 2, rolling: { minReady: '300ms' } }) })]);
  const before = await serving(home);
  await using load = startLoad({ port });
  await using reload = home.begin(['reload', 'api']);
  await home.record('spawned', undefined, 3);
  await home.ok(['scale', 'api', '3']);
  expect(await reload.status()).toBe(0);
  await home.until('three to be alive', () => (instancesAlive(home).length === 3 ? true : undefined));
  const after = await serving(home);
  expect(after).toHaveLength(3);
  expect(after.filter((pid) => before.includes(pid))).toEqual([]);
  expect((await load.stop()).reasons).toEqual({});
});

test('a broken release that is in backoff is replaced by a good one with reload', async () => {
  await using home = new Home();
  const port = await servicePort();
  const script = release(home, 'broken.mjs');
  const service = web(port, { script, restart: { minDelay: '30s', maxDelay: '30s' } });
  expect((await home.run(['start', writeServices(home, { api: service })])).status).toBe(1);
  release(home, 'http.mjs');
  await home.ok(['reload', 'api']);
  expect(await ask(port)).toBe(`${(await serving(home))[0]} \n`);
});

test('reload of one instance replaces that one only', async () => {
  await using home = new Home();
  const port = await servicePort();
  await home.ok(['start', writeServices(home, { api: web(port, { instances: 3 }) })]);
  const before = await serving(home);
  await home.ok(['reload', 'api:1']);
  const after = await serving(home);
  expect(after.map((pid, index) => pid === before[index])).toEqual([true, false, true]);
  await onlyAlive(home, after);
});

test('apply that moves a socket to another port: the new one answers, the old port is free', async () => {
  await using home = new Home();
  const [from, to] = [await servicePort(), await servicePort()];
  await home.ok(['start', writeServices(home, { api: web(from) })]);
  await home.ok(['apply', '-c', writeServices(home, { api: web(to) })]);
  const [pid] = await serving(home);
  expect(await ask(to)).toBe(`${pid} \n`);
  await expect(ask(from)).rejects.toThrow('ECONNREFUSED');
  await onlyAlive(home, [Number(pid)]);
});

test('apply of a socket on a port that is in use: exit 1 with who has it, everything as before', async () => {
  await using home = new Home();
  await using other = new Home();
  const [from, taken] = [await servicePort(), await servicePort()];
  await other.ok(['start', writeServices(other, { api: web(taken) })]);
  await home.ok(['start', writeServices(home, { api: web(from) })]);
  const [pids, before] = [await serving(home), await rows(home)];
  const { status, stderr } = await home.run(['apply', '-c', writeServices(home, { api: web(taken) })]);
  expect(status).toBe(1);
  expect(stderr).toContain(`127.0.0.1:${taken}`);
  expect(await rows(home)).toEqual(before);
  expect(await ask(from)).toBe(`${pids[0]} \n`);
});

test('no line is lost over reloads, and all are in the log of the instance, in the order of each run', async () => {
  await using home = new Home();
  const port = await servicePort();
  const script = home.write(
    'app.mjs',
    `import { createServer } from 'node:http';
let n = 0;
const line = (text) => process.stdout.write(process.pid + ' ' + text + '\\n');
const timer = setInterval(() => line(++n), 1);
createServer((_, response) => response.end(process.pid + ' \\n')).listen(Number(process.env.PORT), '127.0.0.1', () => line('listening'));
process.on('SIGTERM', () => { clearInterval(timer); line('end ' + n); process.exit(0); });
`,
  );
  await home.ok(['start', writeServices(home, { api: web(port, { script, ready: { log: 'listening' } }) })]);
  const pids = [...(await serving(home))];
  for (let reload = 0; reload < 3; reload++) {
    await home.ok(['reload', 'api']);
    pids.push(...(await serving(home)));
  }
  await home.ok(['stop', 'api']);
  const lines = home.lines('api:0').filter((line) => !line.endsWith('listening'));
  for (const pid of pids) {
    const own = lines.filter((line) => line.startsWith(`${pid} `)).map((line) => line.slice(`${pid} `.length));
    const count = Number(/^end (\d+)$/.exec(own.at(-1) ?? '')?.[1]);
    expect(own.slice(0, -1), String(pid)).toEqual(Array.from({ length: count }, (_, n) => String(n + 1)));
  }
});

test('ten reloads leave no descriptor and no process behind in the daemon', async () => {
  await using home = new Home();
  const port = await servicePort();
  const service = web(port, { instances: 2, rolling: { minReady: '0s' }, ready: { fd: 9 } });
  const script = home.write(
    'app.mjs',
    `import { writeSync } from 'node:fs';
import { createServer } from 'node:http';
createServer((_, response) => response.end(process.pid + ' \\n')).listen(Number(process.env.PORT), '127.0.0.1', () => writeSync(9, '\\n'));
process.on('SIGTERM', () => process.exit(0));
`,
  );
  await home.ok(['start', writeServices(home, { api: { ...service, script } })]);
  await home.ok(['reload', 'api']);
  const daemon = await home.daemonPid();
  const before = home.descriptors(daemon);
  for (let reload = 0; reload < 10; reload++) await home.ok(['reload', 'api']);
  const after = await serving(home);
  await onlyAlive(home, after);
  expect(after.filter(isAlive)).toHaveLength(2);
  await home.until('the descriptors of before', () => (home.descriptors(daemon) <= before + 1 ? true : undefined));
  expect(rollingRecords(home.records)).toHaveLength(22);
});
