import { chmodSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { Folder, fixture, Gsup } from '../kit/gsup.ts';

describe('the status of one command', () => {
  test.each([
    ['true', 0, ['--', 'true']],
    ['exit 5', 5, ['--restart', 'never', '--', 'sh', '-c', 'exit 5']],
    ['death of a signal', 128 + 9, ['--restart', 'never', '--', 'sh', '-c', 'kill -9 $$']],
    ['death of SIGTERM that nobody asked for', 128 + 15, ['--restart', 'never', '--', 'sh', '-c', 'kill -15 $$']],
    ['a program that is not there', 127, ['--', 'no-such-program-here']],
    ['a script that is not there', 127, ['no-such-script.js']],
    ['a directory', 126, ['./fixtures']],
    ['a file without permission', 126, ['--', './package.json']],
    ['a working directory that is not there', 126, ['--cwd', '/no/such/folder', '--', 'true']],
  ])('%s: %i', async (_, status, args) => {
    await using gsup = new Gsup(['run', ...args]);
    expect(await gsup.status()).toBe(status);
    expect(gsup.stderr).not.toMatch(/^\s+at /m);
    expect(gsup.alive()).toEqual([]);
  });

  test('asked to stop, an exit other than 0 is passed on', async () => {
    await using gsup = new Gsup(['run', '--', 'sh', '-c', 'trap "exit 3" TERM; echo up; while :; do sleep 0.02; done']);
    await gsup.said(/up/);
    gsup.kill('SIGTERM');
    expect(await gsup.status()).toBe(3);
  });

  test('after the restart limit it is the last one', async () => {
    await using gsup = new Gsup(['run', '--restart-delay', '0', '--max-restarts', '2', '--', 'sh', '-c', 'exit 7']);
    expect(await gsup.status()).toBe(7);
    expect(gsup.phases().filter((phase) => phase === 'spawned')).toHaveLength(3);
    expect(gsup.records.at(-1)).toMatchObject({ phase: 'failed' });
  });

  test('a file without interpreter that is not executable is told how to mend', async () => {
    using folder = new Folder({ program: 'echo hello' });
    chmodSync(`${folder.path}/program`, 0o644);
    await using gsup = new Gsup(['run', './program'], { cwd: folder.path });
    expect(await gsup.status()).toBe(126);
    expect(gsup.stderr).toContain('chmod +x');
  });
});

describe('a wrong call has status 2 and says what is expected', () => {
  test.each([
    ['nothing to run', ['run'], /nothing to run/],
    ['an unknown option', ['run', '--grase', '3s', 'x.js'], /unknown option '--grase'/],
    ['a bad signal', ['run', '--stop-signal', 'SIGTREM', 'x.js'], /"SIGTREM" is no signal\n {2}did you mean SIGTERM\?/],
    ['a bad duration', ['run', '--grace', '10 sec', 'x.js'], /--grace "10 sec" is no duration/],
    ['a bad kill mode', ['run', '--kill-mode', 'mixd', 'x.js'], /did you mean mixed\?/],
    ['a bad check', ['run', '--ready', 'ping', 'x.js'], /unknown check "ping"/],
    ['an unknown command', ['rum'], /unknown command 'rum'/],
    ['a YAML file as a script', ['run', 'supervisor.yaml'], /gsup run -c supervisor.yaml/],
    ['an option of one command with a file', ['run', '-c', 'x.yaml', '--grace', '1s'], /--grace goes with one command/],
  ])('%s', async (_, args, message) => {
    await using gsup = new Gsup(args);
    expect(await gsup.status()).toBe(2);
    expect(gsup.stderr).toMatch(message);
    expect(gsup.stderr).not.toMatch(/^\s+at /m);
  });
});

test('restarts on failure, after a backoff, and says why', async () => {
  await using gsup = new Gsup(['run', fixture('crashing.mjs')]);
  await gsup.record('spawned', undefined, 2);
  gsup.kill('SIGTERM');
  await gsup.status();
  expect(gsup.records.find(({ phase }) => phase === 'backoff')?.msg).toMatch(/^exit 1; restart 1 in \d+ms$/);
});

test('a signal that was only passed on and that it dies of is its end, not a failure', async () => {
  await using gsup = new Gsup(['run', fixture('quiet.mjs')]);
  await gsup.record('spawned');
  gsup.kill('SIGHUP');
  expect(await gsup.status()).toBe(129);
});

test('a reader of its output that goes away is the end of a command, not a failure', async () => {
  await using gsup = new Gsup(['run', '--', 'yes']);
  await gsup.said(/y\n/);
  gsup.child.stdout?.destroy();
  expect(await gsup.status()).toBe(128 + 13);
});
