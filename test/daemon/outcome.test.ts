import { describe, expect, test } from 'vitest';
import { initialState, type ServiceState, type SupervisorState } from '../../src/core/root-state.ts';
import type { ReadyPolicy, ServiceSpec } from '../../src/core/service.ts';
import { FRESH, type InstanceState } from '../../src/core/state.ts';
import { runOf, startStatus, stopStatus } from '../../src/daemon/outcome.ts';
import { serviceSpec } from '../kit/spec.ts';

const OF = { service: 'api', index: 0 };
const READY: ReadyPolicy = {
  check: { kind: 'message' },
  initialDelayMs: 0,
  intervalMs: 1,
  timeoutMs: 1_000,
  successThreshold: 1,
};
const NOW = 100_000;
const RUN_1 = { ...FRESH, run: 1 };
const exitOf = (code: number | null, signal: 'SIGSEGV' | null = null) =>
  ({ lastExit: { code, signal, by: 'self', at: NOW } }) as const;

/** A whole in which api:0 is so. */
function whole(
  instance: InstanceState,
  spec: Partial<ServiceSpec> = {},
  service: Partial<ServiceState> = {},
): SupervisorState {
  const state = initialState({ services: [serviceSpec({ ...spec } as never)], shutdownTimeoutMs: null }, true);
  const [api] = Object.values(state.services);
  if (api === undefined) throw new Error('there is no api');
  return { ...state, services: { api: { ...api, instances: [instance], ...service } } };
}

const at = (state: SupervisorState, runBefore = 0) => startStatus(state, { of: OF, runBefore }, NOW, 1_000);
const running = (startedAt: number, run = 1): InstanceState => ({
  ...FRESH,
  run,
  name: 'running',
  pid: 812,
  startedAt,
  forwarded: [],
});
const failed = (reason: string, stuckPid: number | null = null): InstanceState => ({
  ...RUN_1,
  name: 'failed',
  reason,
  exitStatus: null,
  stuckPid,
});
const starting: InstanceState = {
  ...RUN_1,
  name: 'starting',
  pid: 1,
  startedAt: NOW,
  forwarded: [],
  stopAsked: null,
  readyBy: null,
  isExtended: false,
  startedBy: null,
  checkSays: null,
};

const OPEN = { isOver: false, problem: null, message: '', isTimeout: false, lookAgainMs: null };
const up = (message: string) => ({ isOver: true, problem: null, message, isTimeout: false, lookAgainMs: null });
const over = (problem: string) => ({ isOver: true, problem, message: problem, isTimeout: false, lookAgainMs: null });

describe('a start', () => {
  test.each<[string, SupervisorState, object]>([
    ['starting', whole(starting), OPEN],
    ['running with a check', whole(running(NOW), { ready: READY }), up('ready as 812')],
    ['running for a second', whole(running(NOW - 1_000)), up('running as 812')],
    ['running for less', whole(running(NOW - 400)), { ...OPEN, lookAgainMs: 601 }],
    [
      'ended well',
      whole({ ...RUN_1, name: 'exited', ...exitOf(0), reached: { started: true, ready: true, completed: true } }),
      up('completed: exit 0'),
    ],
    [
      'ended by a passed-on signal',
      whole({ ...RUN_1, name: 'exited', ...exitOf(null, 'SIGSEGV') }),
      over('killed by SIGSEGV'),
    ],
    ['failed', whole(failed('exit 1, restart policy never')), over('failed: exit 1, restart policy never')],
    [
      'in backoff',
      whole({ ...RUN_1, name: 'backoff', until: NOW + 8_000, reason: 'exit 1' }),
      over('exit 1; next try in 8s'),
    ],
    ['stopped', whole({ ...RUN_1, name: 'stopped' }), over('it was stopped meanwhile')],
    ['on its second try', whole({ ...running(NOW, 2), ...exitOf(1) }), over('exit 1, and was started again')],
    [
      'on its second try, ended unknown',
      whole({ ...running(NOW, 2), ...exitOf(null) }),
      over('exit unknown, and was started again'),
    ],
    ['gone', { ...whole(starting), services: {} }, over('it was deleted meanwhile')],
    [
      'in a shutdown',
      {
        ...whole(starting),
        shutdown: { reason: '', signal: null, startedAt: 0, deadline: null, waves: [], wave: 0, isForced: false },
      },
      over('gsup is stopping everything'),
    ],
  ])('of what is %s', (_, state, status) => {
    expect(at(state)).toEqual(status);
  });

  test('of what had ended before and does so still did not begin', () => {
    expect(at(whole({ ...RUN_1, name: 'exited', ...exitOf(0) }), 1)).toEqual(over('it did not start'));
  });

  test('of what waits is open, until one that it waits for does not come up', () => {
    const waiting = { reason: 'test', indexes: [0] };
    const state = whole({ ...FRESH }, { dependsOn: { db: 'ready' } }, { waiting });
    const withDb = (db: InstanceState): SupervisorState => {
      const service = {
        spec: serviceSpec({ name: 'db' }),
        instances: [db],
        spares: {},
        rolling: null,
        waiting: null,
        stoppedByHand: [],
        isLeaving: false,
      };
      return { ...state, services: { ...state.services, db: service } };
    };
    expect(at(withDb(starting))).toEqual(OPEN);
    expect(at(withDb(failed('exit 1')))).toEqual(over('waits for db, which does not come up'));
    expect(at(withDb({ ...RUN_1, name: 'backoff', until: NOW, reason: '' }))).toEqual(
      over('waits for db, which does not come up'),
    );
  });
});

const STOP = { at: 0, reason: 'gsup stop', signal: null, budgetMs: null, next: 'stopped' } as const;
const OVERRULED = { isOver: true, problem: 'it was started again meanwhile' };

describe('a stop', () => {
  test.each<[string, InstanceState, object]>([
    ['stopped', { ...RUN_1, name: 'stopped' }, { isOver: true, problem: null }],
    ['exited', { ...RUN_1, name: 'exited' }, { isOver: true, problem: null }],
    ['failed', failed('exit 1'), { isOver: true, problem: null }],
    [
      'stuck',
      failed('process 812 did not die of SIGKILL', 812),
      { isOver: true, problem: 'process 812 did not die of SIGKILL' },
    ],
    ['starting, and asked to stop', { ...starting, stopAsked: STOP }, { isOver: false, problem: null }],
    ['starting, and asked to start again', { ...starting, stopAsked: { ...STOP, next: 'start' } }, OVERRULED],
    ['running', running(0), OVERRULED],
    ['starting', starting, OVERRULED],
    ['in backoff', { ...RUN_1, name: 'backoff', until: NOW, reason: '' }, OVERRULED],
  ])('of what is %s', (_, instance, status) => {
    expect(stopStatus(whole(instance), OF)).toEqual(status);
  });

  test('of what nobody has is over', () => {
    expect(stopStatus(whole(starting), { service: 'web', index: 0 })).toEqual({ isOver: true, problem: null });
  });
});

test('the run of what was never there is none', () => {
  expect([runOf(whole(running(0, 7)), OF), runOf(whole(starting), { service: 'api', index: 3 })]).toEqual([7, 0]);
});
