import { expect, test } from 'vitest';
import type { SupervisorEvent } from '../../src/core/event.ts';
import { decideTogether, initialState, type SupervisorState } from '../../src/core/root-state.ts';
import { step } from '../../src/core/supervisor.ts';
import { serviceSpec } from '../kit/spec.ts';

const NAMES = ['a', 'b', 'c', 'd'];
const begin = (): SupervisorState =>
  initialState(
    {
      services: NAMES.map((name) => serviceSpec({ name, dependsOn: name === 'a' ? {} : { a: 'started' } })),
      shutdownTimeoutMs: null,
    },
    true,
  );

const news = (service: string, event: Extract<SupervisorEvent, { type: 'instance' }>['event']): SupervisorEvent => ({
  type: 'instance',
  of: { service, index: 0, lane: 0 },
  event,
});

const EVENTS: readonly SupervisorEvent[] = [
  { type: 'start', at: 1, services: NAMES, reason: 'test' },
  ...NAMES.map((name, pid) => news(name, { type: 'spawned', at: 2, run: 1, pid: pid + 1, command: 'x' })),
  news('b', { type: 'exited', at: 3, run: 1, code: 1, signal: null }),
  { type: 'define', at: 4, spec: serviceSpec({ name: 'a', instances: 3 }), reason: 'more', replaces: false },
  news('b', { type: 'survivors-found', at: 5, run: 1, survivors: [] }),
  news('b', { type: 'logs-ended', at: 6, run: 1 }),
  { type: 'restart', at: 7, instances: [{ service: 'c', index: 0 }], reason: 'by hand' },
  { type: 'remove', at: 8, services: ['d'], reason: 'test' },
  news('d', { type: 'exited', at: 9, run: 1, code: 0, signal: null }),
  news('d', { type: 'survivors-found', at: 10, run: 1, survivors: [] }),
  news('d', { type: 'logs-ended', at: 11, run: 1 }),
  { type: 'shutdown', at: 12, reason: 'end', signal: 'SIGTERM' },
];

function decide(from: SupervisorState, events: readonly SupervisorEvent[]) {
  let state = from;
  const effects = events.flatMap((event) => {
    const [next, more] = step(state, event, 0.5);
    state = next;
    return more;
  });
  return { state, effects };
}

test('decided together or one by one: the same state and the same effects', () => {
  for (let from = 0; from < EVENTS.length; from++) {
    const before = decide(begin(), EVENTS.slice(0, from)).state;
    const alone = decide(before, EVENTS.slice(from));
    expect(decideTogether(() => decide(before, EVENTS.slice(from)))).toEqual(alone);
  }
});

test('the state that it begins with stays as it is', () => {
  for (let from = 0; from < EVENTS.length; from++) {
    const before = decide(begin(), EVENTS.slice(0, from)).state;
    const text = JSON.stringify(before);
    const after = decideTogether(() => decide(before, EVENTS.slice(from))).state;
    decideTogether(() => decide(after, EVENTS.slice(from)));
    expect(JSON.stringify(before)).toBe(text);
  }
});
