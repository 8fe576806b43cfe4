import { mkdirSync, readFileSync, rmdirSync } from 'node:fs';
import { expect, test } from 'vitest';
import { fixture, Gsup, isAlive } from '../kit/gsup.ts';

test('SIGTERM stops by the ladder: each phase is recorded, the verdict is clean, the status 0', async () => {
  await using gsup = new Gsup(['run', fixture('slow.mjs')], { env: { SLOW_MS: '50' } });
  await gsup.said(/up/);
  gsup.kill('SIGTERM');
  expect(await gsup.status()).toBe(0);
  expect(gsup.phases()).toEqual(['spawned', 'stop-requested', 'signal-sent', 'exited', 'logs-drained', 'stopped']);
  expect(gsup.records.at(-1)).toMatchObject({ phase: 'shutdown-completed', verdict: 'clean' });
  expect(gsup.output).toBe('up\ndone\n');
  expect(gsup.alive()).toEqual([]);
});

test('a stubborn service is killed at the deadline, not before, and the status is 137', async () => {
  await using gsup = new Gsup(['run', fixture('stubborn.mjs'), '--grace', '300ms']);
  await gsup.said(/ignoring/);
  gsup.kill('SIGTERM');
  expect(await gsup.status()).toBe(137);
  const rungs = ['stop-requested', 'signal-sent', 'grace-warning', 'kill-sent', 'exited', 'logs-drained', 'stopped'];
  expect(gsup.phases()).toEqual(['spawned', ...rungs]);
  const times = Object.fromEntries(gsup.records.map(({ phase, time }) => [phase, time]));
  expect(Number(times['kill-sent']) - Number(times['signal-sent'])).toBeGreaterThanOrEqual(299);
  expect(gsup.records.find(({ phase }) => phase === 'stopped')).toMatchObject({ verdict: 'killed', graceUsed: 1 });
});

test('a second SIGINT cuts the grace period short', async () => {
  await using gsup = new Gsup(['run', fixture('stubborn.mjs'), '--grace', '1h']);
  await gsup.said(/ignoring/);
  gsup.kill('SIGINT');
  expect(await gsup.record('signal-sent')).toMatchObject({ signal: 'SIGINT' });
  gsup.kill('SIGINT');
  expect(await gsup.status()).toBe(137);
  expect(gsup.records.find(({ phase }) => phase === 'kill-sent')?.reason).toBe('cut short by a second SIGINT');
});

test('a repeated SIGTERM is ignored', async () => {
  await using gsup = new Gsup(['run', fixture('slow.mjs')], { env: { SLOW_MS: '300' } });
  await gsup.said(/up/);
  gsup.kill('SIGTERM');
  await gsup.record('signal-sent');
  gsup.kill('SIGTERM');
  gsup.kill('SIGTERM');
  expect(await gsup.status()).toBe(0);
  expect(gsup.phases().filter((phase) => phase === 'signal-sent')).toHaveLength(1);
  expect(gsup.output).toBe('up\ndone\n');
});

test('a stopped (SIGSTOP) process is continued and ends by itself', async () => {
  await using gsup = new Gsup(['run', fixture('slow.mjs')], { env: { SLOW_MS: '10' } });
  await gsup.said(/up/);
  const { pid } = await gsup.record('spawned');
  process.kill(Number(pid), 'SIGSTOP');
  gsup.kill('SIGTERM');
  expect(await gsup.status()).toBe(0);
  expect(gsup.phases()).not.toContain('kill-sent');
});

test('a daemon in a session of its own is found, named, signalled and gone', async () => {
  await using gsup = new Gsup(['run', fixture('daemonising.mjs')]);
  const [, daemon] = await gsup.said(/daemon (\d+)/);
  gsup.kill('SIGTERM');
  expect(await gsup.status()).toBe(0);
  const told = gsup.records.find(({ phase }) => phase === 'survivors-signalled');
  expect(told?.survivors).toEqual([{ pid: Number(daemon), command: 'sleep 1000' }]);
  expect(isAlive(Number(daemon))).toBe(false);
});

test('what outlives the leader and ignores the signal is killed at the end of the same grace period', async () => {
  const daemon = `setsid sh ${fixture('ignores-everything.sh')}`;
  const script = `${daemon} & trap 'exit 0' TERM; while :; do sleep 0.05; done`;
  await using gsup = new Gsup(['run', '--grace', '400ms', '--', 'sh', '-c', script]);
  await gsup.said(/ignoring everything/);
  gsup.kill('SIGTERM');
  expect(await gsup.status()).toBe(0);
  const killed = gsup.records.find(({ phase }) => phase === 'survivors-killed');
  expect(killed?.survivors?.map(({ command }) => command)).toContain(`sh ${fixture('ignores-everything.sh')}`);
  expect(gsup.records.find(({ phase }) => phase === 'stopped')).toMatchObject({ verdict: 'killed' });
  expect(gsup.alive()).toEqual([]);
});

test('in kill mode leader nobody but the leader is asked, and what outlives it lives on', async () => {
  await using gsup = new Gsup(['run', '--kill-mode', 'leader', fixture('daemonising.mjs')]);
  const [, daemon] = await gsup.said(/daemon (\d+)/);
  gsup.kill('SIGTERM');
  expect(await gsup.status()).toBe(0);
  expect(isAlive(Number(daemon))).toBe(true);
  expect(gsup.phases()).not.toContain('survivors-signalled');
});

test.each([
  ['mixed', false],
  ['group', true],
])('in kill mode %s a member of the group hears the signal itself: %s', async (mode, heard) => {
  const member = "(trap 'echo member' USR1; echo up; while :; do sleep 0.02; done)";
  const script = `trap 'echo leader' USR1; ${member} & while :; do wait; done`;
  const options = ['--grace', '400ms', '--stop-signal', 'USR1', '--kill-mode', mode];
  await using gsup = new Gsup(['run', ...options, '--', 'sh', '-c', script]);
  await gsup.said(/up/);
  gsup.kill('SIGTERM');
  expect(await gsup.status()).toBe(137);
  expect(gsup.output).toContain('leader');
  expect(gsup.output.includes('member')).toBe(heard);
});

test('the stop signal of the service is what it gets, and dying of it is clean', async () => {
  await using gsup = new Gsup(['run', '--stop-signal', 'quit', fixture('quiet.mjs')]);
  await gsup.record('spawned');
  gsup.kill('SIGTERM');
  expect(await gsup.status()).toBe(0);
  expect(gsup.records.find(({ phase }) => phase === 'exited')).toMatchObject({ exitSignal: 'SIGQUIT' });
});

test('twenty stubborn instances take no longer than one', async () => {
  const script = fixture('ignores-everything.sh');
  await using gsup = new Gsup(['run', '-i', '20', '--grace', '500ms', '--', 'sh', script]);
  await gsup.until('all up', () => (gsup.output.split('ignoring everything').length > 20 ? true : undefined));
  gsup.kill('SIGTERM');
  expect(await gsup.status()).toBe(1);
  const { elapsedMs } = await gsup.record('shutdown-completed');
  expect(elapsedMs).toBeLessThan(2 * 500);
  expect(gsup.alive()).toEqual([]);
});

test.skipIf(!canMakeCgroups())(
  'what left its group and threw away its environment is found by its cgroup',
  async () => {
    const script = 'env -i setsid sleep 1000 & sleep 0.1; echo up; trap "exit 0" TERM; while :; do sleep 0.02; done';
    await using gsup = new Gsup(['run', '--', 'sh', '-c', script]);
    await gsup.said(/up/);
    gsup.kill('SIGTERM');
    expect(await gsup.status()).toBe(0);
    const [survivor] = gsup.records.find(({ phase }) => phase === 'survivors-signalled')?.survivors ?? [];
    expect(survivor?.command).toBe('sleep 1000');
    expect(isAlive(Number(survivor?.pid))).toBe(false);
  },
);

function canMakeCgroups(): boolean {
  const mount = readFileSync('/proc/mounts', 'utf8')
    .split('\n')
    .map((line) => line.split(' '))
    .find(([, , type]) => type === 'cgroup2')?.[1];
  const own = /^0::(.*)$/m.exec(readFileSync('/proc/self/cgroup', 'utf8'))?.[1];
  try {
    const folder = `${mount}/${own}/gsup-test-${process.pid}`;
    mkdirSync(folder);
    rmdirSync(folder);
    return true;
  } catch {
    console.warn('skipped: no cgroup v2 can be made here');
    return false;
  }
}
