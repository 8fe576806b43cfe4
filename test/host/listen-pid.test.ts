import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { withListenPid } from '../../src/host/listen-pid.ts';
import { Folder } from '../kit/gsup.ts';

const PATH = process.env['PATH'] ?? '';
/** Says what it has been given; by the kernel's record, for Node drops or adds nothing there. */
const TELL =
  "const { readFileSync } = require('node:fs');" +
  "const own = (name) => readFileSync('/proc/self/' + name, 'utf8').split('\\0').slice(0, -1);" +
  "console.log(JSON.stringify({ pid: process.pid, env: own('environ').sort(), argv: own('cmdline') }));";

type Told = { pid: number; env: string[]; argv: string[] };

function told(child: { stdout: string; stderr: string }): Told {
  expect(child.stderr).toBe('');
  return JSON.parse(child.stdout);
}

function run(file: string, args: readonly string[], env: Readonly<Record<string, string>>): Told & { child: number } {
  const launch = withListenPid(file, args, env);
  const child = spawnSync(launch.file, [...launch.args], { env: { ...launch.env }, encoding: 'utf8' });
  return { ...told(child), child: child.pid };
}

test('the program has the pid that was spawned, its own arguments, and its environment with LISTEN_PID', () => {
  const args = ['-e', TELL, '--', 'a b', '', '$HOME', '"', '-x'];
  const env = { PATH, LISTEN_FDS: '1', EMPTY: '', TEXT: ' two\nlines "quoted" $x ' };
  const { pid, child, argv, env: its } = run(process.execPath, args, env);
  expect(pid).toBe(child);
  expect(argv).toEqual([process.execPath, ...args]);
  expect(its).toEqual([...Object.entries(env).map(([k, v]) => `${k}=${v}`), `LISTEN_PID=${pid}`].sort());
});

test('variables that a shell would drop or change come through as they are', () => {
  const env = {
    PATH,
    'a.b': '1 2',
    'x-y': "it's",
    'npm_package_scripts_test:unit': '$1',
    '-u': 'option',
    '1st': '',
    IFS: ':',
    OPTIND: '7',
    PPID: '1',
    UID: '77',
    PWD: '/stale',
    'BASH_FUNC_f%%': '() { :; }',
  };
  const { pid, child, env: its } = run(process.execPath, ['-e', TELL], env);
  expect(pid).toBe(child);
  expect(its).toEqual([...Object.entries(env).map(([k, v]) => `${k}=${v}`), `LISTEN_PID=${pid}`].sort());
});

test('an old LISTEN_PID is replaced, and a PWD that was not there is not added', () => {
  const { pid, env } = run(process.execPath, ['-e', TELL], { PATH, LISTEN_PID: '1' });
  expect(env).toEqual([`LISTEN_PID=${pid}`, `PATH=${PATH}`].sort());
});

test('a program with = in its path is no variable', () => {
  using folder = new Folder();
  const file = join(folder.path, 'a=b');
  symlinkSync(process.execPath, file);
  const { argv, env } = run(file, ['-e', TELL], { PATH, 'a.b': '1' });
  expect(argv).toEqual([file, '-e', TELL]);
  expect(env).toContain('a.b=1');
});

test('what it inherits and the signals that end it are as without the shell', async () => {
  const launch = withListenPid('sleep', ['1000'], { PATH });
  const child: ChildProcess = spawn(launch.file, [...launch.args], { env: { ...launch.env }, stdio: 'ignore' });
  const exited = once(child, 'exit');
  child.kill('SIGTERM');
  expect(await exited).toEqual([null, 'SIGTERM']);
});

test('it only names what is to be run', () => {
  expect(withListenPid('/bin/app', ['x'], { A: '1' })).toEqual({
    file: '/bin/sh',
    args: ['-c', 'unset PWD; export LISTEN_PID=$$; exec "$@"', 'sh', '/bin/app', 'x'],
    env: { A: '1' },
  });
});

test('no value of a variable is on a command line of the launch, whatever its name is', () => {
  const names = [
    'spring.datasource.password',
    'x-token',
    '-u',
    '1st',
    'a b',
    'a"b$c\\d\'e#f',
    'IFS',
    'UID',
    'line\nfeed',
  ];
  const env = { PATH, ...Object.fromEntries(names.map((name) => [name, 'hunter2-secret'])) };
  const launch = withListenPid(process.execPath, ['-e', TELL], env);
  expect([launch.file, ...launch.args].join(' ')).not.toContain('hunter2');
  const { pid, env: its } = run(process.execPath, ['-e', TELL], env);
  expect(its).toEqual([...Object.entries(env).map(([k, v]) => `${k}=${v}`), `LISTEN_PID=${pid}`].sort());
});

test('a value as long as the kernel allows fits, for it is passed once', () => {
  const env = { PATH, 'a.b': 'x'.repeat(128 * 1024 - 20) };
  const { env: its } = run(process.execPath, ['-e', TELL], env);
  expect(its).toContain(`a.b=${env['a.b']}`);
});
