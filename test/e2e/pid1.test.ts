import { spawnSync } from 'node:child_process';
import { join, resolve } from 'node:path';
import { expect, test } from 'vitest';
import { fixture } from '../kit/gsup.ts';

const ROOT = resolve(import.meta.dirname, '../..');
const isRoot = process.getuid?.() === 0;
if (!isRoot) console.warn('skipped: PID namespaces need root');

/** As PID 1 of a namespace of its own. */
function asPid1(args: readonly string[], node: readonly string[] = []) {
  const gsup = [process.env['TEST_NODE'] ?? process.execPath, ...node, join(ROOT, 'bin/gsup.js'), ...args];
  return spawnSync('unshare', ['--pid', '--fork', '--kill-child', '--mount-proc', ...gsup], {
    encoding: 'utf8',
    timeout: 30_000,
  });
}

test.skipIf(!isRoot)('orphans leave no zombie, and status 5 arrives as 5', () => {
  const { status, stdout } = asPid1(['run', '--restart', 'never', '--', 'python3', fixture('orphans.py')]);
  expect(stdout).toBe('0 zombies\n');
  expect(status).toBe(5);
});

test.skipIf(!isRoot)('not PID 1, what has lost its parent below us is ours, and reaped too', () => {
  // The shell in front of it waits for gsup alone, and would take no orphan's end.
  const line = `"$0" "$1" run --restart never -- sh -c 'sleep 0.3; exec python3 "$0"' "$2"; exit $?`;
  const node = process.env['TEST_NODE'] ?? process.execPath;
  const { status, stdout } = spawnSync(
    'unshare',
    [
      '--pid',
      '--fork',
      '--kill-child',
      '--mount-proc',
      'sh',
      '-c',
      line,
      node,
      join(ROOT, 'bin/gsup.js'),
      fixture('orphans.py'),
    ],
    { encoding: 'utf8', timeout: 30_000 },
  );
  expect(stdout).toBe('0 zombies\n');
  expect(status).toBe(5);
});

test.skipIf(!isRoot).each([
  ['SIGTERM', 0],
  ['SIGQUIT', 131],
  ['SIGHUP', 129],
  ['SIGUSR1', 138],
  ['SIGALRM', 142],
])('a %s that the kernel would not let act on PID 1 acts all the same: %i', (signal, expected) => {
  const { status } = asPid1(['run', '--restart', 'never', '--', 'sh', '-c', `kill -${signal.slice(3)} 1; sleep 20`]);
  expect(status).toBe(expected);
});

test.skipIf(!isRoot)('without koffi it is said at the start, with what to do', () => {
  const script = `data:text/javascript,import { Module } from 'node:module'; const its = Module._resolveFilename; Module._resolveFilename = function (name, ...rest) { if (name === 'koffi') throw new Error('none'); return its.call(this, name, ...rest); };`;
  const { status, stderr } = asPid1(['run', '--log-format', 'pretty', '--', 'sleep', '0.5'], ['--import', script]);
  expect(stderr).toContain(
    'gsup  as PID 1 gsup needs koffi to reap orphans, and it is not installed: zombies will stay',
  );
  expect(status).toBe(0);
});
