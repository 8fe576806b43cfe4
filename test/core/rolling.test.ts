import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { instancesOf } from '../../src/core/root-state.ts';
import type { RollingPolicy, ServiceSpec } from '../../src/core/service.ts';
import { serviceSpec } from '../kit/spec.ts';
import { Town } from '../kit/town.ts';

const message = { check: { kind: 'message' } } as const;

/** A town whose service `api` runs. */
function running(overrides: Parameters<typeof serviceSpec>[0] = {}): Town {
  const town = new Town([serviceSpec({ ready: message, ...overrides })]);
  town.start('api');
  town.answerAll();
  return town;
}

/** The new version of a spec. */
function changed(spec: ServiceSpec, version = '2'): ServiceSpec {
  return { ...spec, env: { VERSION: version } };
}

/** Leaders that got a signal end. */
function obey(town: Town): void {
  for (const { of, state } of instancesOf(town.state)) {
    if (state.name === 'stopping' && state.exit === null) town.exitAt(of, 0);
  }
}

/** Whatever can happen happens, well behaved, until nothing does. */
function goOn(town: Town): void {
  for (let turns = 0; turns < 500; turns++) {
    town.answerAll();
    obey(town);
    if (town.answer()) continue;
    const { rolling = null, spares = {} } = town.state.services['api'] ?? {};
    const isRolling = rolling !== null || Object.keys(spares).length > 0;
    if (!isRolling || !town.fire()) return;
  }
}

function pids(town: Town): readonly (number | null)[] {
  return (town.state.services['api']?.instances ?? []).map((state) => ('pid' in state ? state.pid : null));
}

function phases(town: Town): readonly string[] {
  return town.told.flatMap(({ phase }) => (phase.startsWith('rolling') ? [phase] : []));
}

describe('one beside the other', () => {
  test('the new one is ready and stays so before the old one gets a signal', () => {
    const town = running();
    town.roll('api');
    expect(town.names).toEqual({ api: ['running'] });
    expect(instancesOf(town.state).map(({ state }) => state.name)).toEqual(['running', 'starting']);
    town.answerAll();
    expect(instancesOf(town.state).map(({ state }) => state.name)).toEqual(['running', 'running']);
    expect(town.phasesOf('api:0')).not.toContain('signal-sent');
    town.fire();
    expect(instancesOf(town.state).map(({ state }) => state.name)).toEqual(['running', 'stopping']);
    expect(pids(town)).toEqual([102]);
    goOn(town);
    expect(instancesOf(town.state).map(({ state }) => state.name)).toEqual(['running']);
    expect(phases(town)).toEqual(['rolling-started', 'rolling-step', 'rolling-step', 'rolling-completed']);
  });

  test('each in its turn, each with a process of its own', () => {
    const town = running({ instances: 3 });
    town.roll('api');
    goOn(town);
    expect(pids(town)).toEqual([104, 105, 106]);
    expect(
      town.told.flatMap(({ phase, step, steps }) => (phase === 'rolling-step' ? [`${step}/${steps}`] : [])),
    ).toEqual(['1/3', '1/3', '2/3', '2/3', '3/3', '3/3']);
  });

  test('a second time the places are the other way round', () => {
    const town = running({ instances: 2 });
    for (let time = 0; time < 3; time++) {
      town.roll('api');
      goOn(town);
    }
    expect(pids(town)).toEqual([107, 108]);
    expect(instancesOf(town.state)).toHaveLength(2);
    expect(town.stateOf('api').restarts).toBe(3);
  });

  test('one that fails is removed, the old ones stay, and the spec is as before', () => {
    const town = running({ instances: 2 });
    const before = town.stateOf('api');
    const spec = serviceSpec({ instances: 2, ready: message });
    town.roll('api', changed(spec));
    town.answer();
    town.exitAt({ service: 'api', index: 0, lane: 1 }, 1);
    town.answers = town.answers.filter(({ kind }) => kind !== 'check');
    goOn(town);
    expect(town.stateOf('api')).toEqual(before);
    expect(instancesOf(town.state)).toHaveLength(2);
    expect(town.state.services['api']?.spec.env).toEqual({});
    expect(phases(town)).toEqual(['rolling-started', 'rolling-step', 'rolling-aborted']);
    const reason = town.told.find(({ phase }) => phase === 'rolling-aborted')?.reason;
    expect(reason).toBe('exit 1 before it was ready');
  });

  test('one that is never ready is removed after its timeout', () => {
    const town = running();
    town.roll('api');
    town.answer();
    town.answers = [];
    town.fire();
    expect(town.told.find(({ phase }) => phase === 'rolling-aborted')?.reason).toBe('not ready within 30s');
    goOn(town);
    expect(pids(town)).toEqual([101]);
    expect(instancesOf(town.state)).toHaveLength(1);
  });

  test('one that fails while it has to stay ready counts as failed', () => {
    const town = running();
    town.roll('api');
    town.answerAll();
    town.exitAt({ service: 'api', index: 0, lane: 1 }, 7);
    goOn(town);
    expect(town.told.find(({ phase }) => phase === 'rolling-aborted')?.reason).toBe('exit 7');
    expect(pids(town)).toEqual([101]);
  });

  test('a version that fails at the second instance is taken back from the first', () => {
    const town = running({ instances: 2 });
    const spec = changed(serviceSpec({ instances: 2, ready: message }));
    town.roll('api', spec);
    while (!(town.state.services['api']?.spares[1] !== undefined)) {
      town.answerAll();
      obey(town);
      if (town.answers.length === 0 && town.state.services['api']?.spares[1] === undefined) town.fire();
    }
    town.exitAt({ service: 'api', index: 1, lane: 1 }, 1);
    town.answers = town.answers.filter(({ of, kind }) => of.index !== 1 || kind !== 'check');
    goOn(town);
    const service = town.state.services['api'];
    expect(service?.spec.env).toEqual({});
    expect(service?.rolling).toBeNull();
    expect(phases(town).filter((phase) => phase !== 'rolling-step')).toEqual([
      'rolling-started',
      'rolling-aborted',
      'rolling-started',
    ]);
    expect(town.told.at(-1)?.reason ?? town.told.findLast(({ phase }) => phase === 'notice')?.reason).toMatch(
      /^as it was before/,
    );
    expect(pids(town)[1]).toBe(102);
  });

  test('with a change of the count it is scaled when all are replaced', () => {
    const town = running({ instances: 2 });
    town.roll('api', { ...changed(serviceSpec({ ready: message })), instances: 1 });
    goOn(town);
    town.rest();
    expect(town.names).toEqual({ api: ['running'] });
    expect(town.state.services['api']?.spec.env).toEqual({ VERSION: '2' });
  });
});

describe('in place', () => {
  const inPlace = { rolling: { maxSurge: 0 } };

  test('one after the other stops and begins anew', () => {
    const town = running({ instances: 2, ...inPlace });
    town.roll('api');
    expect(town.names).toEqual({ api: ['stopping', 'running'] });
    goOn(town);
    expect(pids(town)).toEqual([103, 104]);
  });

  test('the next one goes only when the one before has stayed ready for minReady', () => {
    const town = running({ instances: 2, ...inPlace });
    town.roll('api');
    obey(town);
    town.answerAll();
    expect(town.names).toEqual({ api: ['running', 'running'] });
    expect(pids(town)).toEqual([103, 102]);
    town.fire();
    expect(town.names).toEqual({ api: ['running', 'stopping'] });
  });

  test('what is down is started', () => {
    const town = running({ restart: { policy: 'never' } });
    town.exit('api', 0, 1);
    town.answerAll();
    expect(town.names).toEqual({ api: ['failed'] });
    town.roll('api');
    goOn(town);
    expect(town.names).toEqual({ api: ['running'] });
    expect(phases(town).at(-1)).toBe('rolling-completed');
  });

  test('a version that fails is replaced by the one before', () => {
    const town = running(inPlace);
    town.roll('api', changed(serviceSpec({ ready: message, ...inPlace })));
    obey(town);
    while (town.stateOf('api').run === 1) town.answer();
    town.answer();
    town.exit('api', 0, 1);
    town.answers = town.answers.filter(({ kind }) => kind !== 'check');
    goOn(town);
    town.answerAll();
    expect(town.names).toEqual({ api: ['running'] });
    expect(town.state.services['api']?.spec.env).toEqual({});
    expect(phases(town)).toContain('rolling-aborted');
  });
});

test('a stop by hand ends it, and the one beside goes', () => {
  const town = running();
  town.roll('api');
  town.answerAll();
  town.stop('api');
  goOn(town);
  town.rest();
  expect(town.names).toEqual({ api: ['stopped'] });
  expect(instancesOf(town.state)).toHaveLength(1);
  expect(town.leaders.size).toBe(0);
});

test('a shutdown ends it, and stops both', () => {
  const town = running();
  town.roll('api');
  town.answerAll();
  town.dispatch({ type: 'shutdown', reason: 'SIGTERM', signal: 'SIGTERM' });
  goOn(town);
  town.rest();
  expect(town.hasEnded).toBe(true);
  expect(town.leaders.size).toBe(0);
});

test('a new supervisor goes on with it', () => {
  const town = running({ instances: 2 });
  town.roll('api');
  town.answerAll();
  town.save();
  town.reborn();
  expect(instancesOf(town.state)).toHaveLength(3);
  goOn(town);
  expect(pids(town)).toEqual([103, 104]);
  expect(phases(town).at(-1)).toBe('rolling-completed');
});

test('a new supervisor that finds the new one dead gives it up', () => {
  const town = running();
  town.roll('api');
  town.answerAll();
  town.save();
  town.reborn({ survives: (name) => name === 'api:0' });
  goOn(town);
  expect(pids(town)).toEqual([101]);
  expect(instancesOf(town.state)).toHaveLength(1);
  expect(phases(town).at(-1)).toBe('rolling-aborted');
});

const policies: fc.Arbitrary<Partial<RollingPolicy>> = fc.record({
  maxSurge: fc.integer({ min: 0, max: 3 }),
  maxUnavailable: fc.integer({ min: 0, max: 2 }),
  minReadyMs: fc.constantFrom(0, 1_000),
});

test('when all goes well every instance is replaced, whatever the policy', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 5 }), policies, fc.boolean(), (instances, rolling, isChange) => {
      const overrides = { instances, rolling, ready: message };
      const town = running(overrides);
      const before = pids(town);
      town.roll('api', isChange ? changed(serviceSpec(overrides)) : null);
      goOn(town);
      expect(phases(town).at(-1)).toBe('rolling-completed');
      expect(pids(town).filter((pid) => before.includes(pid))).toEqual([]);
      expect(instancesOf(town.state)).toHaveLength(instances);
      expect(town.leaders.size).toBe(instances);
    }),
    { numRuns: 300 },
  );
});

/** What a random town may do next. */
const moves = fc.oneof(
  { weight: 10, arbitrary: fc.record({ move: fc.constant('answer' as const), n: fc.nat(20) }) },
  { weight: 6, arbitrary: fc.record({ move: fc.constant('obey' as const), n: fc.nat(3) }) },
  { weight: 6, arbitrary: fc.record({ move: fc.constant('fire' as const), n: fc.nat(3) }) },
  { weight: 4, arbitrary: fc.record({ move: fc.constant('exit' as const), n: fc.nat(9) }) },
  { weight: 2, arbitrary: fc.record({ move: fc.constant('roll' as const), n: fc.nat(3) }) },
  { weight: 1, arbitrary: fc.record({ move: fc.constant('stop' as const), n: fc.nat(3) }) },
  { weight: 1, arbitrary: fc.record({ move: fc.constant('start' as const), n: fc.nat(3) }) },
  { weight: 1, arbitrary: fc.record({ move: fc.constant('scale' as const), n: fc.integer({ min: 1, max: 4 }) }) },
  { weight: 1, arbitrary: fc.record({ move: fc.constant('restart' as const), n: fc.nat(3) }) },
  { weight: 1, arbitrary: fc.record({ move: fc.constant('reborn' as const), n: fc.nat(9) }) },
);

test('whatever fails, enough are ready at every step, and in the end there is one of each and no more', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 4 }),
      policies,
      fc.array(moves, { maxLength: 80 }),
      (instances, rolling, steps) => {
        const overrides = { instances, rolling, ready: message, restart: { limit: 1_000_000 } };
        const town = running(overrides);
        let version = 1;
        for (const { move, n } of steps) {
          const spec = town.state.services['api']?.spec ?? serviceSpec(overrides);
          const index = n % Math.max(1, town.state.services['api']?.instances.length ?? 1);
          const slots = instancesOf(town.state);
          if (move === 'answer') town.answer(n);
          else if (move === 'fire') town.fire();
          else if (move === 'obey') obey(town);
          else if (move === 'exit')
            town.exitAt(slots[n % slots.length]?.of ?? { service: 'api', index: 0, lane: 0 }, n % 2);
          else if (move === 'roll') town.roll('api', n % 2 === 0 ? null : changed(spec, String(++version)));
          else if (move === 'stop') town.stop('api', index);
          else if (move === 'start') town.start('api');
          else if (move === 'restart') town.restart('api', index);
          else if (move === 'scale') town.define({ ...spec, instances: n });
          else {
            town.save();
            town.reborn({ survives: (name) => (name.length + n) % 4 !== 0 });
          }
        }
        for (let turns = 0; turns < 30; turns++) goOn(town);
        const service = town.state.services['api'];
        expect(service?.rolling).toBeNull();
        expect(service?.spares).toEqual({});
        expect(town.leaders.size).toBeLessThanOrEqual(service?.spec.instances ?? 0);
      },
    ),
    { numRuns: 1_500 },
  );
});
