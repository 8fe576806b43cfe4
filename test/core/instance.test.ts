import { describe, expect, test } from 'vitest';
import { recordMessage, type Survivor } from '../../src/core/record.ts';
import { serviceSpec } from '../kit/spec.ts';
import { World } from '../kit/world.ts';

const SURVIVOR: Survivor = { pid: 900, startTicks: 1, command: 'sleep 100', isInGroup: false };

function running(spec = serviceSpec()): World {
  const world = new World(spec);
  world.start();
  world.spawned();
  world.records.length = 0;
  return world;
}

function finish(world: World): void {
  world.answer();
  world.answer();
}

describe('a stop', () => {
  test('goes by the phases of the contract and ends clean', () => {
    const world = running();
    world.stop();
    world.now += 200;
    world.exit(0);
    finish(world);
    expect(world.phases).toEqual(['stop-requested', 'signal-sent', 'exited', 'logs-drained', 'stopped']);
    expect(world.state.name).toBe('stopped');
    expect(world.records.at(-1)).toMatchObject({ verdict: 'clean', graceUsed: 0.02 });
    expect(world.timers.size).toBe(0);
  });

  test('warns at 80 % of the grace period and kills at its end, not before', () => {
    const world = running();
    const begun = world.now;
    world.stop();
    world.fire();
    expect([world.now - begun, world.phases.at(-1)]).toEqual([8_000, 'grace-warning']);
    world.fire();
    expect([world.now - begun, world.phases.at(-1)]).toEqual([10_000, 'kill-sent']);
    world.exit(null, 'SIGKILL');
    finish(world);
    expect(world.records.at(-1)).toMatchObject({ phase: 'stopped', verdict: 'killed', graceUsed: 1 });
    expect(world.state).toMatchObject({ name: 'stopped', lastExit: { signal: 'SIGKILL', by: 'gsup' } });
  });

  test('gives survivors what is left of the grace period, then SIGKILL', () => {
    const world = running();
    world.stop();
    world.now += 4_000;
    world.survivors = [SURVIVOR];
    world.exit(0);
    world.answer();
    expect(world.records.at(-1)).toMatchObject({ phase: 'survivors-signalled', remainingMs: 6_000 });
    world.fire();
    expect(world.records.at(-1)).toMatchObject({
      phase: 'survivors-killed',
      survivors: [{ pid: 900, command: 'sleep 100' }],
    });
    world.emptied();
    world.answer();
    expect(world.records.at(-1)).toMatchObject({ phase: 'stopped', verdict: 'killed' });
  });

  test('in kill mode leader lets survivors be', () => {
    const world = running(serviceSpec({ stop: { killMode: 'leader' } }));
    world.stop();
    world.survivors = [SURVIVOR];
    world.exit(0);
    world.answer();
    expect(world.phases).toEqual(['stop-requested', 'signal-sent', 'exited', 'logs-drained', 'stopped']);
  });

  test('with drain delay and hook goes through both before the signal', () => {
    const preStop = { argv: ['hook'] as [string], timeoutMs: 5_000 };
    const world = running(serviceSpec({ stop: { drainDelayMs: 3_000, preStop } }));
    world.stop();
    expect(world.last.some((effect) => effect.do === 'signal')).toBe(false);
    world.fire();
    expect(world.phases.at(-1)).toBe('pre-stop');
    world.answer();
    expect(world.phases).toEqual(['stop-requested', 'draining', 'pre-stop', 'signal-sent']);
  });

  test('forced skips what is not hard', () => {
    const world = running(serviceSpec({ stop: { drainDelayMs: 3_000 } }));
    world.stop();
    world.tell({ type: 'forced' });
    expect(world.phases).toEqual(['stop-requested', 'draining', 'kill-sent']);
    expect(world.records.at(-1)?.reason).toBe('cut short by a second SIGINT');
  });

  test('of a process that SIGKILL does not end is reported after 5 s, and nothing is started beside it', () => {
    const world = running();
    world.stop();
    const begun = world.now;
    while (world.fire());
    expect(world.now - begun).toBe(15_000);
    expect(world.phases.slice(-3)).toEqual(['kill-sent', 'stuck', 'stopped']);
    world.start();
    expect([world.state.name, world.spawning]).toEqual(['failed', null]);
    world.exit(null, 'SIGKILL');
    world.start();
    expect(world.spawning).toBe(2);
  });

  test('of survivors that SIGKILL does not end is not called stopped', () => {
    const world = running();
    world.stop();
    world.survivors = [SURVIVOR];
    world.exit(0);
    world.answer();
    for (let count = 0; count < 20 && world.state.name === 'stopping'; count++) if (!world.fire()) world.answer();
    const stopped = world.records.find(({ phase }) => phase === 'stopped');
    expect(stopped).toMatchObject({ level: 'error', verdict: 'killed', alive: [SURVIVOR.pid] });
    expect(recordMessage(stopped ?? { phase: 'stopped' })).toBe(
      `not stopped: process ${SURVIVOR.pid} did not die of SIGKILL`,
    );
  });

  test('asked in the middle of a restart wins over the restart', () => {
    const world = running();
    world.exit(1);
    world.stop();
    finish(world);
    expect(world.state.name).toBe('stopped');
    expect(world.spawning).toBe(null);
  });

  test('asked before the process is there stops it as soon as it is', () => {
    const world = new World(serviceSpec());
    world.start();
    world.stop();
    world.spawned();
    expect(world.phases).toEqual(['spawned', 'stop-requested', 'signal-sent']);
  });

  test('cut to a budget keeps the grace period first', () => {
    const preStop = { argv: ['hook'] as [string], timeoutMs: 5_000 };
    const world = running(serviceSpec({ stop: { drainDelayMs: 3_000, preStop, graceMs: 10_000 } }));
    world.stop(12_000);
    expect(world.state).toMatchObject({ stop: { graceMs: 10_000, preStop: { timeoutMs: 2_000 }, drainDelayMs: 0 } });
  });
});

describe('an instance that ends by itself', () => {
  test('is cleared of survivors and then restarted after a backoff', () => {
    const world = running();
    world.survivors = [SURVIVOR];
    world.exit(1);
    world.answer();
    world.emptied();
    world.answer();
    expect(world.phases).toEqual(['exited', 'survivors-signalled', 'logs-drained', 'backoff']);
    world.fire();
    expect(world.spawning).toBe(2);
  });

  test('with a successful exit and policy on-failure has completed', () => {
    const world = running(serviceSpec({ restart: { policy: 'on-failure' } }));
    world.exit(0);
    finish(world);
    expect(world.state).toMatchObject({ name: 'exited', reached: { completed: true } });
  });

  test('of a signal that was only passed on is not a failure', () => {
    const world = running(serviceSpec({ restart: { policy: 'on-failure' } }));
    world.tell({ type: 'signal-forwarded', signal: 'SIGTERM' });
    world.exit(null, 'SIGTERM');
    finish(world);
    expect(world.state.name).toBe('exited');
  });

  test('again and again is given up after the restart limit', () => {
    const world = running(serviceSpec({ restart: { minDelayMs: 0, limit: 2 } }));
    for (let run = 1; run <= 3; run++) {
      world.exit(7);
      finish(world);
      world.spawned();
    }
    expect(world.state).toMatchObject({ name: 'failed', run: 3, restarts: 2 });
    expect(world.records.at(-1)?.reason).toBe('exit 7, restarted 2x in 0ms (restart limit)');
  });
});

describe('a start', () => {
  const ready = { check: { kind: 'message' }, intervalMs: 200, timeoutMs: 30_000 } as const;

  test('that does not get ready in time is a failure and is stopped by the ladder', () => {
    const world = new World(serviceSpec({ ready }));
    world.start();
    world.spawned();
    world.fire();
    expect(world.phases).toEqual(['spawned', 'ready-timeout', 'stop-requested', 'signal-sent']);
    world.exit(0);
    finish(world);
    expect(world.records.at(-1)).toMatchObject({ phase: 'backoff', reason: 'not ready within 30s' });
  });

  test('that ends before it is ready is a failure', () => {
    const world = new World(serviceSpec({ ready, restart: { policy: 'never' } }));
    world.start();
    world.spawned();
    world.exit(3);
    finish(world);
    expect(world.records.at(-1)).toMatchObject({
      phase: 'failed',
      reason: 'exit 3 before it was ready, restart policy never',
    });
  });

  test('that no other try will help is not tried again', () => {
    const world = new World(serviceSpec());
    world.start();
    world.tell({ type: 'spawn-failed', run: 1, reason: 'not there', exitStatus: 127 });
    expect(world.state).toMatchObject({ name: 'failed', exitStatus: 127 });
  });

  test('ignores news of another run, and says so', () => {
    const world = running();
    world.tell({ type: 'exited', run: 9, code: 0, signal: null });
    expect(world.state.name).toBe('running');
    expect(world.records).toEqual([{ phase: 'ignored', level: 'debug', reason: 'exited of run 9 came in run 1' }]);
  });
});

test('the app is asked what is pending before the grace period is over, and a SIGKILL is recorded with its answer', () => {
  const world = new World(serviceSpec());
  world.start();
  world.spawned();
  world.stop();
  world.fire();
  expect(world.phases.at(-1)).toBe('grace-warning');
  expect(world.last).toContainEqual({ do: 'ask-app', run: 1 });
  world.tell({ type: 'app-told', run: 1, appPhase: 'waiting', pending: { requests: 3 } });
  world.fire();
  expect(world.records.at(-1)).toMatchObject({ phase: 'kill-sent', appPhase: 'waiting', pending: { requests: 3 } });
});

test('an app that asks for more time to become ready gets twice its timeout at most', () => {
  const world = new World(serviceSpec({ ready: { check: { kind: 'notify' }, timeoutMs: 10_000 } }));
  world.start();
  world.spawned();
  const begun = world.now;
  world.tell({ type: 'extended', run: 1, ms: 5_000 });
  expect(world.timers.get('ready')?.at).toBe(begun + 10_000);
  world.tell({ type: 'extended', run: 1, ms: 15_000 });
  expect(world.timers.get('ready')?.at).toBe(begun + 15_000);
  world.tell({ type: 'extended', run: 1, ms: 90_000 });
  expect(world.timers.get('ready')?.at).toBe(begun + 20_000);
});

test('an app that asks for more time to stop gets twice its grace at most, and no more than a shutdown has', () => {
  const deadlineOf = (world: World) => world.timers.get('rung')?.at;
  const world = running(serviceSpec({ stop: { graceMs: 10_000 } }));
  const begun = world.now;
  world.stop();
  world.tell({ type: 'extended', run: 1, ms: 90_000 });
  expect(deadlineOf(world)).toBe(begun + 20_000);
  const limited = running(serviceSpec({ stop: { graceMs: 10_000 } }));
  limited.stop(12_000);
  limited.tell({ type: 'extended', run: 1, ms: 90_000 });
  expect(deadlineOf(limited)).toBe(limited.now + 12_000);
});
