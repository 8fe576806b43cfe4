import { describe, expect, test } from 'vitest';
import { watchMemory } from '../../src/supervisor/triggers.ts';
import { FakeMachine, FakeSupervision, type Manner, turn } from '../kit/fake-host.ts';
import { serviceSpec } from '../kit/spec.ts';

const STUBBORN: Manner = { stopsAfterMs: Number.POSITIVE_INFINITY };

/** A supervision in which everything is up. */
async function upAndRunning(
  machine: FakeMachine,
  ...specs: Parameters<typeof serviceSpec>[0][]
): Promise<FakeSupervision> {
  const supervision = new FakeSupervision(
    machine,
    specs.map((spec) => serviceSpec(spec)),
  );
  supervision.start(...Object.keys(supervision.supervisor.state.services));
  await machine.pass(10);
  return supervision;
}

describe('a crash loop', () => {
  test('backs off longer and longer and is given up after the limit', async () => {
    const machine = new FakeMachine();
    machine.manners.set('api:0', { ends: { afterMs: 5, code: 7 } });
    const story = await upAndRunning(machine, { restart: { limit: 4 } });
    await machine.pass(60_000);
    const delays = story.records.flatMap(({ phase, delayMs }) => (phase === 'backoff' ? [delayMs] : []));
    expect(delays).toEqual([250, 500, 1_000, 2_000]);
    expect(story.stateOf('api')).toMatchObject({ name: 'failed', run: 5, restarts: 4 });
    expect(story.records.at(-1)?.reason).toBe('exit 7, restarted 4x in 3.8s (restart limit)');
    expect([story.timers, machine.living().length]).toEqual([0, 0]);
  });

  test('is counted on over the death of the supervisor', async () => {
    const machine = new FakeMachine();
    machine.manners.set('api:0', { ends: { afterMs: 5, code: 7 } });
    const story = await upAndRunning(machine, { restart: { limit: 4 } });
    await machine.pass(500);
    story.die();
    await machine.pass(100);
    story.reborn();
    await machine.pass(60_000);
    expect(story.stateOf('api')).toMatchObject({ name: 'failed', run: 5, restarts: 4 });
  });

  test('that is over begins anew after a good run', async () => {
    const machine = new FakeMachine();
    machine.manners.set('api:0', (start) => ({ ends: { afterMs: start === 3 ? 31_000 : 5, code: 1 } }));
    const story = await upAndRunning(machine, {});
    await machine.pass(33_000);
    const delays = story.records.flatMap(({ phase, delayMs }) => (phase === 'backoff' ? [delayMs] : []));
    expect(delays.slice(0, 4)).toEqual([250, 500, 0, 500]);
  });

  test('of a spawn that fails is one too, unless no other try will help', async () => {
    const machine = new FakeMachine();
    machine.manners.set('api:0', { refuses: { reason: 'EAGAIN', exitStatus: null } });
    machine.manners.set('web:0', { refuses: { reason: 'no such program', exitStatus: 127 } });
    const story = await upAndRunning(machine, { restart: { limit: 2 } }, { name: 'web' });
    await machine.pass(5_000);
    expect(story.stateOf('api')).toMatchObject({ name: 'failed', run: 3 });
    expect(story.stateOf('web')).toMatchObject({ name: 'failed', run: 1, exitStatus: 127 });
  });
});

describe('the state is kept', () => {
  test('before each spawn, with the token that the run will have', async () => {
    const machine = new FakeMachine();
    machine.manners.set('api:0', (start) => (start === 1 ? { ends: { afterMs: 5, code: 1 } } : {}));
    const story = new FakeSupervision(machine, [serviceSpec()]);
    story.start('api');
    const kept = JSON.parse(machine.saved ?? '') as ReturnType<typeof keptOf>;
    expect(machine.deeds).toEqual(['saved', 'spawn api:0']);
    expect(kept.runs['api:0']).toEqual({
      token: machine.living()[0]?.token,
      pid: null,
      startTicks: 0,
      channel: null,
      sockets: {},
    });
    expect(kept.state.services['api']?.instances[0]).toMatchObject({ name: 'starting', run: 1, pid: null });
    await machine.pass(1_000);
    const before = machine.deeds.lastIndexOf('spawn api:0') - 1;
    expect(machine.deeds[before]).toBe('saved');
    expect(machine.deeds.filter((deed) => deed === 'spawn api:0')).toHaveLength(2);
  });

  test('before a signal goes out', async () => {
    const machine = new FakeMachine();
    const story = await upAndRunning(machine, {});
    expect(keptOf(machine).state.services['api']?.instances[0]).toMatchObject({ name: 'running', pid: 101 });
    expect(keptOf(machine).runs['api:0']).toEqual({
      token: 'token-1',
      pid: 101,
      startTicks: 7,
      channel: null,
      sockets: {},
    });
    story.stop('api');
    await turn();
    expect(keptOf(machine).state.services['api']).toMatchObject({ stoppedByHand: [0] });
  });

  test('once for much that is asked together', async () => {
    const machine = new FakeMachine();
    const story = await upAndRunning(machine, { instances: 8 });
    machine.deeds.length = 0;
    story.supervisor.batch(() => {
      for (let index = 0; index < 8; index++) story.stop('api', index);
    });
    await turn();
    expect(machine.deeds.filter((deed) => deed === 'saved')).toHaveLength(1);
  });

  test('without the run of what is down', async () => {
    const machine = new FakeMachine();
    const story = await upAndRunning(machine, {});
    story.stop('api');
    await machine.pass(10);
    expect(story.stateOf('api').name).toBe('stopped');
    expect(keptOf(machine).runs).toEqual({});
  });
});

function keptOf(machine: FakeMachine): FakeSupervision['supervisor']['snapshot'] {
  return JSON.parse(machine.saved ?? 'null');
}

describe('adoption', () => {
  test('of what runs: it runs on, untouched', async () => {
    const machine = new FakeMachine();
    const story = await upAndRunning(machine, { instances: 2 });
    story.die();
    machine.deeds.length = 0;
    story.reborn();
    await machine.pass(100);
    expect(machine.deeds.filter((deed) => deed !== 'saved')).toEqual([]);
    expect(story.phases.slice(-2)).toEqual(['api:0 adopted', 'api:1 adopted']);
    expect([story.stateOf('api', 0), story.stateOf('api', 1)]).toMatchObject([
      { name: 'running', pid: 101 },
      { name: 'running', pid: 102 },
    ]);
  });

  test('of a spawn whose news was never kept: the leader is found by its token', async () => {
    const machine = new FakeMachine();
    machine.holdsSpawnNews = true;
    const story = new FakeSupervision(machine, [serviceSpec()]);
    story.start('api');
    story.die();
    expect(keptOf(machine).runs['api:0']?.pid).toBe(null);
    story.reborn();
    await machine.pass(10);
    expect(story.stateOf('api')).toMatchObject({ name: 'running', run: 1, pid: 101 });
    expect(keptOf(machine).runs['api:0']).toEqual({
      token: 'token-1',
      pid: 101,
      startTicks: 7,
      channel: null,
      sockets: {},
    });
    story.stop('api');
    await machine.pass(10);
    expect([story.stateOf('api').name, machine.living()]).toEqual(['stopped', []]);
  });

  test('of a spawn whose process ended before anybody was told: another run begins', async () => {
    const machine = new FakeMachine();
    machine.holdsSpawnNews = true;
    machine.manners.set('api:0', (start) => (start === 1 ? { ends: { afterMs: 5, code: 1 } } : {}));
    const story = new FakeSupervision(machine, [serviceSpec()]);
    story.start('api');
    story.die();
    await machine.pass(10);
    machine.holdsSpawnNews = false;
    story.reborn();
    await machine.pass(10);
    expect(story.stateOf('api')).toMatchObject({ name: 'running', run: 2 });
    expect(machine.living()).toHaveLength(1);
  });

  test.each([
    ['always', 'backoff'],
    ['on-failure', 'backoff'],
    ['never', 'failed'],
  ] as const)('of what ends later with a status unknown: policy %s → %s', async (policy, name) => {
    const machine = new FakeMachine();
    const story = await upAndRunning(machine, { restart: { policy } });
    await endAdopted(machine, story);
    expect(story.stateOf('api')).toMatchObject({ name, lastExit: { code: null, signal: null, by: 'unknown' } });
  });

  test('of what ends later with a status that the kernel tells: it counts', async () => {
    const machine = new FakeMachine();
    machine.tellsStatusOfAdopted = true;
    const story = await upAndRunning(machine, { restart: { policy: 'on-failure' } });
    await endAdopted(machine, story);
    expect(story.stateOf('api')).toMatchObject({ name: 'exited', lastExit: { code: 0, by: 'self' } });
  });

  test('of what ended meanwhile: its survivors are cleared, then it starts again', async () => {
    const machine = new FakeMachine();
    machine.manners.set('api:0', (start) => (start === 1 ? { child: 'stubborn' } : {}));
    const story = await upAndRunning(machine, { stop: { graceMs: 1_000 } });
    story.die();
    const leader = machine.leader('api:0');
    if (leader) machine.end(leader, 1, null);
    story.reborn();
    await machine.pass(5_000);
    expect(story.phases.slice(-7)).toEqual([
      'api:0 exited',
      'api:0 survivors-signalled',
      'api:0 survivors-killed',
      'api:0 logs-drained',
      'api:0 backoff',
      'api:0 spawned',
      'api:0 ready',
    ]);
    expect(machine.living()).toHaveLength(1);
  });

  test('twice, and it ends: it is restarted under the third supervisor', async () => {
    const machine = new FakeMachine();
    const story = await upAndRunning(machine, {});
    for (let times = 0; times < 2; times++) {
      story.die();
      story.reborn();
      await machine.pass(10);
    }
    const leader = machine.leader('api:0');
    if (leader) machine.end(leader, 1, null);
    await machine.pass(1_000);
    expect(story.stateOf('api')).toMatchObject({ name: 'running', run: 2 });
  });

  test('keeps the memory limit', async () => {
    const machine = new FakeMachine();
    const story = await upAndRunning(machine, { memoryLimitBytes: 500 });
    story.die();
    story.reborn();
    await machine.pass(5_000);
    expect(story.phases).toContain('api:0 stop-requested');
  });

  test('of one that started: it is asked whether it is ready, by the rest of its timeout', async () => {
    const machine = new FakeMachine();
    const ready = { check: { kind: 'message' }, intervalMs: 100, timeoutMs: 5_000 } as const;
    const story = await upAndRunning(machine, { ready, restart: { policy: 'never' } });
    story.die();
    await machine.pass(2_000);
    story.reborn();
    await machine.pass(2_900);
    expect(story.stateOf('api').name).toBe('starting');
    await machine.pass(200);
    expect(story.stateOf('api')).toMatchObject({ name: 'failed', reason: 'not ready within 5s, restart policy never' });
  });
});

describe('a supervisor that dies in mid-stop', () => {
  const spec = { stop: { drainDelayMs: 3_000, graceMs: 10_000 } };

  /** When it dies after the request, and all that is told of the stop from then on. */
  test.each([
    ['while it drains', 1_000, ['adopted', 'draining', 'signal-sent', 'grace-warning', 'kill-sent']],
    ['after the signal', 4_000, ['adopted', 'grace-warning', 'kill-sent']],
    ['after the warning', 12_000, ['adopted', 'kill-sent']],
  ])('%s: the next one goes on', async (_, ms, phases) => {
    const machine = new FakeMachine();
    machine.manners.set('api:0', { ...STUBBORN, child: 'stubborn' });
    const story = await upAndRunning(machine, spec);
    const begun = machine.now;
    story.stop('api');
    await machine.pass(ms);
    story.die();
    story.records.length = 0;
    story.reborn();
    await machine.pass(60_000);
    const rest = ['exited', 'logs-drained', 'stopped'];
    expect(story.phases).toEqual([...phases, ...rest].map((phase) => `api:0 ${phase}`));
    const killed = story.records.find(({ phase }) => phase === 'kill-sent')?.at ?? 0;
    if (ms >= 3_000) expect(killed - begun).toBe(13_000);
    expect([story.stateOf('api').name, machine.living(), story.timers]).toEqual(['stopped', [], 0]);
  });

  test('after SIGKILL of what can not be killed: it is told once, and nothing starts beside it', async () => {
    const machine = new FakeMachine();
    machine.manners.set('api:0', { ...STUBBORN, isStuck: true });
    const story = await upAndRunning(machine, { stop: { graceMs: 100 } });
    story.stop('api');
    await machine.pass(1_000);
    story.die();
    story.reborn();
    await machine.pass(10_000);
    expect(story.phases.filter((phase) => phase === 'api:0 stopped')).toHaveLength(1);
    expect(story.stateOf('api')).toMatchObject({ name: 'failed', stuckPid: 101 });
    story.die();
    story.reborn();
    story.start('api');
    await machine.pass(10);
    expect(machine.living()).toHaveLength(1);
  });

  test.each([
    ['in the shutdown', false],
    ['in a stop before it', true],
  ])(
    'a process that SIGKILL does not end %s is named at its end, and nothing is called stopped',
    async (_, isBefore) => {
      const machine = new FakeMachine();
      machine.manners.set('api:0', { ...STUBBORN, isStuck: true });
      const story = await upAndRunning(machine, { stop: { graceMs: 100 } });
      if (isBefore) story.stop('api');
      await machine.pass(10_000);
      story.supervisor.dispatch({ type: 'shutdown', at: machine.now, reason: 'test', signal: null });
      await machine.pass(10_000);
      const completed = story.records.find(({ phase }) => phase === 'shutdown-completed');
      expect(completed).toMatchObject({ level: 'error', verdict: 'killed', alive: [101] });
      expect(story.supervisor.state).toMatchObject({ hasEnded: true, verdict: 'killed', alive: [101] });
      const stopped = story.records.filter(({ phase }) => phase === 'stopped');
      expect(stopped).toMatchObject([{ alive: [101] }]);
      expect(stopped[0]?.graceUsed).toBeUndefined();
    },
  );

  test('after SIGKILL of what dies at last: it may start again', async () => {
    const machine = new FakeMachine();
    machine.manners.set('api:0', (start) => (start === 1 ? { ...STUBBORN, isStuck: true } : {}));
    const story = await upAndRunning(machine, { stop: { graceMs: 100 } });
    story.stop('api');
    await machine.pass(10_000);
    story.die();
    story.reborn();
    await machine.pass(10);
    const leader = machine.leader('api:0');
    if (leader) machine.end(leader, null, 'SIGKILL');
    await machine.pass(10);
    story.start('api');
    await machine.pass(10);
    expect(story.stateOf('api')).toMatchObject({ name: 'running', run: 2 });
  });

  test.each([
    ['back', -3_600_000],
    ['forward', 3_600_000],
  ])('with the clock set %s: the grace period is never longer than the policy says', async (_, by) => {
    const machine = new FakeMachine();
    machine.manners.set('api:0', STUBBORN);
    const story = await upAndRunning(machine, { stop: { graceMs: 10_000 } });
    story.stop('api');
    await machine.pass(5_000);
    story.die();
    machine.now += by;
    story.reborn();
    await machine.pass(10_100);
    expect([story.stateOf('api').name, machine.living()]).toEqual(['stopped', []]);
  });

  test('with the clock set back: survivors too are given no more than the grace period', async () => {
    const machine = new FakeMachine();
    machine.manners.set('api:0', { child: 'stubborn' });
    const story = await upAndRunning(machine, { stop: { graceMs: 10_000 } });
    story.stop('api');
    await machine.pass(1_000);
    story.die();
    machine.now -= 3_600_000;
    story.reborn();
    await machine.pass(10_100);
    expect([story.stateOf('api').name, machine.living()]).toEqual(['stopped', []]);
  });

  test('of a restart: it comes up again under the next one', async () => {
    const machine = new FakeMachine();
    machine.manners.set('api:0', { stopsAfterMs: 2_000 });
    const story = await upAndRunning(machine, {});
    const instances = [{ service: 'api', index: 0 }];
    story.supervisor.dispatch({ type: 'restart', at: machine.now, instances, reason: 'test' });
    await machine.pass(1_000);
    story.die();
    await machine.pass(5_000);
    story.reborn();
    await machine.pass(10);
    expect(story.stateOf('api')).toMatchObject({ name: 'running', run: 2 });
  });
});

describe('a shutdown', () => {
  test('and the next supervisor: all of it comes back, but for what was stopped by hand', async () => {
    const machine = new FakeMachine();
    const story = await upAndRunning(
      machine,
      { name: 'db' },
      { name: 'api', dependsOn: { db: 'started' }, instances: 2 },
    );
    story.stop('api', 1);
    await machine.pass(10);
    story.supervisor.dispatch({ type: 'shutdown', at: machine.now, reason: 'SIGTERM', signal: 'SIGTERM' });
    await machine.pass(10);
    expect((await story.supervisor.ended).verdict).toBe('clean');
    story.supervisor.save();
    story.die();
    story.reborn();
    await machine.pass(10);
    expect(machine.living().map(({ instance }) => instance)).toEqual(['db:0', 'api:0']);
  });

  test('that the supervisor does not live to end: what it stopped comes back, what ran runs on', async () => {
    const machine = new FakeMachine();
    machine.manners.set('api:0', { stopsAfterMs: 2_000 });
    const story = await upAndRunning(machine, { name: 'db' }, { name: 'api', dependsOn: { db: 'started' } });
    story.supervisor.dispatch({ type: 'shutdown', at: machine.now, reason: 'SIGTERM', signal: 'SIGTERM' });
    await machine.pass(1_000);
    story.die();
    story.reborn();
    await machine.pass(5_000);
    expect([story.stateOf('db').run, story.stateOf('api').run]).toEqual([1, 2]);
    expect(machine.living()).toHaveLength(2);
  });
});

test('in a new boot what was leaving is gone, also when nothing is to be started', async () => {
  const machine = new FakeMachine();
  machine.manners.set('gone:0', STUBBORN);
  const story = await upAndRunning(machine, { name: 'gone' }, {});
  story.stop('api');
  await machine.pass(10);
  story.supervisor.dispatch({ type: 'remove', at: machine.now, services: ['gone'], reason: 'test' });
  await turn();
  story.die();
  for (const process of machine.processes) process.isAlive = false;
  story.reborn({ isSameBoot: false });
  await machine.pass(10);
  expect(Object.keys(story.supervisor.state.services)).toEqual(['api']);
});

test('a memory limit that is being looked at when its run is let go is not watched for ever', async () => {
  const machine = new FakeMachine();
  const clock = { now: () => machine.now, after: (ms: number, callback: () => void) => machine.after(ms, callback) };
  let answer: (bytes: number) => void = () => {};
  const memory = () =>
    new Promise<number>((resolve) => {
      answer = resolve;
    });
  const end = watchMemory({ spec: serviceSpec({ memoryLimitBytes: 500 }), clock, memory, ask: () => {} });
  await machine.pass(2_000);
  end();
  answer(0);
  await turn();
  expect(machine.timersOf(machine)).toBe(0);
});

/** A new supervisor adopts the leader of api:0, which then exits with 0. */
async function endAdopted(machine: FakeMachine, story: FakeSupervision): Promise<void> {
  story.die();
  story.reborn();
  await machine.pass(10);
  const leader = machine.leader('api:0');
  if (leader) machine.end(leader, 0, null);
  await machine.pass(10);
}
