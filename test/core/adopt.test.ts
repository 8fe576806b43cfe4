import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Survivor } from '../../src/core/record.ts';
import type { ServiceSpec } from '../../src/core/service.ts';
import { serviceSpec } from '../kit/spec.ts';
import { World } from '../kit/world.ts';

const SURVIVOR: Survivor = { pid: 900, startTicks: 1, command: 'sleep 100', isInGroup: false };
const READY = { check: { kind: 'message' }, intervalMs: 200, timeoutMs: 30_000 } as const;

function running(spec = serviceSpec()): World {
  const world = new World(spec);
  world.start();
  world.spawned();
  return world;
}

/** The supervisor dies; the next one begins `laterMs` after by its clock, and has looked for the leader. */
function adopted(world: World, isAlive: boolean, laterMs = 0): World {
  world.timers.clear();
  world.looking = world.draining = world.hooking = false;
  world.records.length = 0;
  world.now += laterMs;
  if (!isAlive) world.leader = null;
  world.tell({ type: 'restored', run: world.state.run, pid: isAlive ? 100 + world.state.run : null });
  return world;
}

/** The same, when the leader that was found is one that the state does not know. */
function foundLater(world: World, pid: number, startedAt: number): World {
  world.timers.clear();
  world.records.length = 0;
  world.leader = pid;
  world.tell({ type: 'restored', run: world.state.run, pid, startedAt });
  return world;
}

function timer(world: World, name: 'rung' | 'ready' | 'backoff' | 'warning'): number | null {
  const armed = world.timers.get(name);
  return armed === undefined ? null : armed.at - world.now;
}

describe('one that ran', () => {
  test('runs on when its leader lives', () => {
    const world = adopted(running(), true);
    expect([world.state.name, world.phases]).toEqual(['running', ['adopted']]);
  });

  test('has ended when its leader is gone, nobody knows how, and its survivors are cleared', () => {
    const world = adopted(running(), false);
    expect(world.records).toMatchObject([{ phase: 'exited', exitCode: null, exitSignal: null }]);
    world.survivors = [SURVIVOR];
    world.answer();
    expect(world.phases).toEqual(['exited', 'survivors-signalled']);
    world.emptied();
    world.answer();
    expect(world.state).toMatchObject({ name: 'backoff', reason: 'exit unknown', lastExit: { by: 'unknown' } });
  });

  test.each([
    ['always', 'backoff'],
    ['on-failure', 'backoff'],
    ['never', 'failed'],
  ] as const)('and ended unknown, with policy %s, is in %s', (policy, name) => {
    const world = adopted(running(serviceSpec({ restart: { policy } })), false);
    world.answer();
    world.answer();
    expect(world.state).toMatchObject({ name, reached: { completed: false } });
  });
});

describe('one whose leader is another than the state knows', () => {
  test('is that process from now on, while it runs and while it stops', () => {
    const world = running();
    const startedAt = world.now - 500;
    foundLater(world, 300, startedAt);
    expect(world.state).toMatchObject({ name: 'running', pid: 300, startedAt });
    expect(world.records).toMatchObject([{ phase: 'adopted', pid: 300 }]);
    world.stop();
    expect(world.records.at(-1)).toMatchObject({ phase: 'signal-sent', pid: 300 });
  });

  test('gets the stop signal and the whole grace period, where the stop was one of the run before', () => {
    const world = running(serviceSpec({ stop: { graceMs: 5_000 } }));
    world.stop();
    world.now += 4_000;
    foundLater(world, 300, world.now - 500);
    expect(world.phases).toEqual(['adopted', 'signal-sent']);
    expect(world.records.at(-1)).toMatchObject({ pid: 300 });
    expect(timer(world, 'rung')).toBe(5_000);
  });
});

describe('one that started', () => {
  test('without news of its spawn is the leader that was found', () => {
    const world = new World(serviceSpec());
    world.start();
    adopted(world, true);
    expect(world.state).toMatchObject({ name: 'running', pid: 101, run: 1 });
  });

  test('without news of its spawn and without a leader is spawned as another run', () => {
    const world = new World(serviceSpec());
    world.start();
    adopted(world, false);
    expect([world.state.name, world.spawning]).toEqual(['starting', 2]);
  });

  test('is asked again whether it is ready, for what is left of its timeout', () => {
    const world = running(serviceSpec({ ready: READY }));
    adopted(world, true, 12_000);
    expect(world.last.map((effect) => effect.do)).toEqual(['record', 'check-ready', 'arm']);
    expect(timer(world, 'ready')).toBe(18_000);
  });

  test('and had used up its timeout is given no more', () => {
    expect(timer(adopted(running(serviceSpec({ ready: READY })), true, 99_000), 'ready')).toBe(0);
  });

  test('and was asked to stop before its process was there is stopped as soon as it is found', () => {
    const world = new World(serviceSpec());
    world.start();
    world.stop();
    adopted(world, true);
    expect(world.phases).toEqual(['adopted', 'stop-requested', 'signal-sent']);
  });

  test('and was asked to stop before its process was there is stopped when none is found', () => {
    const world = new World(serviceSpec());
    world.start();
    world.stop();
    adopted(world, false);
    expect([world.state.name, world.spawning]).toEqual(['stopped', 1]);
  });

  test('and has ended meanwhile has failed to start', () => {
    const world = adopted(running(serviceSpec({ ready: READY, restart: { policy: 'never' } })), false);
    world.answer();
    world.answer();
    expect(world.state).toMatchObject({
      name: 'failed',
      reason: 'exit unknown before it was ready, restart policy never',
    });
  });
});

describe('a backoff', () => {
  function backoff(): World {
    const world = running(serviceSpec({ restart: { minDelayMs: 8_000, maxDelayMs: 8_000 } }));
    world.exit(1);
    world.answer();
    world.answer();
    return world;
  }

  test('goes on with what is left of it', () => {
    expect(timer(adopted(backoff(), false, 3_000), 'backoff')).toBe(5_000);
  });

  test('that is over is over', () => {
    expect(timer(adopted(backoff(), false, 9_000), 'backoff')).toBe(0);
  });

  test('is never longer than the policy, when the clock was set back', () => {
    const world = adopted(backoff(), false, -3_600_000);
    expect(timer(world, 'backoff')).toBe(8_000);
    expect(world.state).toMatchObject({ until: world.now + 8_000 });
  });
});

describe('one that could not be killed', () => {
  function stuck(): World {
    const world = running();
    world.stop();
    while (world.fire());
    return world;
  }

  test('still holds up its successor while it lives', () => {
    const world = adopted(stuck(), true);
    world.start();
    expect([world.state.name, world.spawning]).toEqual(['failed', null]);
  });

  test('holds up nobody when it is gone', () => {
    const world = adopted(stuck(), false);
    world.start();
    expect(world.spawning).toBe(2);
  });
});

describe('a stop', () => {
  const preStop = { argv: ['hook'] as [string], timeoutMs: 5_000 };
  const spec = serviceSpec({ stop: { drainDelayMs: 3_000, preStop, graceMs: 10_000 } });

  /** A stop that has come to a rung, with the leader alive before `exited`. */
  const RUNGS: Readonly<Record<string, () => World>> = {
    draining: () => {
      const world = running(spec);
      world.stop();
      return world;
    },
    'pre-stop': () => {
      const world = RUNGS['draining']?.() ?? running();
      world.fire();
      return world;
    },
    'signal-sent': () => {
      const world = RUNGS['pre-stop']?.() ?? running();
      world.answer();
      return world;
    },
    'kill-sent': () => {
      const world = RUNGS['signal-sent']?.() ?? running();
      world.fire();
      world.fire();
      return world;
    },
    exited: () => {
      const world = RUNGS['signal-sent']?.() ?? running();
      world.survivors = [SURVIVOR];
      world.exit(0);
      return world;
    },
    'survivors-signalled': () => {
      const world = RUNGS['exited']?.() ?? running();
      world.answer();
      return world;
    },
    'survivors-killed': () => {
      const world = RUNGS['survivors-signalled']?.() ?? running();
      world.fire();
      return world;
    },
    'logs-drained': () => {
      const world = RUNGS['survivors-killed']?.() ?? running();
      world.emptied();
      return world;
    },
  };
  const at = (rung: string): World => {
    const world = RUNGS[rung]?.();
    if (world?.state.name !== 'stopping' || world.state.rung !== rung) throw new Error(`not at ${rung}`);
    return world;
  };

  test.each([
    ['draining', ['adopted', 'draining'], 'draining'],
    ['pre-stop', ['adopted', 'signal-sent'], 'signal-sent'],
    ['signal-sent', ['adopted'], 'signal-sent'],
    ['kill-sent', ['adopted', 'kill-sent'], 'kill-sent'],
  ])('at %s goes on, with its leader alive', (rung, phases, then) => {
    const world = adopted(at(rung), true);
    expect([world.phases, world.state]).toMatchObject([phases, { rung: then }]);
    expect(world.timers.has('rung')).toBe(true);
  });

  test.each(['draining', 'pre-stop', 'signal-sent', 'kill-sent'])('at %s sees that its leader is gone', (rung) => {
    const world = adopted(at(rung), false);
    expect([world.phases, world.state]).toMatchObject([['exited'], { rung: 'exited' }]);
  });

  test.each([
    ['exited', [], 'find-survivors'],
    ['survivors-signalled', ['survivors-signalled'], 'signal-survivors'],
    ['survivors-killed', ['survivors-killed'], 'kill-survivors'],
    ['logs-drained', [], 'drain-logs'],
  ])('at %s does again what it did there', (rung, phases, deed) => {
    const world = adopted(at(rung), false);
    expect(world.phases).toEqual(phases);
    expect(world.last.map((effect) => effect.do)).toContain(deed);
  });

  test.each(Object.keys(RUNGS))('at %s ends with exactly one verdict', (rung) => {
    for (const isAlive of [true, false]) {
      const world = adopted(at(rung), isAlive);
      for (let turn = 0; turn < 20 && world.state.name === 'stopping'; turn++) {
        world.answer();
        if (world.timers.size > 0 && world.state.name === 'stopping') world.fire();
      }
      if (world.leader !== null) world.exit(null, 'SIGKILL');
      expect(world.phases.filter((phase) => phase === 'stopped')).toHaveLength(1);
    }
  });

  test('keeps its signal, and its deadline', () => {
    const world = at('signal-sent');
    adopted(world, true, 4_000);
    expect([timer(world, 'rung'), timer(world, 'warning')]).toEqual([6_000, 4_000]);
    expect(world.last.some((effect) => effect.do === 'signal')).toBe(false);
  });

  test('whose warning is past does not warn again', () => {
    const world = adopted(at('signal-sent'), true, 9_000);
    expect([timer(world, 'rung'), timer(world, 'warning')]).toEqual([1_000, null]);
  });

  test('whose deadline went by kills at once', () => {
    const world = adopted(at('signal-sent'), true, 60_000);
    expect(timer(world, 'rung')).toBe(0);
    world.fire();
    expect(world.phases).toEqual(['adopted', 'kill-sent']);
  });

  test('is never given more time at its signal than the policy says, whatever the clock was set to', () => {
    const lengths = fc.integer({ min: -1e9, max: 1e9 });
    const holds = (laterMs: number) => {
      const world = adopted(at('signal-sent'), true, laterMs);
      expect(timer(world, 'rung')).toBeLessThanOrEqual(10_000);
      expect(world.state).toMatchObject({ deadline: world.now + (timer(world, 'rung') ?? 0) });
    };
    fc.assert(fc.property(lengths, holds), { numRuns: 200 });
  });

  test('never gives survivors more than the grace period, when the clock was set back', () => {
    expect(timer(adopted(at('survivors-signalled'), false, -3_600_000), 'rung')).toBeLessThanOrEqual(10_000);
  });

  test('never gives survivors more than the grace period, when the clock was set back before they were found', () => {
    const world = adopted(at('signal-sent'), false, -3_600_000);
    world.survivors = [SURVIVOR];
    world.answer();
    expect(timer(world, 'rung')).toBeLessThanOrEqual(10_000);
  });

  test('does not begin its drain delay anew', () => {
    expect(timer(adopted(at('draining'), true, 2_000), 'rung')).toBe(1_000);
  });

  test('that was a restart begins a new run', () => {
    const world = running();
    world.stop(null, 'start');
    adopted(world, false);
    world.answer();
    world.answer();
    expect(world.spawning).toBe(2);
  });

  test('that was no stop but a clearing-up goes on by the restart policy', () => {
    const world = running();
    world.exit(1);
    adopted(world, false);
    world.answer();
    world.answer();
    expect(world.state).toMatchObject({ name: 'backoff', reason: 'exit 1' });
    expect(world.phases).toEqual(['logs-drained', 'backoff']);
  });
});

test('restarts from before the clock was set back do not count for ever', () => {
  const spec: ServiceSpec = serviceSpec({ restart: { minDelayMs: 0, limit: 2, windowMs: 60_000 } });
  const world = running(spec);
  const crash = () => {
    world.exit(1);
    world.answer();
    world.answer();
    world.spawned();
  };
  crash();
  crash();
  adopted(world, true, -3_600_000);
  world.now += 120_000;
  crash();
  expect(world.state.name).toBe('running');
});
