import { describe, expect, test } from 'vitest';
import { isServiceName } from '../../src/core/name.ts';
import { serviceSpec } from '../kit/spec.ts';
import { Town } from '../kit/town.ts';

const READY = { check: { kind: 'message' }, intervalMs: 1, timeoutMs: 30_000 } as const;

/** A town in which everything has come up. */
function townOf(...specs: Parameters<typeof serviceSpec>[0][]): Town {
  const town = new Town(specs.map((spec) => serviceSpec(spec)));
  town.start(...Object.keys(town.state.services));
  town.answerAll();
  return town;
}

/** Ends every leader that was asked to stop. */
function obeyed(town: Town, service: string, ...indexes: readonly number[]): void {
  for (const index of indexes) town.exit(service, index, 0);
  town.answerAll();
}

describe('a stop by hand', () => {
  test('ends with one verdict and is not undone by the restart policy', () => {
    const town = townOf({});
    town.stop('api');
    obeyed(town, 'api', 0);
    town.rest();
    expect(town.names).toEqual({ api: ['stopped'] });
    expect(town.phasesOf('api:0').filter((phase) => phase === 'stopped')).toHaveLength(1);
    expect(town.state.services['api']?.stoppedByHand).toEqual([0]);
  });

  test('of one instance leaves the others alone', () => {
    const town = townOf({ instances: 3 });
    town.stop('api', 1);
    obeyed(town, 'api', 1);
    expect(town.names).toEqual({ api: ['running', 'stopped', 'running'] });
  });

  test('of a service that waits ends the waiting', () => {
    const town = new Town([serviceSpec({ name: 'db', ready: READY }), serviceSpec({ dependsOn: { db: 'ready' } })]);
    town.start('db', 'api');
    town.stop('api');
    town.answerAll();
    expect(town.names).toEqual({ db: ['running'], api: ['stopped'] });
    expect(town.state.services['api']?.waiting).toBe(null);
  });

  test('in backoff is over at once', () => {
    const town = townOf({});
    town.exit('api', 0, 1);
    town.answerAll();
    expect(town.names).toEqual({ api: ['backoff'] });
    town.stop('api');
    expect(town.names).toEqual({ api: ['stopped'] });
    expect(town.timers.size).toBe(0);
    expect(town.phasesOf('api:0').slice(-2)).toEqual(['stop-requested', 'stopped']);
  });

  test('while it is being restarted wins over the restart', () => {
    const town = townOf({});
    town.restart('api');
    town.stop('api');
    obeyed(town, 'api', 0);
    town.rest();
    expect(town.names).toEqual({ api: ['stopped'] });
  });

  test('of nothing that is there changes nothing', () => {
    const town = townOf({});
    town.dispatch({ type: 'stop', instances: [{ service: 'web', index: 0 }], reason: 'test' });
    expect(town.names).toEqual({ api: ['running'] });
  });

  test('that is taken back before the process is there is taken back', () => {
    const town = new Town([serviceSpec()]);
    town.start('api');
    town.stop('api');
    town.start('api');
    town.answerAll();
    obeyed(town, 'api', 0);
    town.rest();
    expect(town.names).toEqual({ api: ['running'] });
  });
});

describe('a start', () => {
  test('waits for what it depends on', () => {
    const town = new Town([serviceSpec({ name: 'db', ready: READY }), serviceSpec({ dependsOn: { db: 'ready' } })]);
    town.start('api', 'db');
    expect(town.names).toEqual({ db: ['starting'], api: ['stopped'] });
    town.answerAll();
    expect(town.names).toEqual({ db: ['running'], api: ['running'] });
  });

  test('of a service whose dependency was stopped by hand fails and says so', () => {
    const town = townOf({ name: 'db' }, { name: 'api', dependsOn: { db: 'started' } });
    town.stop('api');
    obeyed(town, 'api', 0);
    town.stop('db');
    obeyed(town, 'db', 0);
    town.start('api');
    expect(town.stateOf('api')).toMatchObject({
      name: 'failed',
      reason: 'it depends on db, which did not get started',
    });
  });

  test('of a service whose dependency is being stopped by hand does not count on it', () => {
    const town = townOf({ name: 'db' }, { name: 'api', dependsOn: { db: 'started' } });
    town.stop('api');
    obeyed(town, 'api', 0);
    town.stop('db');
    town.start('api');
    expect(town.names).toEqual({ db: ['stopping'], api: ['stopped'] });
    obeyed(town, 'db', 0);
    expect(town.names).toEqual({ db: ['stopped'], api: ['failed'] });
  });

  test('of a service whose dependency is in its first backoff waits for it', () => {
    const town = new Town([serviceSpec({ name: 'db', ready: READY }), serviceSpec({ dependsOn: { db: 'ready' } })]);
    town.start('db', 'api');
    town.answer();
    town.exit('db', 0, 1);
    for (let turns = 0; turns < 9 && town.stateOf('db').name !== 'backoff'; turns++) town.answer(1);
    expect(town.names).toEqual({ db: ['backoff'], api: ['stopped'] });
    town.fire();
    town.answerAll();
    expect(town.names).toEqual({ db: ['running'], api: ['running'] });
  });

  test('of a service whose dependency has failed for good fails', () => {
    const town = new Town([
      serviceSpec({ name: 'db', restart: { policy: 'never' }, ready: READY }),
      serviceSpec({ dependsOn: { db: 'ready' } }),
      serviceSpec({ name: 'web', dependsOn: { api: 'ready' } }),
    ]);
    town.start('web', 'api', 'db');
    town.answer();
    town.exit('db', 0, 1);
    town.answer(1);
    town.answerAll();
    expect(town.names).toEqual({ db: ['failed'], api: ['failed'], web: ['failed'] });
    expect(town.stateOf('web')).toMatchObject({ reason: 'it depends on api, which did not get ready' });
  });

  test('of one index starts that one', () => {
    const town = new Town([serviceSpec({ instances: 3 })]);
    town.dispatch({ type: 'start', services: ['api'], indexes: [1], reason: 'test' });
    town.answerAll();
    expect(town.names).toEqual({ api: ['stopped', 'running', 'stopped'] });
  });

  test('of what stops begins it anew once it is down', () => {
    const town = townOf({});
    town.stop('api');
    town.start('api');
    obeyed(town, 'api', 0);
    expect(town.stateOf('api')).toMatchObject({ name: 'running', run: 2 });
  });

  test('in a shutdown is refused', () => {
    const town = townOf({});
    town.dispatch({ type: 'shutdown', reason: 'test', signal: null });
    town.start('api');
    town.restart('api');
    obeyed(town, 'api', 0);
    expect([town.names, town.hasEnded]).toEqual([{ api: ['stopped'] }, true]);
  });

  test('of a service that runs does not make it wait for a dependency that went away', () => {
    const town = townOf({ name: 'db' }, { dependsOn: { db: 'started' } });
    town.define(serviceSpec({ name: 'mail', ready: READY }));
    town.define(serviceSpec({ dependsOn: { mail: 'ready' } }));
    town.start('mail');
    town.start('api');
    expect(town.state.services['api']?.waiting).toBe(null);
  });
});

describe('a restart', () => {
  test('of what runs and what is down makes both run', () => {
    const town = townOf({ instances: 2 });
    town.stop('api', 1);
    obeyed(town, 'api', 1);
    town.dispatch({
      type: 'restart',
      instances: [0, 1].map((index) => ({ service: 'api', index })),
      reason: 'test',
    });
    obeyed(town, 'api', 0);
    expect(town.names).toEqual({ api: ['running', 'running'] });
    expect([town.stateOf('api', 0).run, town.stateOf('api', 1).run]).toEqual([2, 2]);
    expect(town.state.services['api']?.stoppedByHand).toEqual([]);
  });

  test('in backoff is tried at once, and its history is forgotten', () => {
    const town = townOf({});
    town.exit('api', 0, 1);
    town.answerAll();
    town.restart('api');
    expect(town.stateOf('api')).toMatchObject({ name: 'starting', restarts: 0, history: { attempt: 0 } });
  });

  test('asked before the process is there is not lost when the spawn fails', () => {
    const town = new Town([serviceSpec()]);
    town.start('api');
    town.define(serviceSpec({ cwd: '/else' }), true);
    town.answers = [];
    town.leaders.clear();
    town.tell({ service: 'api', index: 0 }, { type: 'spawn-failed', run: 1, reason: 'no cwd', exitStatus: 126 });
    expect(town.stateOf('api')).toMatchObject({ name: 'starting', run: 2 });
  });
});

describe('a definition', () => {
  test('of a new service adds it, and starts nothing', () => {
    const town = new Town();
    town.define(serviceSpec({ instances: 2 }));
    town.rest();
    expect(town.names).toEqual({ api: ['stopped', 'stopped'] });
  });

  test('with more instances adds them, down', () => {
    const town = townOf({});
    town.define(serviceSpec({ instances: 3 }));
    expect(town.names).toEqual({ api: ['running', 'stopped', 'stopped'] });
  });

  test('with fewer drops them from the highest index, once they are down', () => {
    const town = townOf({ instances: 3 });
    town.define(serviceSpec({ instances: 1 }));
    expect(town.names).toEqual({ api: ['running', 'stopping', 'stopping'] });
    obeyed(town, 'api', 1);
    expect(town.names).toEqual({ api: ['running', 'stopped', 'stopping'] });
    obeyed(town, 'api', 2);
    expect(town.names).toEqual({ api: ['running'] });
  });

  test('with other policies lets what runs run on', () => {
    const town = townOf({});
    town.define(serviceSpec({ stop: { graceMs: 77 } }));
    expect(town.stateOf('api')).toMatchObject({ name: 'running', run: 1 });
    town.stop('api');
    expect(town.stateOf('api')).toMatchObject({ stop: { graceMs: 77 } });
  });

  test('that replaces stops what runs under the old policy and starts it under the new', () => {
    const town = townOf({ instances: 2, stop: { graceMs: 11 } });
    town.stop('api', 1);
    obeyed(town, 'api', 1);
    town.define(serviceSpec({ instances: 2, cwd: '/new', stop: { graceMs: 22 } }), true);
    expect(town.stateOf('api', 0)).toMatchObject({ name: 'stopping', stop: { graceMs: 11 } });
    obeyed(town, 'api', 0);
    expect(town.names).toEqual({ api: ['running', 'stopped'] });
    expect(town.stateOf('api', 0).run).toBe(2);
  });

  test('that replaces one in backoff tries it at once', () => {
    const town = townOf({});
    town.exit('api', 0, 1);
    town.answerAll();
    town.define(serviceSpec({ cwd: '/new' }), true);
    expect(town.names).toEqual({ api: ['starting'] });
  });

  test('with fewer instances is not undone by a start while they stop', () => {
    const town = townOf({ instances: 2 });
    town.define(serviceSpec({ instances: 1 }));
    town.start('api');
    obeyed(town, 'api', 1);
    expect(town.names).toEqual({ api: ['running'] });
  });

  test('with fewer instances is not undone by a restart while they stop', () => {
    const town = townOf({ instances: 2 });
    town.define(serviceSpec({ instances: 1 }));
    town.restart('api', 1);
    obeyed(town, 'api', 1);
    expect(town.names).toEqual({ api: ['running'] });
  });

  // Services are looked up by name in a plain object: `define` of such a name throws.
  test.each(['constructor', 'toString', 'valueOf'])('of a service may not be called %s', (name) => {
    expect(isServiceName(name)).toBe(false);
  });
});

describe('a removal', () => {
  test('stops by the ladder and then forgets', () => {
    const town = townOf({ instances: 2 }, { name: 'web' });
    town.remove('api');
    expect(town.names).toEqual({ api: ['stopping', 'stopping'], web: ['running'] });
    obeyed(town, 'api', 0, 1);
    expect(town.names).toEqual({ web: ['running'] });
  });

  test('of what is down is over at once', () => {
    const town = new Town([serviceSpec({ instances: 2 })]);
    town.remove('api', 'nobody');
    expect(town.names).toEqual({});
  });

  test('is not undone by a start', () => {
    const town = townOf({});
    town.remove('api');
    town.start('api');
    town.restart('api');
    obeyed(town, 'api', 0);
    expect(town.names).toEqual({});
  });

  test('is undone by a definition', () => {
    const town = townOf({});
    town.remove('api');
    town.define(serviceSpec());
    town.start('api');
    obeyed(town, 'api', 0);
    expect(town.stateOf('api')).toMatchObject({ name: 'running', run: 2 });
  });

  test('of a process that could not be killed keeps its successor from starting beside it', () => {
    const town = townOf({});
    town.stop('api');
    town.leaders.set('api:0', { run: 1, pid: 101, token: 'stuck' });
    while (town.timers.size > 0) {
      town.fire();
      town.answers = [];
      town.leaders.set('api:0', { run: 1, pid: 101, token: 'stuck' });
    }
    expect(town.stateOf('api')).toMatchObject({ name: 'failed', stuckPid: 101 });
    town.remove('api');
    town.define(serviceSpec());
    town.start('api');
  });
});

describe('a shutdown', () => {
  test('with a limit is kept to it also by a stop that was under way before', () => {
    const town = townOf({ stop: { graceMs: 60_000 } });
    town.state = { ...town.state, shutdownTimeoutMs: 2_000 };
    town.stop('api');
    const begun = town.now;
    town.dispatch({ type: 'shutdown', reason: 'test', signal: null });
    town.rest();
    expect([town.hasEnded, town.now - begun]).toEqual([true, 2_000]);
  });

  test('with a limit is kept to it also by one that was draining before', () => {
    const town = townOf({ stop: { drainDelayMs: 60_000 } });
    town.state = { ...town.state, shutdownTimeoutMs: 2_000 };
    town.stop('api');
    const begun = town.now;
    town.dispatch({ type: 'shutdown', reason: 'test', signal: null });
    town.rest();
    expect(town.now - begun).toBeLessThanOrEqual(2_000);
  });

  test('of a lasting supervisor comes by a critical failure, else only when it is asked', () => {
    const town = townOf({ name: 'main', critical: true, restart: { policy: 'never' } }, { name: 'other' });
    town.stop('other');
    obeyed(town, 'other', 0);
    expect(town.hasEnded).toBe(false);
    town.exit('main', 0, 1);
    town.answerAll();
    expect(town.hasEnded).toBe(true);
    expect(town.told.find(({ phase }) => phase === 'shutdown-started')?.reason).toBe('critical service main failed');
  });
});
