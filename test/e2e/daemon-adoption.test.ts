import { readFileSync, writeFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { fixture, isAlive } from '../kit/gsup.ts';
import { Home, Stranger } from '../kit/home.ts';
import { Stage } from '../kit/puppet.ts';

/** Writes numbered lines until it gets SIGTERM, then how many there were. */
const COUNTER = `
  let n = 0;
  const line = () => process[process.env.STREAM ?? 'stdout'].write('line ' + ++n + '\\n');
  const timer = setInterval(() => { for (let i = 0; i < Number(process.env.BURST ?? 1); i++) line(); }, Number(process.env.EVERY_MS ?? 1));
  process.on('SIGTERM', () => { clearInterval(timer); process[process.env.STREAM ?? 'stdout'].write('end ' + n + '\\n', () => process.exit(0)); });
`;
const SHELL_COUNTER = `n=0; trap 'echo "end $n"; exit 0' TERM; while :; do n=$((n+1)); echo "line $n"; sleep 0.004; done`;

test.concurrent('ten kill -9 of the daemon: the same pids, nothing started twice, every line once and in order', async () => {
  await using home = new Home();
  const counter = home.write('counter.mjs', COUNTER);
  const file = home.write(
    'supervisor.yaml',
    `services:
  quick: { script: ${counter}, env: { BURST: "3" }, ready: { log: "line 1" } }
  errors: { script: ${counter}, env: { STREAM: stderr, EVERY_MS: "2" }, logs: { maxSize: 20KB, maxFiles: 1000 }, ready: { log: "line 1" } }
  shell: { command: [sh, -c, ${JSON.stringify(SHELL_COUNTER)}], ready: { log: "line 1" } }
`,
  );
  await home.ok(['start', file]);
  const before = await home.pids();
  expect(Object.values(before).every((pid) => pid !== null)).toBe(true);
  for (let kill = 0; kill < 10; kill++) {
    await using ls = home.begin(['ls', '--json']);
    // Half of them while the daemon begins, half of them later.
    if (kill % 2 === 0) await ls.status();
    else await home.until('a daemon', () => (home.daemonPids().length > 0 ? true : undefined));
    await new Promise((resolve) => setTimeout(resolve, Math.random() * 150));
    for (const pid of home.daemonPids()) process.kill(pid, 'SIGKILL');
    await home.until('the end of the daemon', () => (home.daemonPids().length === 0 ? true : undefined));
  }
  expect(await home.pids()).toEqual(before);
  await home.ok(['stop', 'all']);
  expect(home.records.filter(({ phase }) => phase === 'spawned')).toHaveLength(3);
  for (const instance of ['quick:0', 'errors:0', 'shell:0']) {
    const lines = home.lines(instance);
    const count = Number(/^end (\d+)$/.exec(lines.at(-1) ?? '')?.[1]);
    expect(lines.slice(0, -1), instance).toEqual(Array.from({ length: count }, (_, n) => `line ${n + 1}`));
  }
});

test.concurrent('a kill -9 in the middle of a stop: the next daemon ends it at the same deadline', async () => {
  await using home = new Home();
  await home.ok(['start', fixture('stubborn.mjs'), '--grace', '5s', '--ready', 'log:ignoring']);
  const { pid } = await home.instance('stubborn:0');
  await using stop = home.begin(['stop', 'stubborn']);
  const { deadline = 0 } = await home.record('signal-sent', 'stubborn:0');
  await home.killDaemon();
  expect(await stop.status()).toBe(1);
  expect(stop.stderr).toContain('gsup: the daemon went away during the stop of stubborn\n');
  await home.ls();
  const adopted = await home.record('adopted', 'stubborn:0');
  const kill = await home.record('kill-sent', 'stubborn:0');
  expect(kill.time).toBeGreaterThanOrEqual(deadline - 1);
  expect(kill.time).toBeLessThan(Math.max(deadline, adopted.time) + 1_000);
  await home.record('stopped', 'stubborn:0');
  expect(await home.instance('stubborn:0')).toMatchObject({ state: 'stopped', pid: null });
  expect(home.phases('stubborn:0').filter((phase) => phase === 'signal-sent')).toHaveLength(1);
  expect(isAlive(Number(pid))).toBe(false);
});

test.concurrent('the exit of an adopted instance is seen, with its status or as unknown, and followed by its restart policy', async () => {
  await using home = new Home();
  await using stage = new Stage();
  const before = await orphan(home, stage);
  expect((await home.instance('api:0')).pid).toBe(before.pid);
  await before.send({ act: 'exit', code: 7 });
  const after = await stage.connected();
  const view = await home.instance('api:0');
  expect(view).toMatchObject({ pid: after.pid, restarts: 1 });
  expect([7, null]).toContain(view.lastExit?.code);
});

test.concurrent('an exit while no daemon lives is exit unknown, and it is started again', async () => {
  await using home = new Home();
  await using stage = new Stage();
  const before = await orphan(home, stage);
  await before.send({ act: 'exit', code: 7 });
  await home.gone(before.pid);
  await home.ls();
  const after = await stage.connected();
  expect(after.pid).not.toBe(before.pid);
  expect(await home.record('exited', 'api:0')).toMatchObject({
    exitCode: null,
    exitSignal: null,
    msg: expect.stringMatching(/^exit unknown/),
  });
  expect(await home.record('logs-drained', 'api:0')).toMatchObject({ isComplete: true });
});

test.concurrent('an exit while no daemon lives, restart policy never: it stays down, and says that its end is unknown', async () => {
  await using home = new Home();
  await home.ok(['start', fixture('quiet.mjs'), '--restart', 'never', '--ready', 'exec:true']);
  const { pid } = await home.instance('quiet:0');
  await home.killDaemon();
  process.kill(Number(pid), 'SIGKILL');
  await home.gone(Number(pid));
  await home.ls();
  await home.record('failed', 'quiet:0');
  expect(await home.instance('quiet:0')).toMatchObject({ state: 'failed', pid: null, lastExit: { by: 'unknown' } });
  expect(home.phases('quiet:0').filter((phase) => phase === 'spawned')).toHaveLength(1);
});

test.concurrent.each([
  ['with another start time', false],
  ['even with the very start time of the stranger', true],
])('a pid that now is another program is never signalled, %s', async (_, hasItsTime) => {
  await using home = new Home();
  using stranger = new Stranger();
  await home.ok(['start', fixture('quiet.mjs'), '--restart', 'never', '--ready', 'exec:true']);
  const { pid } = await home.instance('quiet:0');
  await home.killDaemon();
  process.kill(Number(pid), 'SIGKILL');
  await home.gone(Number(pid));
  const state = JSON.parse(readFileSync(home.file('state.json'), 'utf8'));
  state.state.services.quiet.instances[0].pid = stranger.pid;
  state.runs['quiet:0'].pid = stranger.pid;
  if (hasItsTime) state.runs['quiet:0'].startTicks = stranger.startTicks;
  writeFileSync(home.file('state.json'), JSON.stringify(state));
  await home.ls();
  await home.record('failed', 'quiet:0');
  expect((await home.run(['stop', 'quiet'])).status).toBe(0);
  await home.ok(['kill']);
  expect(isAlive(stranger.pid)).toBe(true);
  expect(home.records.some(({ phase }) => phase === 'survivors-signalled')).toBe(false);
});

test.concurrent('an adopted instance is stopped by its ladder, with what it had started beside it', async () => {
  await using home = new Home();
  await home.ok(['start', fixture('daemonising.mjs'), '--ready', 'log:daemon']);
  const daemon = Number(/^daemon (\d+)$/.exec(home.lines('daemonising:0')[0] ?? '')?.[1]);
  await home.killDaemon();
  const { status, stderr } = await home.run(['stop', 'daemonising']);
  expect(stderr).toContain('✓ daemonising:0  stopped cleanly');
  expect(status).toBe(0);
  expect(isAlive(daemon)).toBe(false);
  expect(home.alive()).toEqual(home.daemonPids());
});

test.concurrent('update: the daemon is another one, the services are the same, and no line is lost', async () => {
  await using home = new Home();
  const counter = home.write('counter.mjs', COUNTER);
  await home.ok(['start', counter, '-i', '2', '--ready', 'log:line', '--stop-signal', 'SIGTERM']);
  const before = await home.pids();
  const daemon = await home.daemonPid();
  for (let count = 0; count < 3; count++) await home.ok(['update']);
  expect(await home.daemonPid()).not.toBe(daemon);
  expect(await home.pids()).toEqual(before);
  await home.ok(['stop', 'counter']);
  for (const instance of ['counter:0', 'counter:1']) {
    const lines = home.lines(instance);
    const count = Number(/^end (\d+)$/.exec(lines.at(-1) ?? '')?.[1]);
    expect(lines.slice(0, -1), instance).toEqual(Array.from({ length: count }, (_, n) => `line ${n + 1}`));
  }
});

test.concurrent('what gets ready while no daemon lives is ready for the next one', async () => {
  await using home = new Home();
  await using stage = new Stage();
  const env = await stage.environment();
  await using start = home.begin(['start', fixture('puppet.mjs'), '--name', 'api', '--ready', 'log:ready now'], {
    env,
  });
  const puppet = await stage.connected();
  await home.record('spawned', 'api:0');
  await home.killDaemon();
  expect(await start.status()).toBe(1);
  await puppet.send({ act: 'print', text: 'ready now\n' });
  await home.ls();
  await home.record('ready', 'api:0');
  expect(await home.instance('api:0')).toMatchObject({ pid: puppet.pid, state: 'running', ready: true });
});

test.concurrent('a restart that waits for its backoff goes on waiting, and is not forgotten', async () => {
  await using home = new Home();
  const options = ['--restart-delay', '3s', '--name', 'api'];
  expect((await home.run(['start', fixture('crashing.mjs'), ...options])).status).toBe(1);
  const { nextTryAt } = await home.instance('api:0');
  await home.killDaemon();
  await home.ls();
  const again = await home.record('spawned', 'api:0', 2);
  expect(again.time).toBeGreaterThanOrEqual(Number(nextTryAt) - 5);
});

test.concurrent('a Node script outlives the daemon, also when it talks to its channel or watches it', async () => {
  await using home = new Home();
  const script = home.write(
    'app.mjs',
    `process.on('message', () => {});
     process.on('disconnect', () => process.exit(3));
     process.on('SIGUSR2', () => { process.send?.('ready'); setImmediate(() => console.log('sent')); });
     setInterval(() => {}, 1 << 30);
     console.log('up');`,
  );
  await home.ok(['start', script, '--ready', 'log:up']);
  const before = await home.pids();
  await home.killDaemon();
  expect(await home.pids()).toEqual(before);
  await home.ok(['signal', 'USR2', 'app']);
  await home.said('app:0', /sent/);
  expect(await home.pids()).toEqual(before);
});

test.concurrent('a ready line that the daemon before had read, and had no time to take down, still counts', async () => {
  await using home = new Home();
  const script = home.write('up.mjs', "console.log('up'); setInterval(() => {}, 1000);");
  await home.ok(['start', script, '--ready', 'log:^up$', '--ready-timeout', '20s']);
  const { pid } = await home.instance('up:0');
  await home.killDaemon();
  const kept = JSON.parse(home.read('state.json'));
  const [instance] = kept.state.services.up.instances;
  kept.state.services.up.instances = [{ ...instance, name: 'starting', stopAsked: null }];
  writeFileSync(home.file('state.json'), JSON.stringify(kept));
  await home.ok(['ls']);
  expect(await home.record('ready', 'up:0', 2)).toMatchObject({ pid, reason: 'log line matches ^up$' });
  expect(await home.instance('up:0')).toMatchObject({ pid, state: 'running', ready: true, restarts: 0 });
});

/** A puppet as the service `api`, restarted at once, whose daemon was killed. */
async function orphan(home: Home, stage: Stage): ReturnType<Stage['connected']> {
  const env = await stage.environment();
  await home.ok(['start', fixture('puppet.mjs'), '--name', 'api', '--restart-delay', '0', '--ready', 'exec:true'], {
    env,
  });
  const puppet = await stage.connected();
  await home.killDaemon();
  return puppet;
}
