import { chmodSync, chownSync, mkdirSync, readdirSync, statSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { fixture, isAlive } from '../kit/gsup.ts';
import { Home } from '../kit/home.ts';

const QUIET = fixture('quiet.mjs');

test.concurrent('twelve racing starts of different services: one daemon, each started once, all exit 0', async () => {
  await using home = new Home();
  const names = Array.from({ length: 12 }, (_, n) => `s${n}`);
  const all = await Promise.all(names.map((name) => home.run(['start', '--name', name, '--', 'sleep', '1000'])));
  expect(all.map(({ status, stderr }) => (status === 0 ? 0 : stderr))).toEqual(names.map(() => 0));
  expect(home.daemonPids()).toHaveLength(1);
  const views = await home.ls();
  expect(views.map(({ service }) => service).sort()).toEqual([...names].sort());
  expect(views.every(({ state }) => state === 'running')).toBe(true);
  expect(home.alive()).toHaveLength(13);
});

test.concurrent('twelve racing starts of the same service: it is started once, all exit 0', async () => {
  await using home = new Home();
  const starts = Array.from({ length: 12 }, () => home.run(['start', '--name', 'api', '--', 'sleep', '1000']));
  const all = await Promise.all(starts);
  expect(all.map(({ status, stderr }) => (status === 0 ? 0 : stderr))).toEqual(starts.map(() => 0));
  expect(await home.ls()).toHaveLength(1);
  expect(home.records.filter(({ phase }) => phase === 'spawned')).toHaveLength(1);
  expect(home.alive()).toHaveLength(2);
});

test.concurrent('twelve racing starts of files, each of which has had a daemon loaded: one daemon, all exit 0', async () => {
  await using home = new Home();
  const names = Array.from({ length: 12 }, (_, n) => `s${n}`);
  const files = names.map((name) => home.write(`${name}.yaml`, `services: { ${name}: { command: [sleep, '1000'] } }`));
  const all = await Promise.all(files.map((file) => home.run(['start', file])));
  expect(all.map(({ status, stderr }) => (status === 0 ? 0 : stderr))).toEqual(names.map(() => 0));
  expect((await home.ls()).map(({ service }) => service).sort()).toEqual([...names].sort());
  await home.until('one daemon', () => (home.daemonPids().length === 1 ? true : undefined));
});

test.concurrent('a file with mistakes leaves no daemon', async () => {
  await using home = new Home();
  const file = home.write('supervisor.yaml', 'services: { api: { comand: [sleep, 1] } }');
  expect((await home.run(['start', file])).status).toBe(78);
  await home.until('the end of all', () => (home.alive().length === 0 ? true : undefined));
  expect(readdirSync(home.path)).not.toContain('gsup.sock');
});

test.concurrent('a daemon that is not wanted yet does nothing, and ends with a command that is killed', async () => {
  await using home = new Home();
  const file = home.write('supervisor.config.mjs', 'await new Promise(() => setInterval(() => {}, 1_000));');
  await using start = home.begin(['start', file]);
  await home.until('a process for the daemon', () => (home.daemonPids().length === 1 ? true : undefined));
  start.kill('SIGKILL');
  await start.ended;
  await home.until('the end of all', () => (home.alive().length === 0 ? true : undefined));
  expect(readdirSync(home.path).sort()).toEqual(['daemon.log', 'environments', 'logs', 'streams']);
});

test.concurrent('home and what is in it are for nobody else', async () => {
  await using home = new Home();
  await home.ok(['start', QUIET, '--ready', 'exec:true']);
  const mode = (name: string) => (statSync(home.file(name)).mode & 0o777).toString(8);
  await home.until('the copy of the state', () =>
    readdirSync(home.path).includes('state.json.last-good') ? true : undefined,
  );
  expect(mode('.')).toBe('700');
  for (const folder of ['logs', 'environments', 'streams']) {
    expect(mode(folder), folder).toBe('700');
    for (const file of readdirSync(home.file(folder))) expect(mode(join(folder, file)), file).toBe('600');
  }
  for (const file of ['gsup.sock', 'state.json', 'state.json.last-good', 'events.ndjson', 'daemon.log', 'spool']) {
    expect(mode(file), file).toBe('600');
  }
});

test.concurrent('a home that others may write to is refused, and nothing is started', async () => {
  await using home = new Home();
  mkdirSync(home.path);
  for (const mode of [0o770, 0o707]) {
    chmodSync(home.path, mode);
    const { status, stderr } = await home.run(['start', QUIET]);
    const text = `cannot use the home ${home.path}: it is writable by others (mode ${mode.toString(8)})`;
    expect({ status, stderr }).toEqual({ status: 1, stderr: `gsup: ${text}\n  chmod 700 ${home.path}\n` });
  }
  expect((await home.run(['daemon'])).status).toBe(1);
  expect(home.alive()).toEqual([]);
  expect(readdirSync(home.path)).toEqual([]);
});

test.skipIf(process.getuid?.() !== 0)(
  'a home that belongs to someone else is refused, over a symbolic link too',
  async () => {
    await using home = new Home();
    const others = join(home.folder, 'others');
    mkdirSync(others, { mode: 0o700 });
    chownSync(others, 4321, 4321);
    symlinkSync(others, home.path);
    const { status, stderr } = await home.run(['ls']);
    const text = `cannot use the home ${home.path}: it belongs to the user 4321, not to 0`;
    expect({ status, stderr }).toEqual({
      status: 1,
      stderr: `gsup: ${text}\n  set GSUP_HOME to a folder of your own\n`,
    });
    expect(home.alive()).toEqual([]);
  },
);

test.concurrent('a home whose path is too long for a socket works, link included', async () => {
  await using home = new Home(join('a'.repeat(90), 'b'.repeat(90)));
  expect(home.path.length).toBeGreaterThan(190);
  await home.ok([
    'start',
    '--name',
    'api',
    '--ready',
    'log:up',
    '--',
    'sh',
    '-c',
    'test -S "$GSUP_LINK" && echo up; exec sleep 1000',
  ]);
  const { pid } = await home.instance('api:0');
  await home.killDaemon();
  expect((await home.instance('api:0')).pid).toBe(pid);
  expect((await home.call('/v1/ping')).status).toBe(200);
  await home.ok(['stop', 'api']);
  await home.ok(['kill']);
});

test.concurrent('two homes have two daemons, and two ways to one home have one', async () => {
  await using one = new Home();
  await using other = new Home();
  await one.ok(['start', QUIET, '--ready', 'exec:true']);
  await other.ok(['ls']);
  expect(await other.ls()).toEqual([]);
  const link = join(one.folder, 'link');
  symlinkSync(one.path, link);
  const { stdout } = await one.ok(['ls', '--json']);
  await using viaLink = new Home();
  symlinkSync(one.path, viaLink.path);
  expect(JSON.parse((await viaLink.ok(['ls', '--json'])).stdout)[0].pid).toBe(JSON.parse(stdout)[0].pid);
  expect(one.daemonPids()).toHaveLength(1);
});

test.concurrent.each(['SIGTERM', 'SIGINT'] as const)(
  'the daemon in the foreground, %s: waves, exit 0, and the next one starts what was up',
  async (signal) => {
    await using home = new Home();
    const file = home.write(
      'supervisor.yaml',
      `services:
  db: { command: [sleep, "1000"], ready: { exec: ["true"] } }
  api: { command: [sleep, "1000"], ready: { exec: ["true"] }, dependsOn: [db] }
  cron: { command: [sleep, "1000"], ready: { exec: ["true"] } }
`,
    );
    await using daemon = home.begin(['daemon']);
    await home.answering();
    await home.ok(['start', file]);
    await home.ok(['stop', 'cron']);
    const before = await home.pids();
    daemon.kill(signal);
    expect(await daemon.status()).toBe(0);
    const waves = home.records.filter(({ phase }) => phase === 'wave-started').map(({ instances }) => instances);
    expect(waves).toEqual([['api:0'], ['db:0']]);
    expect(home.alive()).toEqual([]);
    const signals = home.records
      .filter((one) => one.phase === 'signal-sent' && one.service !== 'cron')
      .map((one) => one.signal);
    expect(signals).toEqual([signal, signal]);
    await home.ls();
    await home.until('api to be started again', () =>
      home.phases('api:0').filter((phase) => phase === 'spawned').length === 2 ? true : undefined,
    );
    const after = await home.pids();
    expect(after['cron:0']).toBe(null);
    expect(after['db:0']).not.toBe(before['db:0']);
    expect(isAlive(Number(after['db:0']))).toBe(true);
  },
);

test.concurrent('a second SIGINT to the daemon in the foreground cuts every grace period short', async () => {
  await using home = new Home();
  await using daemon = home.begin(['daemon']);
  await home.answering();
  await home.ok(['start', fixture('stubborn.mjs'), '--grace', '1h', '--ready', 'log:ignoring']);
  daemon.kill('SIGINT');
  await daemon.record('signal-sent');
  daemon.kill('SIGINT');
  expect(await daemon.status()).toBe(1);
  expect(home.alive()).toEqual([]);
});

test.concurrent('a second daemon in the foreground is refused', async () => {
  await using home = new Home();
  await home.ok(['ls']);
  const { status, stderr } = await home.run(['daemon']);
  expect(status).toBe(1);
  expect(stderr).toMatch(/^gsup: a daemon runs already for .*\n {2}"gsup ping" asks it/);
});

test.concurrent('kill: everything is stopped in waves, the daemon is gone, and a new one leaves it stopped', async () => {
  await using home = new Home();
  await home.ok(['start', '--name', 'api', '-i', '2', '--ready', 'exec:true', '--', 'sleep', '1000']);
  await home.ok(['kill']);
  expect(home.alive()).toEqual([]);
  expect(readdirSync(home.path)).not.toContain('gsup.sock');
  expect((await home.ls()).map(({ state }) => state)).toEqual(['stopped', 'stopped']);
  await home.ok(['start', 'api']);
  expect((await home.ls()).map(({ state }) => state)).toEqual(['running', 'running']);
});

test.concurrent('kill when a kill -9 has left services: they are stopped too', async () => {
  await using home = new Home();
  await home.ok(['start', '--name', 'api', '--ready', 'exec:true', '--', 'sleep', '1000']);
  await home.killDaemon();
  await home.ok(['kill']);
  expect(home.alive()).toEqual([]);
});

test.concurrent('kill has to use SIGKILL: exit 1, and it says so', async () => {
  await using home = new Home();
  await home.ok(['start', fixture('stubborn.mjs'), '--grace', '200ms', '--ready', 'log:ignoring']);
  const { status, stderr } = await home.run(['kill']);
  expect(status).toBe(1);
  expect(stderr).toContain('everything stopped with SIGKILL needed');
  expect(home.alive()).toEqual([]);
});

test.concurrent('ping starts no daemon, and exits 3 without one; kill without one exits 0', async () => {
  await using home = new Home();
  expect((await home.run(['ping'])).status).toBe(3);
  expect((await home.run(['update'])).status).toBe(3);
  expect((await home.run(['kill'])).status).toBe(0);
  expect(home.alive()).toEqual([]);
  await home.ok(['ls']);
  expect((await home.run(['ping'])).stdout).toMatch(/^pong in .* pid \d+, /);
});

test.concurrent('the daemon survives the end of the terminal that started it, in a session of its own', async () => {
  await using home = new Home();
  await home.ok(['ls']);
  const pid = await home.daemonPid();
  process.kill(pid, 'SIGHUP');
  await home.record('notice');
  expect(await home.daemonPid()).toBe(pid);
});

test.concurrent('a daemon that is stopped is said not to answer, with 124', async () => {
  await using home = new Home();
  await home.ok(['ls']);
  const pid = await home.daemonPid();
  process.kill(pid, 'SIGSTOP');
  const { status, stderr } = await home.run(['ping']);
  process.kill(pid, 'SIGCONT');
  expect(status).toBe(124);
  expect(stderr).toBe(
    'gsup: the daemon does not answer within 5s\n  it may be stopped or very busy; end it with kill -9: services run on, and the next command starts a new one\n',
  );
});

test.concurrent('a daemon with a file that has mistakes does not begin: 78, and each mistake with its place', async () => {
  await using home = new Home();
  const file = home.write('bad.yaml', 'services:\n  api: { command: sleep 1000, stop: { grase: 1s } }\n');
  const { status, stderr } = await home.run(['daemon', '-c', file]);
  expect(status).toBe(78);
  expect(stderr).toContain(`${file}:2:39 unknown key "grase" in services.api.stop; did you mean "grace"?`);
  expect(home.alive()).toEqual([]);
});
