/** Processes that claim to be a run of root's daemon, by their environment, and leftovers that really were part of one. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import {
  chmodSync,
  chownSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { expect, type TestContext, test } from 'vitest';
import { isAlive } from '../kit/gsup.ts';
import { Home } from '../kit/home.ts';

const NOBODY = 65534;
const SLEEP = ['--ready', 'exec:true', '--', 'sleep', '1000'];

/** A session leader of another user with an environment of its own choice; killed afterwards. */
class Impostor implements Disposable {
  readonly child: ChildProcess;

  constructor(env: Readonly<Record<string, string>>) {
    const ids = { uid: NOBODY, gid: NOBODY };
    this.child = spawn('/bin/sleep', ['1000'], { env, stdio: 'ignore', detached: true, cwd: '/', ...ids });
  }

  get pid(): number {
    return this.child.pid ?? 0;
  }

  get isAlive(): boolean {
    return this.child.exitCode === null && this.child.signalCode === null && isAlive(this.pid);
  }

  [Symbol.dispose](): void {
    this.child.kill('SIGKILL');
  }
}

function needsRoot(context: TestContext): void {
  if (process.getuid?.() === 0) return;
  console.warn('skipped: only root can start processes of another user');
  context.skip();
}

function variables(pid: number): Readonly<Record<string, string>> {
  const lines = readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0').filter(Boolean);
  return Object.fromEntries(lines.map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]));
}

/** What a process must have in its environment to be taken for one of `pid`'s run. */
function claimOf(pid: number, changes: Readonly<Record<string, string>> = {}): Readonly<Record<string, string>> {
  const { GSUP_LINK = '', GSUP_SERVICE = '', GSUP_INSTANCE = '', GSUP_ID = '' } = variables(pid);
  return { GSUP_LINK, GSUP_SERVICE, GSUP_INSTANCE, GSUP_ID, ...changes };
}

/** kill -9 of the daemon and of one instance, so that the next daemon has something to look for. */
async function crash(home: Home, victim: number | null): Promise<void> {
  await home.killDaemon();
  if (victim === null) return;
  process.kill(victim, 'SIGKILL');
  // Until its parent has waited for it, too: a zombie is a case of its own.
  await home.until(`the parent of ${victim} to wait for it`, () => (existsSync(`/proc/${victim}`) ? undefined : true));
}

function noticesOf(home: Home): string {
  const notices = home.records.filter(({ phase }) => phase === 'notice').map(({ msg }) => msg);
  return notices.join('\n');
}

test.concurrent('processes of another user that claim to be instances replace no leader and get no signal', async (context) => {
  needsRoot(context);
  await using home = new Home();
  await home.ok(['start', '--name', 'api', ...SLEEP]);
  await home.ok(['start', '--name', 'web', ...SLEEP]);
  const { 'api:0': api, 'web:0': web } = await home.pids();
  using ofApi = new Impostor(claimOf(Number(api), { GSUP_ID: randomUUID() }));
  using ofWeb = new Impostor(claimOf(Number(web), { GSUP_ID: randomUUID() }));
  await crash(home, Number(web));
  expect(await home.instance('api:0')).toMatchObject({ pid: api, state: 'running' });
  expect((await home.record('spawned', 'web:0', 2)).pid).not.toBe(ofWeb.pid);
  const { stderr } = await home.ok(['stop', 'all']);
  expect(stderr).not.toContain(String(ofApi.pid));
  expect(isAlive(Number(api))).toBe(false);
  expect([ofApi.isAlive, ofWeb.isAlive]).toEqual([true, true]);
});

test.concurrent('a process of another user with the token of a run is not its survivor: it is not listed, counted or killed', async (context) => {
  needsRoot(context);
  await using home = new Home();
  await home.ok(['start', '--name', 'api', ...SLEEP]);
  const { pid } = await home.instance('api:0');
  using impostor = new Impostor(claimOf(Number(pid)));
  const { stderr } = await home.ok(['stop', 'api']);
  expect(stderr).not.toContain(String(impostor.pid));
  expect(home.phases('api:0')).not.toContain('survivors-signalled');
  expect(impostor.isAlive).toBe(true);
});

test.concurrent('the name of a cgroup, which every user can list, does not give away the token of its run', async (context) => {
  await using home = new Home();
  await home.ok(['start', '--name', 'api', ...SLEEP]);
  const { pid } = await home.instance('api:0');
  const cgroupOf = () => /^0::(.*)$/m.exec(readFileSync(`/proc/${pid}/cgroup`, 'utf8'))?.[1] ?? '';
  const made = await home
    .until('a cgroup', () => (cgroupOf().includes('/gsup-') ? cgroupOf() : undefined))
    .catch(() => null);
  if (made === null) {
    console.warn('skipped: no cgroup can be made here');
    context.skip();
    return;
  }
  expect(made).not.toContain(variables(Number(pid))['GSUP_ID']);
  await home.killDaemon();
  await home.ok(['stop', 'api']);
  expect(isAlive(Number(pid))).toBe(false);
});

test.concurrent('with the state lost, a process of another user is not reported as a service', async (context) => {
  needsRoot(context);
  await using home = new Home();
  await home.ok(['start', '--name', 'api', ...SLEEP]);
  const { pid } = await home.instance('api:0');
  using named = new Impostor(claimOf(Number(pid), { GSUP_ID: randomUUID() }));
  using unnamed = new Impostor(claimOf(Number(pid), { GSUP_ID: randomUUID(), GSUP_SERVICE: '\x1b[2Jx' }));
  await home.killDaemon();
  for (const name of ['state.json', 'state.json.last-good']) writeFileSync(home.file(name), 'broken');
  expect(await home.ls()).toEqual([]);
  const notices = noticesOf(home);
  expect(notices).toContain(`api:0 runs as ${pid} and the state does not know it; end it with "kill ${pid}"`);
  expect(notices).not.toContain(`kill ${named.pid}`);
  expect(notices).not.toContain(String(unnamed.pid));
  expect([named.isAlive, unnamed.isAlive]).toEqual([true, true]);
});

test.concurrent('a living leader is not replaced by a leftover of an earlier run', async () => {
  await using home = new Home();
  const { leader, leftover, web } = await leftBehind(home);
  await crash(home, web);
  expect(await home.instance('api:0')).toMatchObject({ pid: leader, state: 'running' });
  await home.record('spawned', 'web:0', 2);
  await home.ok(['stop', 'api']);
  expect([isAlive(leader), isAlive(leftover)]).toEqual([false, true]);
});

test.concurrent('when the leader is gone, a leftover of an earlier run or of its own is not taken for it: it is started anew', async () => {
  await using home = new Home();
  const { leader, leftover } = await leftBehind(home);
  await crash(home, leader);
  await home.ls();
  const { pid } = await home.record('spawned', 'api:0', 3);
  expect(await home.instance('api:0')).toMatchObject({ pid, state: 'running' });
  expect(pid).not.toBe(leftover);
  expect(home.records.filter(({ phase, instance }) => phase === 'adopted' && instance === 'api:0')).toEqual([]);
  expect(isAlive(leftover)).toBe(true);
});

test.concurrent('a run that began on a full disk is found: it is shown, signalled and recorded under its own pid', async (context) => {
  await using home = new Home();
  mkdirSync(home.path, { mode: 0o700 });
  if (!home.mountTmpfs(home.path, '1m')) context.skip();
  await home.ok(['start', '--name', 'api', ...SLEEP]);
  await home.ok(['start', '--name', 'web', ...SLEEP]);
  const { 'api:0': before } = await home.pids();
  home.fill(home.file('filler'));
  await home.run(['restart', 'api']);
  const { pid: after } = await home.instance('api:0');
  expect(after).not.toBe(before);
  await home.killDaemon();
  rmSync(home.file('filler'));
  expect(await home.instance('api:0')).toMatchObject({ pid: after, state: 'running' });
  const { stderr } = await home.ok(['stop', 'api']);
  expect(stderr).toContain(`SIGTERM to ${after}`);
  expect(isAlive(Number(after))).toBe(false);
  expect(home.alive().length).toBe(home.daemonPids().length + 1);
});

test.concurrent('a leader that ended and that no parent has waited for does not count as running', async (context) => {
  needsPython(context);
  await using home = new Home();
  // Takes the place of PID 1 for everything below it, and never waits for a child.
  const keeper = home.write(
    'keeper.py',
    `import ctypes, os, signal, subprocess, sys
signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)
print(subprocess.call(sys.argv[1:], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL), flush=True)
while True: signal.pause()
`,
  );
  const gsup = resolve(import.meta.dirname, '../../bin/gsup.js');
  const command = [process.execPath, gsup, 'start', '--name', 'api', ...SLEEP];
  const parent = spawn('python3', [keeper, ...command], {
    env: { ...process.env, GSUP_HOME: home.path },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const parentEnded = once(parent, 'exit');
  try {
    expect(String((await once(parent.stdout, 'data'))[0]).trim()).toBe('0');
    const { pid } = await home.instance('api:0');
    await home.killDaemon();
    process.kill(Number(pid), 'SIGKILL');
    await home.gone(Number(pid));
    expect(readFileSync(`/proc/${pid}/stat`, 'latin1')).toMatch(/\) Z/);
    await home.ls();
    const { pid: next } = await home.record('spawned', 'api:0', 2);
    expect(await home.instance('api:0')).toMatchObject({ pid: next });
    await home.ok(['kill']);
  } finally {
    parent.kill('SIGKILL');
    await parentEnded;
  }
});

test.concurrent('another user makes no service ready, though it reads the path of the socket in /proc; a child under that user does', async (context) => {
  needsRoot(context);
  needsPython(context);
  await using home = new Home();
  // As the user nobody, by the kernel's word.
  const send = (text: string) => `import os, socket
os.setresgid(${NOBODY}, ${NOBODY}, ${NOBODY})
os.setresuid(${NOBODY}, ${NOBODY}, ${NOBODY})
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.connect(os.environ['NOTIFY_SOCKET'])
s.send(${JSON.stringify(text)}.encode())
`;
  const service = home.write(
    'service.py',
    `import os, time
print('up', flush=True)
while not os.path.exists(${JSON.stringify(home.file('go'))}): time.sleep(0.02)
${send('READY=1')}
time.sleep(1000)
`,
  );
  await using start = home.begin(['start', '--name', 'api', '--ready', 'notify', '--', 'python3', service]);
  await home.said('api:0', /up/);
  const { pid } = await home.instance('api:0');
  const { NOTIFY_SOCKET = '' } = variables(Number(pid));
  expect(readFileSync('/proc/net/unix', 'utf8')).toContain(NOTIFY_SOCKET);
  const impostor = spawnSync('python3', ['-c', send('READY=1\nSTATUS=impostor')], {
    env: { ...process.env, NOTIFY_SOCKET },
    encoding: 'utf8',
  });
  expect(impostor).toMatchObject({ status: 0, stderr: '' });
  writeFileSync(home.file('go'), '');
  expect(await start.status()).toBe(0);
  expect(await home.instance('api:0')).toMatchObject({ ready: true, status: null });
});

test.concurrent('a process that gsup may not kill is named by stop, kill and run, which end with 1 and never call it stopped', async (context) => {
  needsRoot(context);
  needsPython(context);
  using place = new NobodysPlace();
  const service = place.undying();
  const options = ['--grace', '100ms', '--restart', 'never'];
  const started = await place.gsup(['start', '--name', 'api', ...options, '--ready', 'log:up', '--', ...service]);
  if (started.status !== 0) {
    console.warn(`skipped: no set-user-ID program can be made here: ${started.stderr}`);
    context.skip();
  }
  const pid = JSON.parse((await place.gsup(['ls', '--json'])).stdout)[0].pid;
  place.leftovers.push(pid);
  const sentence = `process ${pid} did not die of SIGKILL`;
  const stop = await place.gsup(['stop', 'api']);
  expect(stop.stderr).toContain(`api:0  not stopped: ${sentence}`);
  expect(stop.stderr).not.toMatch(/stopped with SIGKILL|stopped cleanly/);
  const kill = await place.gsup(['kill']);
  expect(kill.stderr).toMatch(new RegExp(`not everything stopped after .*: ${sentence}`));
  expect(kill.stderr).not.toContain('stopped cleanly');
  expect([stop.status, kill.status, isAlive(pid)]).toEqual([1, 1, true]);
  const file = place.write(
    'two.yaml',
    JSON.stringify({ services: { api: { command: service, stop: { grace: '100ms' } } } }),
  );
  const run = place.begin(['run', '-c', file]);
  const other = Number((await untilSaid(run, /"msg":"started as (\d+)/))[1]);
  place.leftovers.push(other);
  await untilSaid(run, /\| up/);
  run.child.kill('SIGTERM');
  expect(await run.ended).toBe(1);
  expect(run.said()).toContain(`not stopped: process ${other} did not die of SIGKILL`);
  expect(run.said()).toMatch(new RegExp(`not everything stopped after .*: process ${other} did not die`));
});

/** A folder of the user nobody, with a home in it and a program that only root can signal. */
class NobodysPlace implements Disposable {
  readonly folder = mkdtempSync(join(tmpdir(), 'gsup-nobody-'));
  /** Ended when it is over. */
  readonly leftovers: number[] = [];

  constructor() {
    chownSync(this.folder, NOBODY, NOBODY);
    chmodSync(this.folder, 0o755);
  }

  write(name: string, text: string): string {
    const file = join(this.folder, name);
    writeFileSync(file, text);
    return file;
  }

  /** Becomes root entirely, so that its supervisor has no right to signal it. */
  undying(): readonly string[] {
    const program = join(this.folder, 'python');
    const found = spawnSync('python3', ['-c', 'import os, sys; print(os.path.realpath(sys.executable))']);
    copyFileSync(String(found.stdout).trim(), program);
    chmodSync(program, 0o4755);
    return [program, '-I', '-c', "import os, time; os.setresuid(0, 0, 0); print('up', flush=True); time.sleep(600)"];
  }

  begin(args: readonly string[]) {
    const child = spawn(process.execPath, [resolve(import.meta.dirname, '../../bin/gsup.js'), ...args], {
      uid: NOBODY,
      gid: NOBODY,
      cwd: this.folder,
      env: { PATH: process.env['PATH'], GSUP_HOME: join(this.folder, 'home'), TMPDIR: this.folder },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let [stdout, stderr] = ['', ''];
    child.stdout.on('data', (chunk: Buffer) => {
      stdout += chunk;
    });
    child.stderr.on('data', (chunk: Buffer) => {
      stderr += chunk;
    });
    const ended = once(child, 'exit').then(([code]) => code as number | null);
    return { child, ended, said: () => stdout + stderr, stdout: () => stdout, stderr: () => stderr };
  }

  async gsup(args: readonly string[]): Promise<{ status: number | null; stdout: string; stderr: string }> {
    const run = this.begin(args);
    const status = await run.ended;
    return { status, stdout: run.stdout(), stderr: run.stderr() };
  }

  [Symbol.dispose](): void {
    for (const pid of this.leftovers) if (isAlive(pid)) process.kill(pid, 'SIGKILL');
    const home = `GSUP_HOME=${join(this.folder, 'home')}`;
    for (const entry of readdirSync('/proc').filter((name) => /^\d+$/.test(name)))
      if (variablesOf(Number(entry)).includes(home)) process.kill(Number(entry), 'SIGKILL');
    rmSync(this.folder, { recursive: true, force: true });
  }
}

function untilSaid({ child, said }: ReturnType<NobodysPlace['begin']>, pattern: RegExp): Promise<RegExpExecArray> {
  return new Promise((found, fail) => {
    const look = (): void => {
      const match = pattern.exec(said());
      if (match !== null) found(match);
    };
    child.stdout.on('data', look);
    child.stderr.on('data', look);
    child.once('exit', () => fail(new Error(`it ended without ${pattern}:\n${said()}`)));
    look();
  });
}

function variablesOf(pid: number): readonly string[] {
  try {
    return readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0');
  } catch {
    return [];
  }
}

/** `api`, restarted once, whose first run has left a session leader behind; the leader of the second one, and `web`. */
async function leftBehind(home: Home): Promise<{ leader: number; leftover: number; web: number }> {
  const file = home.write(
    'supervisor.yaml',
    `services:
  api:
    command: [sh, -c, "setsid sleep 5555 >/dev/null 2>&1 & echo left $!; exec sleep 4444"]
    stop: { killMode: leader }
    restart: { minDelay: 0 }
    ready: { log: left }
  web: { command: [sleep, "1000"], ready: { exec: "true" } }
`,
  );
  await home.ok(['start', file]);
  const leftover = Number(/^left (\d+)$/.exec(home.lines('api:0')[0] ?? '')?.[1]);
  await home.ok(['restart', 'api']);
  const { 'api:0': leader, 'web:0': web } = await home.pids();
  expect(isAlive(leftover)).toBe(true);
  return { leader: Number(leader), leftover, web: Number(web) };
}

function needsPython(context: TestContext): void {
  if (spawnSync('python3', ['--version']).status === 0) return;
  console.warn('skipped: python3 is not installed');
  context.skip();
}
