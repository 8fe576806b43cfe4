import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import type { DrillReport } from '../../src/core/drill.ts';
import { fixture, freePort, isAlive } from '../kit/gsup.ts';
import { type Done, Home } from '../kit/home.ts';

type Printed = { readonly isClean: boolean; readonly stopMs: object | null; readonly drills: readonly DrillReport[] };
type Service = Readonly<Record<string, unknown>>;

/** A home with a file of services, and folders for what a drill may lay down. */
function homeWith(services: Readonly<Record<string, Service>>) {
  const home = new Home();
  const file = home.write('supervisor.yaml', JSON.stringify({ services }));
  const env = { TMPDIR: home.folder, XDG_RUNTIME_DIR: home.folder };
  const drill = (args: readonly string[]) => home.run(['drill', ...args, '--duration', '300ms', '--json'], { env });
  return { home, file, env, drill };
}

function printed(done: Done): DrillReport {
  const { drills }: Printed = JSON.parse(done.stdout);
  const [report] = drills;
  if (report === undefined) throw new Error(done.stderr);
  return report;
}

/** Files of a drill that are still there. */
function leftIn({ folder }: Home): readonly string[] {
  return readdirSync(folder).filter((name) => name.startsWith('gsup-'));
}

/** The folders that the guard of a drill is to clear away. */
function guardedBy(drill: number | undefined): readonly string[] {
  const guard = readFileSync(`/proc/${drill}/task/${drill}/children`, 'latin1')
    .split(' ')
    .filter(Boolean)
    .map((pid) => readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0'))
    .find((argv) => argv.includes('gsup-drill-guard'));
  return guard?.slice(guard.indexOf('gsup-drill-guard') + 2, -1) ?? [];
}

function web(port: number, script: string, more: Service = {}): Service {
  const address = `127.0.0.1:${port}`;
  return {
    script: fixture(script),
    env: { PORT: String(port) },
    sockets: { http: address },
    ready: { http: `http://${address}/readyz` },
    ...more,
  };
}

test('an app that drains loses no request that was under way; what serves and the home stay as they are', async () => {
  const port = await freePort();
  const { home, file, env, drill } = homeWith({ api: web(port, 'drill/draining.mjs') });
  await using _ = home;
  await home.ok(['start', file], { env });
  const before = { pids: await home.pids(), logs: readdirSync(home.file('logs')) };
  const done = await drill(['api', '--rate', '40', '--url', `http://127.0.0.1:${port}/work`]);
  const report = printed(done);
  expect([done.status, report.problems], done.stdout).toEqual([0, []]);
  expect(report).toMatchObject({ instance: 'api:1', verdict: 'clean', exit: { code: 0, signal: null }, survivors: [] });
  expect(report.requests?.underWay).toBeGreaterThan(0);
  expect(report.requests?.draining.answered).toBeGreaterThanOrEqual(report.requests?.underWay ?? 0);
  expect(report.phases.filter(({ of }) => of === 'app').map(({ name }) => name)).toEqual(
    expect.arrayContaining(['draining', 'closing-servers', 'waiting', 'closing', 'flushing']),
  );
  expect({ pids: await home.pids(), logs: readdirSync(home.file('logs')) }).toEqual(before);
  expect(home.records.some(({ instance }) => instance === 'api:1')).toBe(false);
  expect(leftIn(home)).toEqual([]);
});

test('an app that ends at once loses what it had accepted: exit 1, without a daemon', async () => {
  const port = await freePort();
  const { home, file, drill } = homeWith({ api: web(port, 'drill/cutting.mjs') });
  await using _ = home;
  const done = await drill(['-c', file, 'api', '--rate', '40', '--url', `http://127.0.0.1:${port}/held`]);
  const { requests, problems } = printed(done);
  expect(done.status).toBe(1);
  expect(requests?.draining.lost).toBeGreaterThan(0);
  expect(problems).toEqual([expect.stringMatching(/^\d+ of \d+ requests lost: taken, and never answered$/)]);
  expect(readdirSync(home.folder)).toEqual(['supervisor.yaml']);
});

test('one that ignores the stop signal is killed at the end of its grace period: exit 1', async () => {
  const { home, file, drill } = homeWith({
    api: {
      command: ['sh', '-c', 'trap "" TERM; echo up; while :; do sleep 0.05; done'],
      ready: { log: 'up' },
      stop: { grace: '300ms' },
    },
  });
  await using _ = home;
  const done = await drill(['-c', file, 'api']);
  expect(done.status).toBe(1);
  expect(printed(done)).toMatchObject({ verdict: 'killed', graceUsed: 1, exit: { code: null, signal: 'SIGKILL' } });
  expect(printed(done).problems).toEqual(['it did not end within its grace period of 300ms and was killed']);
});

test('a survivor that holds the port is named, and gone afterwards', async () => {
  const port = await freePort();
  const { home, file, drill } = homeWith({
    api: {
      script: fixture('drill/leaving.mjs'),
      env: { PORT: String(port) },
      ready: { log: 'up' },
      stop: { killMode: 'leader' },
    },
  });
  await using _ = home;
  const done = await drill(['-c', file, 'api']);
  const { survivors, ports } = printed(done);
  expect(done.status).toBe(1);
  expect(survivors).toEqual([
    { pid: expect.any(Number), command: expect.stringContaining('createServer'), end: 'left' },
  ]);
  expect(ports).toEqual([{ address: `127.0.0.1:${port}`, pid: survivors[0]?.pid, command: survivors[0]?.command }]);
  expect(isAlive(survivors[0]?.pid ?? 0)).toBe(false);
});

test('a service that binds its port itself: the holder is named, and another port is a way out', async () => {
  const port = await freePort();
  const other = await freePort();
  const { home, file, drill } = homeWith({ api: web(port, 'http-server.mjs', { sockets: {} }) });
  await using _ = home;
  await home.ok(['start', file]);
  const { pid } = await home.instance('api:0');
  const refused = await drill(['api']);
  expect([refused.status, refused.stdout]).toEqual([1, '']);
  expect(refused.stderr).toContain(`gsup: cannot drill api: port ${port} is held by pid ${pid} (`);
  expect(refused.stderr).toContain(`--env PORT=${port + 1}`);
  const done = await drill(['api', '--env', `PORT=${other}`, '--rate', '20']);
  expect([done.status, printed(done).problems]).toEqual([0, []]);
  expect(printed(done).requests?.url).toBe(`http://127.0.0.1:${other}/readyz`);
});

test('EADDRINUSE behind another readiness check is told in the same way', async () => {
  const port = await freePort();
  const { home, file, drill } = homeWith({
    api: web(port, 'http-server.mjs', { sockets: {}, ready: { log: 'listening' } }),
  });
  await using _ = home;
  await home.ok(['start', file]);
  const { pid } = await home.instance('api:0');
  const refused = await drill(['api']);
  expect(refused.status).toBe(1);
  expect(refused.stderr).toContain(`gsup: cannot drill api: port ${port} is held by pid ${pid} (`);
});

test('--outer that is too short for the whole plan: exit 1; enough of it: exit 0', async () => {
  const { home, file, drill } = homeWith({
    api: { command: ['sleep', '100'], stop: { drainDelay: '100ms', grace: '5s' } },
  });
  await using _ = home;
  const short = await drill(['-c', file, 'api', '--outer', '6s']);
  expect([short.status, printed(short).outer]).toEqual([
    1,
    { name: 'outer', limitMs: 6_000, needMs: 6_100, fits: false },
  ]);
  const enough = await drill(['-c', file, 'api', '--outer', '7s']);
  expect([enough.status, printed(enough).problems]).toEqual([0, []]);
});

test.each(['SIGINT', 'SIGTERM', 'SIGHUP'] as const)(
  '%s in the middle stops the spare by its ladder and leaves nothing',
  async (signal) => {
    const port = await freePort();
    const { home, file, env } = homeWith({ api: web(port, 'drill/draining.mjs') });
    await using _ = home;
    await using gsup = home.begin(['drill', '-c', file, 'api', '--rate', '20', '--duration', '60s'], { env });
    await gsup.until('ready', () => (gsup.stderr.includes('ready; 20 requests a second') ? true : undefined));
    gsup.kill(signal);
    expect(await gsup.status()).toBe({ SIGINT: 130, SIGTERM: 143, SIGHUP: 129 }[signal]);
    expect(gsup.stderr).toContain(
      `the drill was interrupted by ${signal}: its spare is stopped, and nothing of it is left`,
    );
    expect(gsup.stderr).toContain('stopped cleanly');
    expect([gsup.output, gsup.alive(), readdirSync(home.folder)]).toEqual(['', [], ['supervisor.yaml']]);
  },
);

test('a second SIGINT waits no longer', async () => {
  const { home, file, env } = homeWith({
    api: {
      command: ['sh', '-c', 'trap "" TERM; echo up; while :; do sleep 0.05; done'],
      ready: { log: 'up' },
      stop: { grace: '1h' },
    },
  });
  await using _ = home;
  await using gsup = home.begin(['drill', '-c', file, 'api', '--duration', '60s'], { env });
  await gsup.until('ready', () => (gsup.stderr.includes('ready; no load') ? true : undefined));
  gsup.kill('SIGINT');
  await gsup.until('the signal', () => (gsup.stderr.includes('SIGTERM to') ? true : undefined));
  gsup.kill('SIGINT');
  expect(await gsup.status()).toBe(130);
  expect([gsup.alive(), readdirSync(home.folder)]).toEqual([[], ['supervisor.yaml']]);
});

test('the daemon killed with -9 in the middle: the drill comes to its end, and the next daemon knows nothing of it', async () => {
  const port = await freePort();
  const { home, file, env } = homeWith({ api: web(port, 'drill/draining.mjs') });
  await using _ = home;
  await home.ok(['start', file], { env });
  const pids = await home.pids();
  await using gsup = home.begin(['drill', 'api', '--rate', '20', '--duration', '1s'], { env });
  await gsup.until('ready', () => (gsup.stderr.includes('ready; 20') ? true : undefined));
  await home.killDaemon();
  expect(await gsup.status()).toBe(0);
  expect(gsup.output).toMatch(/^[✓+] api:1 {2}a clean stop in /);
  expect(await home.pids()).toEqual(pids);
  expect(leftIn(home)).toEqual([]);
});

test('what can not be drilled: an unknown name 4, an instance 2, a dependency that is down 3, one that does not come up 1', async () => {
  const { home, file, drill } = homeWith({
    db: { command: ['sleep', '100'] },
    api: { command: ['sleep', '100'], dependsOn: ['db'] },
    broken: { command: ['sh', '-c', 'echo no luck >&2; exit 3'], restart: { policy: 'never' } },
  });
  await using _ = home;
  await home.run(['start', file]);
  await home.ok(['stop', 'db']);
  expect(await drill(['apy'])).toMatchObject({ status: 4, stderr: 'gsup: no service apy\n  did you mean api?\n' });
  expect((await drill(['api:0'])).status).toBe(2);
  expect(await drill(['api'])).toMatchObject({
    status: 3,
    stderr: 'gsup: cannot drill api: it depends on db, which is not up\n  start it: gsup start db\n',
  });
  const broken = await drill(['broken']);
  expect(broken.status).toBe(1);
  expect(broken.stderr).toContain('cannot drill broken: it ended by itself before it was to be stopped');
  expect(broken.stderr).toContain('| no luck');
  expect((await drill(['-c', file, 'apy'])).status).toBe(4);
  expect(await drill(['db', '--rate', '5'])).toMatchObject({ status: 2 });
});

test('a worker without sockets and checks is drilled without load, several times', async () => {
  const { home, file, drill } = homeWith({ worker: { command: ['sleep', '100'], instances: 2 } });
  await using _ = home;
  const done = await drill(['-c', file, 'worker', '--times', '2']);
  const all: Printed = JSON.parse(done.stdout);
  expect(done.status).toBe(0);
  expect(all).toMatchObject({
    isClean: true,
    stopMs: { min: expect.any(Number), median: expect.any(Number), max: expect.any(Number) },
  });
  expect(all.drills.map(({ instance, requests }) => [instance, requests])).toEqual([
    ['worker:2', null],
    ['worker:2', null],
  ]);
});

test('the spare has the environment that the daemon keeps, secrets too, and a Unix socket of its own', async () => {
  const say = 'echo "$API_TOKEN $LISTEN_FDS $GSUP_INSTANCE" >&2; exit 1';
  const { home, file, env, drill } = homeWith({
    api: {
      command: ['sh', '-c', `test "$GSUP_INSTANCE" = 0 && exec sleep 100; ${say}`],
      sockets: { http: './api.sock' },
    },
  });
  await using _ = home;
  await home.ok(['start', file], { env: { ...env, API_TOKEN: 'hunter2' } });
  const done = await drill(['api']);
  expect(done.stderr).toContain('| ******** 1 1');
  expect(leftIn(home)).toEqual([]);
});

test('the drill killed with -9: its guard clears the spare and its folders away', async () => {
  const { home, file, env } = homeWith({
    api: {
      command: ['sh', '-c', 'trap "" TERM HUP; echo up; while :; do sleep 0.05; done'],
      ready: { log: 'up' },
      sockets: { http: './api.sock' },
    },
  });
  await using _ = home;
  await using gsup = home.begin(['drill', '-c', file, 'api', '--duration', '60s'], { env });
  await gsup.until('ready', () => (gsup.stderr.includes('ready; no load') ? true : undefined));
  const folders = guardedBy(gsup.child.pid);
  const names = folders.map((folder) => readdirSync(folder).sort());
  expect(names).toEqual([[expect.stringMatching(/^link-[\da-f]{16}\.sock$/), 'owner'], ['0.sock']]);
  gsup.kill('SIGKILL');
  await gsup.ended;
  await home.until('nothing of it', () => (gsup.alive().length === 0 && !folders.some(existsSync) ? true : undefined));
});
