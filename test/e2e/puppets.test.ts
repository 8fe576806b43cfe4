import { expect, test } from 'vitest';
import { Folder, fixture, Gsup, isAlive } from '../kit/gsup.ts';
import { Stage } from '../kit/puppet.ts';

const PUPPET = fixture('puppet.mjs');

test('signals are passed on to the leader only, SIGCONT too', async () => {
  await using stage = new Stage();
  await using gsup = new Gsup(['run', PUPPET], { env: await stage.environment() });
  const leader = await stage.connected();
  await leader.send({ act: 'fork', name: 'member' });
  const member = await stage.connected('member');
  const signals = ['SIGHUP', 'SIGQUIT', 'SIGUSR2', 'SIGWINCH', 'SIGCONT'] as const;
  for (const signal of signals) {
    await leader.send({ act: 'report', signal });
    await member.send({ act: 'report', signal });
  }
  for (const signal of signals) {
    gsup.kill(signal);
    await leader.heard(signal);
  }
  await member.send({ act: 'print', text: '' });
  expect(member.unexpected).toEqual([]);
  expect(leader.unexpected).toEqual([]);
});

test('the stop signal is what the leader gets, SIGCONT after it', async () => {
  await using stage = new Stage();
  await using gsup = new Gsup(['run', '--stop-signal', 'SIGQUIT', PUPPET], { env: await stage.environment() });
  const leader = await stage.connected();
  for (const signal of ['SIGTERM', 'SIGQUIT', 'SIGCONT'] as const) await leader.send({ act: 'report', signal });
  gsup.kill('SIGTERM');
  await leader.heard('SIGQUIT');
  await leader.heard('SIGCONT');
  expect((await gsup.record('signal-sent')).signal).toBe('SIGQUIT');
  expect(leader.unexpected).toEqual([]);
  await leader.send({ act: 'exit' });
  expect(await gsup.status()).toBe(0);
});

test.each([
  ['in its group', false],
  ['in a session of its own', true],
])('a survivor %s that ignores the stop signal is named, killed and gone', async (_, isDetached) => {
  await using stage = new Stage();
  await using gsup = new Gsup(['run', '--grace', '300ms', PUPPET], { env: await stage.environment() });
  const leader = await stage.connected();
  await leader.send({ act: 'fork', name: 'survivor', isDetached });
  const survivor = await stage.connected('survivor');
  await survivor.send({ act: 'ignore', signal: 'SIGTERM' });
  gsup.kill('SIGTERM');
  expect(await gsup.status()).toBe(0);
  const named = [{ pid: survivor.pid, command: `${process.env['TEST_NODE'] ?? process.execPath} ${PUPPET} survivor` }];
  expect((await gsup.record('survivors-signalled')).survivors).toEqual(named);
  expect((await gsup.record('survivors-killed')).survivors).toEqual(named);
  expect((await gsup.record('stopped')).verdict).toBe('killed');
  expect(isAlive(survivor.pid)).toBe(false);
});

test('an instance that ends by itself is cleared of survivors before it is started again', async () => {
  await using stage = new Stage();
  await using gsup = new Gsup(['run', '--restart-delay', '0', PUPPET], { env: await stage.environment() });
  const leader = await stage.connected();
  await leader.send({ act: 'fork', name: 'survivor', isDetached: true });
  const survivor = await stage.connected('survivor');
  await leader.send({ act: 'exit', code: 1 });
  const next = await stage.connected();
  expect(next.pid).not.toBe(leader.pid);
  expect(isAlive(survivor.pid)).toBe(false);
  expect((await gsup.record('survivors-signalled')).survivors?.map(({ pid }) => pid)).toEqual([survivor.pid]);
  await next.send({ act: 'exit' });
  expect(await gsup.status()).toBe(0);
});

test('a leader whose event loop hangs is killed at the deadline', async () => {
  await using stage = new Stage();
  await using gsup = new Gsup(['run', '--grace', '300ms', PUPPET], { env: await stage.environment() });
  const leader = await stage.connected();
  await leader.send({ act: 'report', signal: 'SIGTERM' });
  await leader.send({ act: 'hang' });
  gsup.kill('SIGTERM');
  expect(await gsup.status()).toBe(137);
  expect(isAlive(leader.pid)).toBe(false);
});

test('a daemonised descendant that holds the pipes does not hold up the end', async () => {
  const script = 'setsid sleep 1000 & echo $!; exit 4';
  await using gsup = new Gsup([
    'run',
    '-i',
    '2',
    '--restart',
    'never',
    '--kill-mode',
    'leader',
    '--',
    'sh',
    '-c',
    script,
  ]);
  expect(await gsup.status()).toBe(1);
  const held = gsup.records.filter(({ phase }) => phase === 'logs-drained');
  expect(held).toHaveLength(2);
});

test('an instance stands in its cwd and knows its own name', async () => {
  await using stage = new Stage();
  using folder = new Folder({
    'supervisor.yaml': `services: { api: { script: ${PUPPET}, args: ['a b', '*', ''], cwd: ., instances: 2, stop: { grace: 3s } } }`,
  });
  await using gsup = new Gsup(['run', '-c', 'supervisor.yaml'], { cwd: folder.path, env: await stage.environment() });
  const both = [await stage.connected(), await stage.connected()];
  const names = both.map(({ hello }) => `${hello.env['GSUP_SERVICE']}:${hello.env['GSUP_INSTANCE']}`);
  expect(names.sort()).toEqual(['api:0', 'api:1']);
  for (const { hello } of both) {
    expect(hello).toMatchObject({ cwd: folder.path, argv: ['a b', '*', ''], env: { GSUP_GRACE_MS: '3000' } });
  }
  expect(new Set(both.map(({ hello }) => hello.env['GSUP_ID'])).size).toBe(2);
  gsup.kill('SIGTERM');
  expect(await gsup.status()).toBe(0);
});

test('a worker pool ends its threads by messages and joins them', async () => {
  await using gsup = new Gsup(['run', fixture('worker-pool.mjs')]);
  await gsup.record('spawned');
  await gsup.said(/\n/);
  gsup.kill('SIGTERM');
  expect(await gsup.status()).toBe(0);
  expect((await gsup.record('stopped')).verdict).toBe('clean');
});
