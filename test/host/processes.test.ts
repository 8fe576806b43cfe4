import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, copyFileSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, type TestContext, test } from 'vitest';
import { environmentOwner, userOf } from '../../src/host/environment-owner.ts';
import { isLeader, isRunning, readDescendants, readStat } from '../../src/host/processes.ts';

const NOBODY = 65534;

test('children of every thread are descendants, not only those of the first', async (context) => {
  needsPython(context);
  const script = `
import subprocess, threading, time
def work():
  print(subprocess.Popen(['sleep', '1000']).pid, flush=True)
  time.sleep(1000)
threading.Thread(target=work, daemon=True).start()
time.sleep(1000)
`;
  const parent = spawn('python3', ['-c', script], { stdio: ['ignore', 'pipe', 'inherit'], detached: true });
  const ended = once(parent, 'exit');
  try {
    const child = Number(String((await once(parent.stdout, 'data'))[0]));
    expect(readDescendants(Number(parent.pid))).toEqual([child]);
  } finally {
    process.kill(-Number(parent.pid), 'SIGKILL');
    await ended;
  }
});

test('a zombie is not running, though it has its pid and start time still', async () => {
  const parent = spawn('sh', ['-c', 'sleep 0 & echo $!; exec sleep 1000'], { stdio: ['ignore', 'pipe', 'inherit'] });
  const ended = once(parent, 'exit');
  try {
    const pid = Number(String((await once(parent.stdout, 'data'))[0]));
    await expect.poll(() => readStat(pid)?.state).toBe('Z');
    const startTicks = readStat(pid)?.startTicks ?? 0;
    expect(isRunning({ pid, startTicks })).toBe(false);
    expect(isRunning({ pid: process.pid, startTicks: readStat(process.pid)?.startTicks ?? 0 })).toBe(true);
    expect(isRunning({ pid: process.pid, startTicks: 1 })).toBe(false);
  } finally {
    parent.kill('SIGKILL');
    await ended;
  }
});

test('an environment belongs to the user of its process', async (context) => {
  expect(environmentOwner(process.pid)).toBe(process.getuid?.());
  needsRoot(context);
  const other = spawn('sleep', ['1000'], { uid: NOBODY, gid: NOBODY, cwd: '/' });
  try {
    await once(other, 'spawn');
    expect(environmentOwner(Number(other.pid))).toBe(NOBODY);
  } finally {
    other.kill('SIGKILL');
  }
});

test('the environment of a set-user-ID program belongs to nobody, also when it has become root entirely', async (context) => {
  needsRoot(context);
  needsPython(context);
  const folder = mkdtempSync(join(tmpdir(), 'gsup-setuid-'));
  chmodSync(folder, 0o755);
  const program = join(folder, 'python');
  const path = spawnSync('python3', ['-c', 'import os, sys; print(os.path.realpath(sys.executable))'], {
    encoding: 'utf8',
  });
  copyFileSync(path.stdout.trim(), program);
  chmodSync(program, 0o4755);
  const script = "import os, time; os.setresuid(0, 0, 0); print('root', flush=True); time.sleep(1000)";
  const other = spawn(program, ['-I', '-c', script], {
    uid: NOBODY,
    gid: NOBODY,
    cwd: '/',
    stdio: ['ignore', 'pipe', 'ignore'],
    env: { GSUP_ID: 'stolen' },
  });
  const ended = once(other, 'exit');
  try {
    const said = await Promise.race([once(other.stdout, 'data'), ended.then(() => null)]);
    if (said === null) {
      console.warn('skipped: no set-user-ID program can be made here');
      context.skip();
    }
    expect(userOf(Number(other.pid))).toBe(0);
    expect(environmentOwner(Number(other.pid))).toBe(null);
  } finally {
    other.kill('SIGKILL');
    await ended;
    rmSync(folder, { recursive: true });
  }
});

function needsRoot(context: TestContext): void {
  if (process.getuid?.() === 0) return;
  console.warn('skipped: only root can start processes of another user');
  context.skip();
}

function needsPython(context: TestContext): void {
  if (spawnSync('python3', ['--version']).status === 0) return;
  console.warn('skipped: python3 is not installed');
  context.skip();
}

test('a process whose main thread alone has ended lives', async (context) => {
  needsPython(context);
  const script = `
import ctypes, sys, threading
def work():
    while ' Z ' not in open('/proc/self/stat').read(): pass
    print('alone', flush=True)
    sys.stdin.read()
threading.Thread(target=work).start()
ctypes.CDLL(None).syscall(60, 0)
`;
  const child = spawn('python3', ['-c', script], { stdio: ['pipe', 'pipe', 'inherit'] });
  const ended = once(child, 'exit');
  try {
    await once(child.stdout, 'data');
    const pid = Number(child.pid);
    const { state, startTicks = 0 } = readStat(pid) ?? {};
    expect(state).toBe('Z');
    expect(isRunning({ pid, startTicks })).toBe(true);
    expect(isLeader({ pid, startTicks, token: 'any' }, [])).toBe(true);
  } finally {
    child.kill('SIGKILL');
    await ended;
  }
});
