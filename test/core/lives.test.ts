import fc from 'fast-check';
import { expect, test } from 'vitest';
import { serviceSpec } from '../kit/spec.ts';
import { World } from '../kit/world.ts';

const ACTIONS = {
  start: (world: World) => world.start(),
  stop: (world: World) => world.stop(),
  hurry: (world: World) => world.stop(500),
  restart: (world: World) => world.stop(null, 'start'),
  spawned: (world: World) => world.spawned(),
  refused: (world: World) => {
    const run = world.spawning;
    if (run === null) return;
    world.spawning = null;
    world.tell({ type: 'spawn-failed', run, reason: 'no memory', exitStatus: null });
  },
  ready: (world: World) => world.tell({ type: 'ready', run: world.state.run, by: 'test' }),
  exit: (world: World) => world.exit(0),
  crash: (world: World) => world.exit(1),
  killed: (world: World) => world.exit(null, 'SIGKILL'),
  daemonise: (world: World) => {
    if (world.leader !== null) world.survivors = [{ pid: 900, startTicks: 1, command: 'x', isInGroup: false }];
  },
  answer: (world: World) => world.answer(),
  emptied: (world: World) => world.emptied(),
  fire: (world: World) => world.fire(),
  wait: (world: World) => {
    const next = Math.min(...[...world.timers.values()].map(({ at }) => at), world.now + 100);
    world.now = Math.max(world.now, next);
  },
  force: (world: World) => world.tell({ type: 'forced' }),
  stale: (world: World) => world.tell({ type: 'exited', run: world.state.run + 1, code: 0, signal: null }),
} as const;
type Action = keyof typeof ACTIONS;

const SPECS = [
  serviceSpec(),
  serviceSpec({ stop: { killMode: 'leader' }, restart: { minDelayMs: 0 } }),
  serviceSpec({ stop: { killMode: 'group', drainDelayMs: 100, preStop: { argv: ['x'], timeoutMs: 50 } } }),
  serviceSpec({
    ready: { check: { kind: 'message' }, intervalMs: 1, timeoutMs: 1_000 },
    restart: { policy: 'on-failure' },
  }),
  serviceSpec({ restart: { policy: 'never' }, stop: { graceMs: 0 } }),
];

test('whatever comes in whatever order, the invariants of a life hold', () => {
  const lives = fc.record({
    spec: fc.constantFrom(...SPECS),
    actions: fc.array(fc.constantFrom(...(Object.keys(ACTIONS) as Action[])), { maxLength: 60 }),
  });
  fc.assert(
    fc.property(lives, ({ spec, actions }) => live(new World(spec), actions)),
    { numRuns: 3_000 },
  );
});

test('every life that is stopped and answered comes to rest', () => {
  const lives = fc.record({
    spec: fc.constantFrom(...SPECS),
    actions: fc.array(fc.constantFrom(...(Object.keys(ACTIONS) as Action[])), { maxLength: 40 }),
  });
  const rests = ({ spec, actions }: { spec: (typeof SPECS)[number]; actions: Action[] }) => {
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
  fc.assert(fc.property(lives, rests), { numRuns: 1_000 });
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
