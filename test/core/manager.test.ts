import { describe, expect, test } from 'vitest';
import type { InstanceEvent } from '../../src/core/event.ts';
import { managerNews } from '../../src/core/manager.ts';
import { initialState, type SupervisorState } from '../../src/core/root-state.ts';
import type { ServiceSpec } from '../../src/core/service.ts';
import { step } from '../../src/core/supervisor.ts';
import { serviceSpec } from '../kit/spec.ts';

const ready = { check: { kind: 'message' } } as const;
const API = serviceSpec({ name: 'api', ready, stop: { graceMs: 10_000 } });
const DB = serviceSpec({ name: 'db', stop: { graceMs: 4_000 } });

/** Started at 0, each with a process. */
function started(services: readonly ServiceSpec[], isLasting = true): SupervisorState {
  const names = services.map(({ name }) => name);
  const state = initialState({ services, shutdownTimeoutMs: null }, isLasting);
  let now = step(state, { type: 'start', at: 0, services: names, reason: 'test' }, 0)[0];
  for (const [index, service] of names.entries()) {
    const waits = now.services[service]?.waiting !== null;
    if (!waits) now = happen(now, service, { type: 'spawned', at: 1, run: 1, pid: 100 + index, command: 'x' });
  }
  return now;
}

function happen(state: SupervisorState, service: string, ...events: readonly InstanceEvent[]): SupervisorState {
  const of = { service, index: 0 };
  return events.reduce((was, event) => step(was, { type: 'instance', of, event }, 0)[0], state);
}

/** Its leader ends with 1, and leaves nothing. */
const FAILS: readonly InstanceEvent[] = [
  { type: 'exited', at: 5, run: 1, code: 1, signal: null },
  { type: 'survivors-found', at: 6, run: 1, survivors: [] },
  { type: 'logs-ended', at: 6, run: 1 },
];

const status = (state: SupervisorState, isPatient = true) => managerNews(state, 0, isPatient).status;

test('nothing to be started is ready', () => {
  expect(managerNews(initialState({ services: [], shutdownTimeoutMs: null }, true), 0, true)).toEqual({
    isReady: true,
    isStopping: false,
    isWell: true,
    stopMs: null,
    status: '0 of 0 ready',
  });
});

test('it is ready when the last one is', () => {
  const before = started([API, DB]);
  expect(managerNews(before, 0, true)).toMatchObject({ isReady: false, status: '1 of 2 ready; waiting for api:0' });
  const after = happen(before, 'api', { type: 'ready', at: 2, run: 1, by: 'message' });
  expect(managerNews(after, 0, true)).toMatchObject({ isReady: true, status: '2 of 2 ready' });
});

test('what waits for a dependency is waited for', () => {
  const state = started([
    serviceSpec({ ...API, name: 'db' }),
    serviceSpec({ ...DB, name: 'web', dependsOn: { db: 'ready' } }),
  ]);
  expect(managerNews(state, 0, false)).toMatchObject({
    isReady: false,
    status: '0 of 2 ready; waiting for db:0, web:0',
  });
});

describe('a start that has failed and is tried again', () => {
  const after = happen(started([API, DB]), 'api', ...FAILS);

  test('is waited for by whoever is patient', () => {
    expect(managerNews(after, 0, true)).toMatchObject({ isReady: false, status: '1 of 2 ready; waiting for api:0' });
  });

  test('does not hold up the others otherwise', () => {
    expect(managerNews(after, 0, false)).toMatchObject({
      isReady: true,
      status: '1 of 2 ready; starting again: api:0',
    });
  });
});

test('while it stops: who is there, and how long it may take, less and less', () => {
  const services = [DB, serviceSpec({ ...API, ready: null, dependsOn: { db: 'started' } })];
  let state = started(services, true);
  state = happen(state, 'api', { type: 'spawned', at: 1, run: 1, pid: 200, command: 'x' });
  state = step(state, { type: 'shutdown', at: 1_000, reason: 'SIGTERM', signal: 'SIGTERM' }, 0)[0];
  expect(managerNews(state, 1_000, true)).toMatchObject({
    isStopping: true,
    stopMs: 19_000,
    status: 'stopping: 2 still there: db:0, api:0 (signal-sent)',
  });
  expect(managerNews(state, 5_000, true).stopMs).toBe(15_000);
});

test('a critical service that has failed is not well, another one is', () => {
  for (const critical of [true, false]) {
    const spec = serviceSpec({ name: 'api', critical, restart: { policy: 'never' } });
    const state = happen(started([spec, DB]), 'api', ...FAILS);
    expect(state.services['api']?.instances[0]?.name).toBe('failed');
    expect(managerNews(state, 9, true).isWell).toBe(!critical);
  }
});

test('many names are cut', () => {
  const services = Array.from({ length: 8 }, (_, index) => serviceSpec({ ...API, name: `s${index}` }));
  expect(status(started(services))).toBe('0 of 8 ready; waiting for s0:0, s1:0, s2:0, s3:0, s4:0 and 3 more');
});
