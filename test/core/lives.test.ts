import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { ServiceSpec } from '../../src/core/service.ts';
import { ACTIONS, type Action, lives } from '../kit/lives.ts';
import { World } from '../kit/world.ts';

test('whatever comes in whatever order, the invariants of a life hold', () => {
  fc.assert(
    fc.property(lives(60), ({ spec, actions }) => live(new World(spec), actions)),
    { numRuns: 3_000 },
  );
});

test('every life that is stopped and answered comes to rest', () => {
  const rests = ({ spec, actions }: { spec: ServiceSpec; actions: Action[] }) => {
    const world = new World(spec);
    live(world, actions);
    world.stop();
    world.spawned();
    for (let turn = 0; turn < 50 && world.state.name !== 'stopped'; turn++) {
      world.answer();
      if (!world.fire()) break;
    }
    expect(['stopped', 'failed', 'exited']).toContain(world.state.name);
    expect(world.timers.size).toBe(0);
  };
  fc.assert(fc.property(lives(40), rests), { numRuns: 1_000 });
});

function live(world: World, actions: readonly Action[]): void {
  let isWanted = false;
  for (const action of actions) {
    const before = world.state;
    const liveBefore = world.leader;
    const spawningBefore = world.spawning;
    ACTIONS[action](world);
    if (action === 'start' || (action === 'restart' && isWanted)) isWanted = true;
    if (action === 'stop' || action === 'hurry') isWanted = false;
    const { state, last } = world;
    const spawns = last.filter((effect) => effect.do === 'spawn');
    if (spawns.length > 0 && before !== state) {
      // Never two live runs, and nothing wanted down is started.
      if (liveBefore !== null) expect(world.leader).toBe(null);
      if (spawningBefore !== null) expect(action).not.toBe('start');
      expect(isWanted || action === 'restart').toBe(true);
    }
    // A state that only time can end has a timer.
    if (state.name === 'backoff') expect(world.timers.has('backoff')).toBe(true);
    if (state.name === 'stopping') expect(world.timers.has('rung')).toBe(true);
    if (state.name === 'starting' && state.pid !== null) expect(world.timers.has('ready')).toBe(true);
    if (state.name === 'starting' && state.pid === null) expect(world.spawning).toBe(state.run);
    // SIGKILL only at the deadline or by force.
    const kills = last.some(
      (effect) => effect.do === 'kill-survivors' || (effect.do === 'signal' && effect.signal === 'SIGKILL'),
    );
    if (kills && state !== before && state.name === 'stopping') {
      expect(state.isForced || world.now >= (state.deadline ?? 0)).toBe(true);
    }
    // At rest nothing of it lives.
    if (state.name === 'stopped' || state.name === 'exited' || state.name === 'backoff')
      expect(world.leader).toBe(null);
    checkVerdicts(world);
  }
}

/** Every stop that was asked ends with exactly one verdict, before the next begins. */
function checkVerdicts(world: World): void {
  let isOpen = false;
  for (const { phase } of world.records) {
    if (phase === 'stop-requested') {
      expect(isOpen).toBe(false);
      isOpen = true;
    }
    if (phase === 'stopped') isOpen = false;
    if (phase === 'spawned') expect(isOpen).toBe(false);
  }
}
