import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Effect, InstanceEffect } from '../../src/core/effect.ts';
import type { InstanceEvent, InstanceRef, SupervisorEvent, Timer } from '../../src/core/event.ts';
import type { PhaseRecord } from '../../src/core/record.ts';
import { initialState, instancesOf } from '../../src/core/root-state.ts';
import type { ServiceSpec } from '../../src/core/service.ts';
import { isDown } from '../../src/core/state.ts';
import { step } from '../../src/core/supervisor.ts';
import { serviceSpec } from '../kit/spec.ts';

type Told = PhaseRecord & { of?: string; at: number };
type Distribute<E> = E extends InstanceEvent ? Omit<E, 'at'> : never;

/** Services that obey at once, after a while, or never; time goes from timer to timer. */
class Town {
  readonly told: Told[] = [];
  readonly manners: Readonly<Record<string, number>>;
  now = 0;
  state;
  hasEnded = false;
  #later: { at: number; key: string; event: () => SupervisorEvent }[] = [];

  /** `manners`: ms from the signal to the exit of each service; Infinity for stubborn. */
  constructor(
    services: readonly ServiceSpec[],
    shutdownTimeoutMs: number | null,
    manners: Readonly<Record<string, number>>,
  ) {
    this.state = initialState({ services, shutdownTimeoutMs });
    this.manners = manners;
  }

  dispatch(event: SupervisorEvent): void {
    const [state, effects] = step(this.state, event, 0.5);
    this.state = JSON.parse(JSON.stringify(state)) as typeof state;
    for (const effect of effects) this.#obey(effect);
  }

  /** The next thing that time brings, up to `until`. */
  goOn(until: number): boolean {
    const next = this.#later.sort((a, b) => a.at - b.at)[0];
    if (!next || next.at > until) return false;
    this.#later.shift();
    this.now = Math.max(this.now, next.at);
    this.dispatch(next.event());
    return true;
  }

  #obey(effect: Effect): void {
    if (effect.do === 'end') this.hasEnded = true;
    else if (effect.do === 'record') this.told.push({ ...effect.record, at: this.now });
    else if (effect.do === 'for') this.#obeyFor(effect.of, effect.effect);
  }

  #obeyFor(of: InstanceRef, effect: InstanceEffect): void {
    const name = `${of.service}:${of.index}`;
    const later = (ms: number, event: Distribute<InstanceEvent>, key = '') => {
      const at = this.now + ms;
      this.#later.push({ at, key, event: () => ({ type: 'instance', of, event: { ...event, at } as InstanceEvent }) });
    };
    const cancel = (key: string) => {
      this.#later = this.#later.filter((one) => one.key !== key);
    };
    const timerKey = (timer: Timer) => `${name} ${timer}`;
    if (effect.do === 'record') this.told.push({ ...effect.record, of: of.service, at: this.now });
    if (effect.do === 'spawn') later(0, { type: 'spawned', run: effect.run, pid: 1, command: 'x' });
    if (effect.do === 'check-ready') later(5, { type: 'ready', run: effect.run, by: 'test' });
    if (effect.do === 'find-survivors') later(0, { type: 'survivors-found', run: effect.run, survivors: [] });
    if (effect.do === 'drain-logs') later(0, { type: 'logs-ended', run: effect.run });
    if (effect.do === 'signal') {
      const ms = effect.signal === 'SIGKILL' ? 1 : (this.manners[of.service] ?? 0);
      if (Number.isFinite(ms)) later(ms, { type: 'exited', run: effect.run, code: 0, signal: null });
    }
    if (effect.do === 'arm') {
      cancel(timerKey(effect.timer));
      later(effect.ms, { type: 'timed-out', run: effect.run, timer: effect.timer }, timerKey(effect.timer));
    }
    if (effect.do === 'disarm') cancel(timerKey(effect.timer));
  }
}

const NAMES = ['a', 'b', 'c', 'd', 'e'];
const towns = fc
  .record({
    // Bit j of number i: service i depends on the earlier service j; so there is no cycle.
    edges: fc.array(fc.nat(31), { minLength: NAMES.length, maxLength: NAMES.length }),
    manners: fc.array(fc.constantFrom(0, 50, 900, Number.POSITIVE_INFINITY), {
      minLength: NAMES.length,
      maxLength: NAMES.length,
    }),
    graces: fc.array(fc.constantFrom(0, 300, 5_000), { minLength: NAMES.length, maxLength: NAMES.length }),
    hasChecks: fc.array(fc.boolean(), { minLength: NAMES.length, maxLength: NAMES.length }),
    timeoutMs: fc.constantFrom(null, 0, 400, 6_000, 60_000),
    shutdownAt: fc.constantFrom(0, 3, 5, 11, 100),
  })
  .map(({ edges, manners, graces, hasChecks, timeoutMs, shutdownAt }) => {
    const services = NAMES.map((name, i) => {
      const needs = NAMES.slice(0, i).filter((_, j) => ((edges[i] ?? 0) >> j) & 1);
      return serviceSpec({
        name,
        dependsOn: Object.fromEntries(needs.map((other) => [other, 'ready' as const])),
        ready: hasChecks[i] ? { check: { kind: 'message' }, intervalMs: 1, timeoutMs: 1_000 } : null,
        stop: { graceMs: graces[i] ?? 0 },
      });
    });
    return {
      services,
      timeoutMs,
      shutdownAt,
      manners: Object.fromEntries(NAMES.map((name, i) => [name, manners[i] ?? 0])),
    };
  });

test('whatever depends on whatever, a shutdown ends everything, in waves, within its budget', () => {
  const holds = ({ services, timeoutMs, shutdownAt, manners }: Parameters<Parameters<typeof towns.map>[0]>[0]) => {
    const town = new Town(services, timeoutMs, manners);
    town.dispatch({ type: 'start', at: 0, services: NAMES, reason: 'test' });
    while (town.goOn(shutdownAt));
    // Nothing is started before what it depends on is ready.
    for (const { name, dependsOn } of services) {
      const started = town.told.findIndex(({ phase, of }) => phase === 'spawned' && of === name);
      for (const other of started < 0 ? [] : Object.keys(dependsOn)) {
        expect(town.told.findIndex(({ phase, of }) => phase === 'ready' && of === other)).toBeLessThan(started);
      }
    }
    town.now = shutdownAt;
    const begun = town.told.length;
    town.dispatch({ type: 'shutdown', at: shutdownAt, reason: 'test', signal: 'SIGTERM' });
    for (let turn = 0; turn < 1_000 && town.goOn(Number.POSITIVE_INFINITY); turn++);
    const told = town.told.slice(begun);
    expect(town.hasEnded).toBe(true);
    expect(instancesOf(town.state).every(({ state }) => isDown(state))).toBe(true);
    expect(told.filter(({ phase }) => phase === 'shutdown-completed')).toHaveLength(1);
    // In reverse order: a service is asked only when all that depend on it are down.
    for (const { name, dependsOn } of services) {
      const down = told.findLastIndex(({ phase, of }) => phase === 'stopped' && of === name);
      for (const other of Object.keys(dependsOn)) {
        const asked = told.findIndex(({ phase, of }) => phase === 'stop-requested' && of === other);
        if (asked >= 0 && down >= 0) expect(down).toBeLessThan(asked);
      }
    }
    const ended = told.find(({ phase }) => phase === 'shutdown-completed')?.at ?? 0;
    if (timeoutMs !== null) expect(ended - shutdownAt).toBeLessThanOrEqual(timeoutMs + 5 * NAMES.length);
  };
  fc.assert(fc.property(towns, holds as never), { numRuns: 1_000 });
});

test('a second SIGINT ends all waves at once', () => {
  const services = [
    serviceSpec({ name: 'db', stop: { graceMs: 3_600_000 } }),
    serviceSpec({ name: 'api', dependsOn: { db: 'ready' }, stop: { graceMs: 3_600_000 } }),
  ];
  const stubborn = { db: Number.POSITIVE_INFINITY, api: Number.POSITIVE_INFINITY };
  const town = new Town(services, null, stubborn);
  town.dispatch({ type: 'start', at: 0, services: ['db', 'api'], reason: 'test' });
  while (town.goOn(10));
  town.dispatch({ type: 'shutdown', at: 10, reason: 'SIGINT', signal: 'SIGINT' });
  town.dispatch({ type: 'force', at: 10, reason: 'second SIGINT' });
  while (town.goOn(20));
  expect(town.hasEnded).toBe(true);
  expect(town.state.verdict).toBe('killed');
});
