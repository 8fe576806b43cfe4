import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { loadNative } from '../../src/host/native.ts';
import { type Child, spawnNative } from '../../src/host/native-child.ts';

const folder = mkdtempSync(join(tmpdir(), 'gsup-native-'));
const env = { PATH: process.env['PATH'] ?? '', WORD: 'zwölf = 12' };

beforeAll(async () => {
  await loadNative();
});
afterAll(() => rmSync(folder, { recursive: true }));

type Way = (script: string, output: number) => { on: Child['on']; once: Child['once']; pid?: number | undefined };

const byKernel: Way = (script, output) => {
  const child = spawnNative({
    file: '/bin/sh',
    args: ['-c', script],
    cwd: folder,
    env,
    stdio: ['ignore', output, output],
  });
  if (child === null) throw new Error('not spawned');
  return child;
};
const byNode: Way = (script, output) =>
  spawn('/bin/sh', ['-c', script], { cwd: folder, env, stdio: ['ignore', output, output], detached: true });

/** How it ended, and what it wrote. */
async function ran(way: Way, script: string): Promise<{ readonly end: readonly unknown[]; readonly text: string }> {
  const path = join(folder, `${way === byNode ? 'node' : 'kernel'}.out`);
  const output = openSync(path, 'w');
  const child = way(script, output);
  closeSync(output);
  const end = await once(child as never, 'exit');
  return { end, text: readFileSync(path, 'utf8') };
}

test.each([
  ['its code', 'exit 7', [7, null]],
  ['a signal', 'kill -KILL $$', [null, 'SIGKILL']],
  ['success', 'true', [0, null]],
])('its end is told: %s', async (_, script, end) => {
  expect(await ran(byKernel, script)).toEqual({ end, text: '' });
});

test.each([
  ['folder, environment, arguments', 'pwd; env | sort; echo "$0 $#"'],
  ['signals held back or ignored', 'grep -E "^Sig(Blk|Ign)" /proc/self/status'],
  ['limits and umask', 'ulimit -n; umask'],
  ['descriptors', 'ls /proc/$$/fd; readlink /proc/$$/fd/0; echo to stderr >&2'],
  ['a session and group of its own', '[ "$(cut -d " " -f 5,6 /proc/$$/stat)" = "$$ $$" ] && echo leads'],
])('%s are what Node gives', async (_, script) => {
  const [kernel, node] = [await ran(byKernel, script), await ran(byNode, script)];
  expect(kernel).toEqual(node);
  expect(kernel.text).not.toBe('');
});

test.each(['the kernel', 'Node'])(
  'descriptors come to the numbers that are asked for, with none in between: by %s',
  async (way) => {
    const [there, output] = [openSync('/etc/hostname', 'r'), openSync(join(folder, 'numbers'), 'w')];
    const script = 'for fd in 0 3 4; do readlink /proc/$$/fd/$fd || echo none; done';
    const stdio: (number | 'ignore')[] = ['ignore', output, output, 'ignore', there];
    const place = { cwd: '/', env, stdio };
    const child =
      way === 'Node'
        ? spawn('/bin/sh', ['-c', script], { ...place, detached: true })
        : spawnNative({ ...place, file: '/bin/sh', args: ['-c', script] });
    for (const fd of [there, output]) closeSync(fd);
    await once(child as never, 'exit');
    expect(readFileSync(join(folder, 'numbers'), 'utf8')).toBe('/dev/null\nnone\n/etc/hostname\n');
  },
);

test.each([
  ['there is no such program', { file: '/nowhere' }],
  ['it may not be executed', { file: '/etc/hostname' }],
  ['the folder is not there', { cwd: '/nowhere' }],
  ['an argument could not be told', { args: ['a\0b'] }],
  ['it would have to be searched for', { file: 'true' }],
  ['a stream is wanted', { stdio: ['ignore', 'pipe', 'ignore'] as const }],
  ['a descriptor lies where another is to come', { stdio: ['ignore', 'ignore', 'ignore', 4, 3] as const }],
])('it is left to Node when %s', (_, what) => {
  const place = { file: '/bin/true', args: [], cwd: '/', env, stdio: ['ignore', 'ignore', 'ignore'] as const };
  expect(spawnNative({ ...place, ...what })).toBeNull();
});

test('fifty that end at once are all told, each once, and leave no zombie', async () => {
  const ends = new Map<number, number>();
  const output = openSync('/dev/null', 'w');
  const children = Array.from({ length: 50 }, () => byKernel('sleep 60', output));
  closeSync(output);
  const all = children.map(async (child) => {
    const [, signal] = await once(child as never, 'exit');
    ends.set(child.pid ?? 0, (ends.get(child.pid ?? 0) ?? 0) + 1);
    return signal;
  });
  for (const { pid = 0 } of children) process.kill(-pid, 'SIGKILL');
  expect(new Set(await Promise.all(all))).toEqual(new Set(['SIGKILL']));
  expect([...ends.values()]).toEqual(Array(50).fill(1));
  for (const { pid } of children) expect(() => process.kill(pid ?? 0, 0)).toThrow('ESRCH');
});
