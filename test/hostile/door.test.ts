/** Nobody keeps root's daemon from starting, stands in for it, or gives a home a second one. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  closeSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { createServer as createHttpServer } from 'node:http';
import { createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { homeKey, homeOf } from '../../src/api/home.ts';
import type { Gsup } from '../kit/gsup.ts';
import { Home } from '../kit/home.ts';

const NOBODY = 65_534;
const isRoot = process.getuid?.() === 0;
const hasNamespaces = isRoot && spawnSync('unshare', ['-n', 'true']).status === 0;
if (!isRoot) console.warn('skipped: only root can act as another user');
else if (!hasNamespaces) console.warn('skipped: no network namespace can be made here');

/** Makes a daemon of this home wait while it starts, until something writes to the FIFO in the place of its state. */
function blockStart(home: Home): string {
  mkdirSync(home.path, { mode: 0o700 });
  spawnSync('mkfifo', [home.file('state.json')]);
  return home.file('state.json');
}

/** What the holder of an abstract socket does with those who connect. */
const SQUATTERS = {
  'says ready': "socket.write('ready\\n')",
  'says nothing': '',
  'closes at once': 'socket.destroy()',
};

/** Another user who binds the abstract name that stands for the home, which anyone can guess. */
async function squat(home: Home, act: string): Promise<Disposable> {
  const name = `gsup-${process.getuid?.()}-${homeKey(homeOf({ GSUP_HOME: home.path }))}`;
  const script = `
    const server = require('node:net').createServer((socket) => { socket.on('error', () => {}); ${act}; });
    server.listen('\\0' + ${JSON.stringify(name)}.padEnd(107, '\\0'), () => console.log('bound'));`;
  const child = spawn(process.execPath, ['-e', script], {
    uid: NOBODY,
    gid: NOBODY,
    cwd: '/',
    env: {},
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  await once(child.stdout, 'data');
  return { [Symbol.dispose]: () => void child.kill('SIGKILL') };
}

test.skipIf(!isRoot).concurrent.each(Object.entries(SQUATTERS))(
  'another user has bound the name of the home and %s: start, ls and kill work as ever',
  async (_, act) => {
    await using home = new Home();
    mkdirSync(home.path, { mode: 0o700 });
    using _squatter = await squat(home, act);
    const start = await home.run(['start', '--name', 'api', '--ready', 'exec:true', '--', 'sleep', '1000']);
    expect(start).toMatchObject({ status: 0 });
    expect((await home.run(['ls'])).stdout).toContain('api:0');
    expect(home.daemonPids()).toHaveLength(1);
    expect(await home.run(['update'])).toMatchObject({ status: 0 });
    expect(await home.run(['kill'])).toMatchObject({ status: 0 });
    expect(home.alive()).toEqual([]);
  },
);

test.skipIf(!hasNamespaces)(
  'a daemon in another network namespace finds the one of the home, and is refused',
  async () => {
    await using home = new Home();
    await home.ok(['start', '--name', 'api', '--ready', 'exec:true', '--', 'sleep', '1000']);
    const { pid } = await home.instance('api:0');
    const daemon = await home.daemonPid();
    const gsup = (...args: string[]) =>
      spawnSync('unshare', ['-n', process.execPath, 'bin/gsup.js', ...args], {
        encoding: 'utf8',
        env: { ...process.env, GSUP_HOME: home.path },
        timeout: 15_000,
      });
    const second = gsup('daemon');
    expect(second.status).toBe(1);
    expect(second.stderr).toContain(`a daemon runs already for ${home.path}`);
    expect(gsup('ls').stdout).toContain(String(pid));
    expect(await home.daemonPid()).toBe(daemon);
    expect(home.daemonPids()).toEqual([daemon]);
  },
);

test.skipIf(!hasNamespaces)(
  'the next daemon may be in another network namespace: it takes the services over, alone',
  async () => {
    await using home = new Home();
    await home.ok(['start', '--name', 'api', '--ready', 'exec:true', '--', 'sleep', '1000']);
    const { pid } = await home.instance('api:0');
    await home.killDaemon();
    const env = { ...process.env, GSUP_HOME: home.path };
    const there = spawn('unshare', ['-n', process.execPath, 'bin/gsup.js', 'ls'], { env, stdio: 'ignore' });
    const [here] = await Promise.all([home.run(['ls']), once(there, 'close')]);
    expect(here.stdout).toContain(String(pid));
    await home.until('one daemon', () => (home.daemonPids().length === 1 ? true : undefined));
  },
);

test.concurrent('eight starts at once after a kill -9: the lock that it left is passed to exactly one of them', async () => {
  await using home = new Home();
  await home.ok(['start', '--name', 'first', '--ready', 'exec:true', '--', 'sleep', '1000']);
  for (let round = 0; round < 3; round++) {
    await home.killDaemon();
    const starts = Array.from({ length: 8 }, (_, n) =>
      home.run(['start', '--name', `s${round}-${n}`, '--ready', 'exec:true', '--', 'sleep', '1000']),
    );
    const all = await Promise.all(starts);
    expect(all.map(({ status, stderr }) => (status === 0 ? 0 : stderr))).toEqual(starts.map(() => 0));
    await home.until('one daemon', () => (home.daemonPids().length === 1 ? true : undefined));
  }
  expect(home.records.filter(({ phase }) => phase === 'supervisor-started')).toHaveLength(4);
  expect(readdirSync(home.path).filter((name) => name.startsWith('lock.'))).toEqual(['lock.4']);
});

test.concurrent('no service and no hook has a descriptor of the lock, and kill -9 frees it while they run', async () => {
  await using home = new Home();
  const file = home.write(
    'supervisor.yaml',
    `services:
  native: { command: [sleep, '1000'], ready: { exec: [sh, -c, 'ls -l /proc/self/fd > ${home.folder}/hook'] } }
  node: { command: [${process.execPath}, -e, 'setInterval(() => {}, 1e6)'], ready: { exec: ['true'] }, stop: { message: true } }
  user: { command: [sleep, '1000'], ready: { exec: ['true'] }, ${isRoot ? 'user: nobody' : ''} }
`,
  );
  await home.ok(['start', file]);
  const sockets = socketsOf(await home.daemonPid());
  const lock = statSync(home.file('lock.1'));
  expect(lock.isSocket()).toBe(true);
  for (const { pid } of await home.ls()) {
    const shared = socketsOf(Number(pid)).filter((socket) => sockets.includes(socket));
    // The IPC channel alone is a socket pair that both have.
    expect(shared.length).toBeLessThanOrEqual(1);
    expect(listening(shared)).toEqual([]);
  }
  const hook = readFileSync(join(home.folder, 'hook'), 'utf8').match(/socket:\[\d+\]/g) ?? [];
  expect(hook.filter((socket) => sockets.includes(socket))).toEqual([]);
  const before = await home.pids();
  await home.killDaemon();
  await home.ok(['ls']);
  expect(await home.pids()).toEqual(before);
});

test.concurrent.each(['a symbolic link to nothing', 'a loop of links', 'a FIFO', 'a folder', 'a file'])(
  '%s in the place of the lock: the next daemon takes the next number',
  async (what) => {
    await using home = new Home();
    await home.ok(['ls']);
    await home.ok(['kill']);
    const lock = home.file('lock.1');
    rmSync(lock);
    if (what === 'a symbolic link to nothing') symlinkSync(join(home.folder, 'none'), lock);
    else if (what === 'a loop of links') symlinkSync(lock, lock);
    else if (what === 'a FIFO') spawnSync('mkfifo', [lock]);
    else if (what === 'a folder') mkdirSync(lock);
    else writeFileSync(lock, '');
    await home.ok(['ls']);
    expect(home.daemonPids()).toHaveLength(1);
    expect(statSync(home.file('lock.2')).isSocket()).toBe(true);
    await home.ok(['kill']);
  },
);

test
  .skipIf(!isRoot)
  .concurrent('a full disk: the next daemon takes the lock and the services all the same', async () => {
    await using home = new Home();
    mkdirSync(home.path, { mode: 0o700 });
    if (!home.mountTmpfs(home.path, '2m')) return;
    await home.ok(['start', '--name', 'api', '--ready', 'exec:true', '--', 'sleep', '1000']);
    const { pid } = await home.instance('api:0');
    home.fill(home.file('filler'));
    await home.killDaemon();
    await home.ok(['ls']);
    expect((await home.instance('api:0')).pid).toBe(pid);
    expect(home.daemonPids()).toHaveLength(1);
  });

test.concurrent('a lock that is removed by hand from a daemon that runs: a second one is refused', async () => {
  await using home = new Home();
  await home.ok(['ls']);
  rmSync(home.file('lock.1'));
  const pid = await home.daemonPid();
  const second = await home.run(['daemon']);
  expect(second.status).toBe(1);
  expect(second.stderr).toContain('without its lock');
  for (const command of ['kill', 'update']) {
    const { status, stderr } = await home.run([command]);
    expect(status).toBe(1);
    expect(stderr).toContain(`kill -9 ${pid}`);
  }
  expect(home.daemonPids()).toEqual([pid]);
});

test.concurrent('a holder of the lock that never answers: the command ends in time, says so, and leaves no process', async () => {
  await using home = new Home();
  mkdirSync(home.path, { mode: 0o700 });
  await using server = createServer((socket) => socket.on('error', () => {}));
  await new Promise<void>((bound) => server.listen(home.file('lock.7'), bound));
  await using ls = home.begin(['ls']);
  await once(ls.child, 'exit');
  expect(await ls.status()).toBe(124);
  expect(ls.stderr).toMatch(
    /^gsup: the daemon could not be started: another daemon of .* has not answered within 15s\n {2}\w/,
  );
  expect(home.daemonPids()).toEqual([]);
});

test.concurrent('a daemon that is not ready in time is ended by the command that started it', async () => {
  await using home = new Home();
  blockStart(home);
  await using ls = home.begin(['ls']);
  const [child = 0] = await home.until('a process for the daemon', () => {
    const pids = home.daemonPids();
    return pids.length === 1 ? pids : undefined;
  });
  await ended(ls);
  expect(await ls.status()).toBe(124);
  expect(ls.stderr).toMatch(/^gsup: the daemon could not be started: it has not answered within 20s\n {2}\w/);
  await home.gone(child);
});

test.concurrent('kill does not report the end of a daemon that lives', async () => {
  await using home = new Home();
  mkdirSync(home.path, { mode: 0o700 });
  const sockets = new Set<Socket>();
  const lock = createServer((socket) => sockets.add(socket.on('error', () => {})));
  await new Promise<void>((bound) => lock.listen(home.file('lock.1'), bound));
  const result = { type: 'result', exitStatus: 0, outcomes: [], error: null, hint: null };
  const daemon = createHttpServer(({ url }, response) => {
    response.end(`${JSON.stringify(url === '/v1/ping' ? { pid: 4242, version: '0' } : result)}\n`);
  });
  await new Promise<void>((bound) => daemon.listen(home.file('gsup.sock'), bound));
  await using kill = home.begin(['kill']);
  await ended(kill);
  expect(await kill.status()).toBe(124);
  expect(kill.stderr).toContain('gsup: the daemon (pid 4242) has not ended within 30s\n  end it with kill -9 4242');
  expect(kill.stderr).not.toContain('the daemon has ended');
  for (const socket of sockets) socket.destroy();
  for (const server of [lock, daemon]) server.close();
});

test.concurrent('a command that is killed while its daemon starts does not take the daemon with it', async () => {
  await using home = new Home();
  const state = blockStart(home);
  await using ls = home.begin(['ls']);
  const [child = 0] = await home.until('a process for the daemon', () => {
    const pids = home.daemonPids();
    return pids.length === 1 ? pids : undefined;
  });
  // It sleeps once it has written the word into the pipe.
  await home.until('the command to wait', () =>
    /^State:\s+S/m.test(home.status(ls.child.pid ?? 0)) ? true : undefined,
  );
  ls.kill('SIGKILL');
  await ls.ended;
  // An empty state: the daemon goes on.
  closeSync(openSync(state, 'w'));
  await home.ok(['ls']);
  expect(await home.daemonPid()).toBe(child);
  expect(home.read('daemon.log')).toBe('');
});

test.concurrent('kill right after a start, and starts during a kill, never meet half a daemon', async () => {
  await using home = new Home();
  for (let round = 0; round < 4; round++) {
    await home.ok(['ls']);
    const kill = home.run(['kill']);
    const starts = [home.run(['ls']), home.run(['ls'])];
    const all = await Promise.all([kill, ...starts]);
    expect(all.map(({ status, stderr }) => (status === 0 ? 0 : stderr))).toEqual([0, 0, 0]);
  }
});

/** Longer than a command may take: it waits for the time limit of the product. */
function ended(gsup: Gsup): Promise<unknown> {
  const child: ChildProcess = gsup.child;
  return child.exitCode === null ? once(child, 'exit') : Promise.resolve();
}

/** The sockets that a process has open, as `socket:[inode]`. */
function socketsOf(pid: number): readonly string[] {
  return readdirSync(`/proc/${pid}/fd`).flatMap((fd) => {
    try {
      const target = readlinkSync(`/proc/${pid}/fd/${fd}`);
      return target.startsWith('socket:') ? [target] : [];
    } catch {
      // Closed meanwhile.
      return [];
    }
  });
}

/** Those of them that listen: flag 00010000 of /proc/net/unix. */
function listening(sockets: readonly string[]): readonly string[] {
  const rows = readFileSync('/proc/net/unix', 'utf8')
    .split('\n')
    .map((row) => row.trim().split(/\s+/));
  const inodes = new Set(rows.filter(([, , , flags]) => flags === '00010000').map((row) => `socket:[${row[6]}]`));
  return sockets.filter((socket) => inodes.has(socket));
}
