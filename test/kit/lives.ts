/** Random lives of one instance: what may happen to it, and the specs that it may have. */
import fc from 'fast-check';
import { serviceSpec } from './spec.ts';
import type { World } from './world.ts';

export const ACTIONS = {
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
export type Action = keyof typeof ACTIONS;

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

/** Up to `maxLength` actions under one of the specs. */
export function lives(maxLength: number) {
  return fc.record({
    spec: fc.constantFrom(...SPECS),
    actions: fc.array(fc.constantFrom(...(Object.keys(ACTIONS) as Action[])), { maxLength }),
  });
}
