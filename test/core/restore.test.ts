import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { restoreState } from '../../src/core/restore.ts';
import { instancesOf, type ServiceState } from '../../src/core/root-state.ts';
import type { ServiceSpec } from '../../src/core/service.ts';
import { type InstanceState, isDown } from '../../src/core/state.ts';
import { serviceSpec } from '../kit/spec.ts';
import { Town } from '../kit/town.ts';

const NAMES = ['a', 'b', 'c'] as const;
const READY = { check: { kind: 'message' }, intervalMs: 1, timeoutMs: 1_000 } as const;

/** What each name always is; its count and the policy of its restarts vary. */
function specOf(name: string, instances: number, variant: number): ServiceSpec {
  const policies = [
    { policy: 'always', minDelayMs: 100 },
    { policy: 'on-failure', minDelayMs: 0, limit: 3 },
    { policy: 'never' },
  ] as const;
  const restart = policies[variant % policies.length] ?? {};
  const preStop = { argv: ['hook'] as [string], timeoutMs: 300 };
  if (name === 'a') return serviceSpec({ name, instances, restart, ready: READY });
  if (name === 'b') return serviceSpec({ name, instances, restart, dependsOn: { a: 'ready' }, stop: { graceMs: 500 } });
  return serviceSpec({ name, instances, restart, dependsOn: { b: 'started' }, stop: { drainDelayMs: 200, preStop } });
}

type Act = { readonly kind: keyof typeof ACTS; readonly name: string; readonly n: number };
const ACTS = {
  define: (town: Town, name: string, n: number) => town.define(specOf(name, (n % 3) + 1, n >> 4), (n & 8) > 0),
  start: (town: Town, name: string) => town.start(name),
  startAll: (town: Town) => town.start(...NAMES),
  stop: (town: Town, name: string, n: number) => town.stop(name, n % countOf(town, name)),
  restart: (town: Town, name: string, n: number) => town.restart(name, n % countOf(town, name)),
  remove: (town: Town, name: string) => town.remove(name),
  answer: (town: Town, _: string, n: number) => void town.answer(n),
  answerAll: (town: Town) => town.answerAll(),
  ready: (town: Town, name: string, n: number) => {
    const index = n % countOf(town, name);
    const run = town.state.services[name]?.instances[index]?.run ?? 0;
    town.tell({ service: name, index }, { type: 'ready', run, by: 'test' });
  },
  exit: (town: Town, name: string, n: number) => town.exit(name, n % countOf(town, name), n % 2),
  fire: (town: Town) => void town.fire(),
  save: (town: Town) => town.save(),
  shutdown: (town: Town) => town.dispatch({ type: 'shutdown', reason: 'test', signal: 'SIGTERM' }),
  force: (town: Town) => town.dispatch({ type: 'force', reason: 'test' }),
  die: (town: Town, _: string, n: number) => town.reborn({ survives: (of) => (n >> (of.charCodeAt(0) % 7)) % 2 === 0 }),
  dieLong: (town: Town, _: string, n: number) => town.reborn({ survives: () => n % 2 > 0, clockMs: (n - 128) * 500 }),
  reboot: (town: Town) => town.reborn({ isSameBoot: false }),
} as const;

function countOf(town: Town, name: string): number {
  return Math.max(1, town.state.services[name]?.instances.length ?? 1);
}

const KINDS = Object.keys(ACTS) as Act['kind'][];
/** Towns are mostly about services that run: starts and answers are drawn more often. */
const kinds = fc.constantFrom(...KINDS, 'answer', 'answer', 'answerAll', 'answerAll', 'startAll', 'ready', 'define');
const acts: fc.Arbitrary<Act[]> = fc.array(
  fc.record({ kind: kinds, name: fc.constantFrom(...NAMES), n: fc.nat(255) }) as fc.Arbitrary<Act>,
  { maxLength: 50 },
);

function townOf(all: readonly Act[]): Town {
  const town = new Town();
  for (const name of NAMES) town.define(specOf(name, 2, 0));
  for (const { kind, name, n } of all) {
    if (town.hasEnded && kind !== 'reboot') town.reborn();
    ACTS[kind](town, name, n);
  }
  return town;
}

test('whatever is asked, and whenever the supervisor dies, the invariants of a town hold', () => {
  fc.assert(
    fc.property(acts, (all) => void townOf(all)),
    { numRuns: 1_000 },
  );
});

function stuckIn(service: ServiceState | undefined): number {
  const isStuck = (state: InstanceState) => state.name === 'failed' && state.stuckPid !== null;
  return service?.instances.filter(isStuck).length ?? 0;
}

// A start in the middle of a scale-down, as in request.test.ts.
test('after whatever was asked, nothing is left of what is too many or was removed', () => {
  const isTidy = (all: readonly Act[]) => {
    const town = townOf(all);
    if (town.hasEnded) return;
    town.rest();
    for (const service of Object.values(town.state.services)) {
      const { spec, instances, isLeaving } = service;
      // What SIGKILL does not end is never forgotten.
      if (stuckIn(service) > 0) continue;
      expect([spec.name, instances.length, isLeaving]).toEqual([spec.name, spec.instances, false]);
    }
  };
  fc.assert(fc.property(acts, isTidy), { numRuns: 300 });
});

test('after whatever was asked, what is removed vanishes, and what is scaled down', () => {
  const vanishes = (all: readonly Act[]) => {
    const town = townOf(all);
    if (town.hasEnded) town.reborn();
    town.define(specOf('a', 1, 2));
    town.remove('b', 'c');
    town.rest();
    if (town.hasEnded) return;
    const left = Object.values(town.state.services).filter((service) => stuckIn(service) === 0);
    expect(left.map(({ spec, instances }) => [spec.name, instances.length])).toEqual(
      stuckIn(town.state.services['a']) > 0 ? [] : [['a', 1]],
    );
  };
  fc.assert(fc.property(acts, vanishes), { numRuns: 300 });
});

test('after whatever was asked, a shutdown ends, with everything down', () => {
  const ends = (all: readonly Act[]) => {
    const town = townOf(all);
    if (town.hasEnded) return;
    town.dispatch({ type: 'shutdown', reason: 'test', signal: null });
    town.rest();
    expect(town.hasEnded).toBe(true);
    expect(instancesOf(town.state).every(({ state }) => isDown(state))).toBe(true);
    expect([...town.leaders]).toEqual([]);
  };
  fc.assert(fc.property(acts, ends), { numRuns: 300 });
});

describe('the state of before becomes the state to begin with', () => {
  const shutdown = (town: Town, isByHand = false) =>
    town.dispatch({ type: 'shutdown', reason: 'test', signal: null, isByHand });

  function runningTown(...specs: readonly ServiceSpec[]): Town {
    const town = new Town(specs);
    town.start(...Object.keys(town.state.services));
    town.answerAll();
    town.save();
    return town;
  }

  const stopped = (town: Town, service: string, index = 0) => {
    town.stop(service, index);
    town.exit(service, index, 0);
    town.answerAll();
    town.save();
  };

  test('in the same boot: as it was, and nothing is to be started', () => {
    const { state } = runningTown(serviceSpec({ instances: 2 }));
    expect(restoreState(state, true)).toEqual({ state, toStart: [], toStop: [] });
  });

  test('of a supervisor that did not last: it lasts from now on', () => {
    const town = new Town([serviceSpec()], false);
    expect(restoreState(town.state, true).state.isLasting).toBe(true);
  });

  test('in a new boot: everything is down, keeps its run number, and starts but for what was stopped by hand', () => {
    const town = runningTown(serviceSpec({ instances: 2 }), serviceSpec({ name: 'web' }));
    stopped(town, 'api', 1);
    const { state, toStart } = restoreState(town.state, false);
    expect(toStart).toEqual([
      { service: 'api', index: 0 },
      { service: 'web', index: 0 },
    ]);
    expect(state.services['api']?.instances.map(({ name, run }) => [name, run])).toEqual([
      ['stopped', 1],
      ['stopped', 1],
    ]);
    town.reborn({ isSameBoot: false });
    town.answerAll();
    expect(town.names).toEqual({ api: ['running', 'stopped'], web: ['running'] });
    expect(town.stateOf('api').run).toBe(2);
  });

  test('in a new boot: a crash loop begins anew', () => {
    const town = runningTown(serviceSpec());
    town.exit('api', 0, 1);
    town.answerAll();
    town.save();
    const { state } = restoreState(town.state, false);
    expect(state.services['api']?.instances[0]).toMatchObject({
      name: 'stopped',
      restarts: 0,
      history: { restartedAt: [], attempt: 0 },
      reached: { ready: false },
      lastExit: { code: 1 },
    });
  });

  test('in a new boot: what waited is asked again', () => {
    const town = new Town([
      serviceSpec({ name: 'a', ready: READY }),
      serviceSpec({ name: 'b', dependsOn: { a: 'ready' } }),
    ]);
    town.start('a', 'b');
    town.reborn({ isSameBoot: false });
    town.answerAll();
    expect(town.names).toEqual({ a: ['running'], b: ['running'] });
  });

  test('in a new boot: what depends on a service that was defined later comes up behind it', () => {
    const town = runningTown(
      serviceSpec({ name: 'api', dependsOn: { db: 'ready' } }),
      serviceSpec({ name: 'db', ready: READY }),
    );
    town.reborn({ isSameBoot: false });
    town.answerAll();
    expect(town.names).toEqual({ api: ['running'], db: ['running'] });
  });

  test('after an orderly shutdown: what it stopped starts again, what was stopped by hand does not', () => {
    const town = runningTown(serviceSpec({ instances: 2 }));
    stopped(town, 'api', 1);
    shutdown(town);
    town.exit('api', 0, 0);
    town.answerAll();
    expect(town.hasEnded).toBe(true);
    town.reborn();
    town.answerAll();
    expect(town.names).toEqual({ api: ['running', 'stopped'] });
    expect(town.state).toMatchObject({ shutdown: null, hasEnded: false, verdict: 'clean' });
  });

  test('after a kill by hand: nothing starts, in this boot or the next', () => {
    for (const isSameBoot of [true, false]) {
      const town = runningTown(serviceSpec({ instances: 2 }));
      shutdown(town, true);
      for (const index of [0, 1]) town.exit('api', index, 0);
      town.answerAll();
      town.reborn({ isSameBoot });
      town.rest();
      expect(town.names).toEqual({ api: ['stopped', 'stopped'] });
    }
  });

  test('in mid-shutdown: what stops ends its stop and begins anew, what was not asked yet runs on', () => {
    const town = runningTown(serviceSpec({ name: 'db' }), serviceSpec({ name: 'api', dependsOn: { db: 'started' } }));
    shutdown(town);
    town.save();
    expect(town.names).toEqual({ db: ['running'], api: ['stopping'] });
    town.reborn();
    expect(town.names).toEqual({ db: ['running'], api: ['stopping'] });
    town.exit('api', 0, 0);
    town.answerAll();
    expect([town.stateOf('db').run, town.stateOf('api').run]).toEqual([1, 2]);
    expect(town.phasesOf('api:0').filter((phase) => phase === 'stopped')).toHaveLength(1);
  });

  test('in mid-shutdown: one that was asked to stop before its process was there begins anew too', () => {
    const town = new Town([serviceSpec()]);
    town.start('api');
    shutdown(town);
    town.save();
    town.reborn();
    town.exit('api', 0, 0);
    town.answerAll();
    expect(town.names).toEqual({ api: ['running'] });
  });

  test('in the middle of a kill by hand: what was not asked yet is not restarted when it ends', () => {
    const town = runningTown(serviceSpec({ name: 'db' }), serviceSpec({ name: 'api', dependsOn: { db: 'started' } }));
    shutdown(town, true);
    town.save();
    town.reborn();
    town.exit('db', 0, 1);
    town.rest();
  });

  test('after a critical failure: everything starts again', () => {
    const town = runningTown(serviceSpec({ critical: true, restart: { policy: 'never' } }));
    town.exit('api', 0, 1);
    town.answerAll();
    expect(town.hasEnded).toBe(true);
    town.reborn();
    town.answerAll();
    expect([town.names, town.hasEnded]).toEqual([{ api: ['running'] }, false]);
  });

  test('of a spawn whose news was never kept: the leader that is found is the one', () => {
    const town = new Town([serviceSpec()]);
    town.start('api');
    expect(town.stateOf('api')).toMatchObject({ name: 'starting', pid: null });
    town.reborn();
    expect(town.stateOf('api')).toMatchObject({ name: 'running', run: 1, pid: 101 });
    town.reborn({ survives: () => false });
    expect(town.stateOf('api')).toMatchObject({ name: 'starting', run: 2 });
  });

  test('in the middle of a removal: it goes on, and it vanishes', () => {
    const town = runningTown(serviceSpec(), serviceSpec({ name: 'web' }));
    town.remove('api');
    town.save();
    town.reborn({ survives: (instance) => instance !== 'api:0' });
    town.answerAll();
    expect(town.names).toEqual({ web: ['running'] });
  });

  test('in the middle of a scale-down: it goes on', () => {
    const town = runningTown(serviceSpec({ instances: 3 }));
    town.define(serviceSpec({ instances: 1 }));
    town.save();
    town.reborn({ survives: (instance) => instance !== 'api:2' });
    town.rest();
    expect(town.names).toEqual({ api: ['running'] });
  });

  test('in mid-shutdown, in the middle of a scale-down: what was too many does not come back', () => {
    const town = runningTown(serviceSpec({ instances: 2 }));
    town.define(serviceSpec({ instances: 1 }));
    shutdown(town);
    town.save();
    town.reborn();
    town.rest();
    expect(town.names).toEqual({ api: ['running'] });
  });
});
