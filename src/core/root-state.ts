/** The state of the whole: services with their instances, a shutdown under way; and the step of one instance in it. */
import type { Effect, InstanceEffect } from './effect.ts';
import type { InstanceEvent, InstanceRef } from './event.ts';
import { stepInstance } from './instance.ts';
import type { PhaseRecord, Verdict } from './record.ts';
import type { ServiceSpec, SupervisorSpec } from './service.ts';
import type { SignalName } from './signal.ts';
import { FRESH, type InstanceState, isDown } from './state.ts';

export type ServiceState = {
  readonly spec: ServiceSpec;
  readonly instances: readonly InstanceState[];
  /** Asked to start and waiting for what it depends on, with the indexes that are asked for; `null` when it isn't waiting. */
  readonly waiting: { readonly reason: string; readonly indexes: readonly number[] } | null;
  /** Indexes that were stopped by hand: they stay down when a new supervisor begins. */
  readonly stoppedByHand: readonly number[];
  /** To be forgotten when all of it is down. */
  readonly isLeaving: boolean;
};

export type Shutdown = {
  readonly reason: string;
  readonly signal: SignalName | null;
  readonly startedAt: number;
  /** `null`: no limit on the whole. */
  readonly deadline: number | null;
  readonly waves: readonly (readonly string[])[];
  /** Index of the wave that is stopping; `waves.length` when all are down. */
  readonly wave: number;
  readonly isForced: boolean;
};

export type SupervisorState = {
  readonly services: Readonly<Record<string, ServiceState>>;
  readonly shutdownTimeoutMs: number | null;
  /** A daemon goes on when nothing runs any more; `gsup run` ends. */
  readonly isLasting: boolean;
  readonly shutdown: Shutdown | null;
  readonly verdict: Verdict;
  readonly hasEnded: boolean;
};

export type RootStep = readonly [SupervisorState, readonly Effect[]];

/** Everything known and nothing started. `isLasting`: it goes on when nothing runs any more, as a daemon does. */
export function initialState(spec: SupervisorSpec, isLasting = false): SupervisorState {
  const services = spec.services.map((service): [string, ServiceState] => [service.name, newService(service)]);
  return {
    services: Object.fromEntries(services),
    shutdownTimeoutMs: spec.shutdownTimeoutMs,
    isLasting,
    shutdown: null,
    verdict: 'clean',
    hasEnded: false,
  };
}

/** A service of which nothing was ever started. */
export function newService(spec: ServiceSpec): ServiceState {
  const instances = Array.from({ length: spec.instances }, () => FRESH);
  return { spec, instances, waiting: null, stoppedByHand: [], isLeaving: false };
}

/** Every instance with its state, in the order of the file. */
export function instancesOf(state: SupervisorState): readonly { of: InstanceRef; state: InstanceState }[] {
  return Object.entries(state.services).flatMap(([service, { instances }]) =>
    instances.map((instance, index) => ({ of: { service, index }, state: instance })),
  );
}

/** One instance takes one event. */
export function stepOne(was: SupervisorState, of: InstanceRef, event: InstanceEvent, random: number): RootStep {
  const service = was.services[of.service];
  const instance = service?.instances[of.index];
  if (!service || !instance) return [was, []];
  const [next, effects] = stepInstance(instance, event, { spec: service.spec, random });
  const verdict = effects.some(isKilled) ? 'killed' : was.verdict;
  const instances = service.instances.with(of.index, next);
  const services = { ...was.services, [of.service]: { ...service, instances } };
  return [{ ...was, services, verdict }, effects.map((effect): Effect => ({ do: 'for', of, effect }))];
}

/** Each of `refs` takes the event, one after the other. */
export function stepEach(
  was: SupervisorState,
  refs: readonly InstanceRef[],
  event: InstanceEvent,
  random: number,
): RootStep {
  let state = was;
  const effects: Effect[] = [];
  for (const of of refs) {
    let more: readonly Effect[];
    [state, more] = stepOne(state, of, event, random);
    effects.push(...more);
  }
  return [state, effects];
}

/** The state with one service changed. */
export function withService(was: SupervisorState, service: ServiceState): SupervisorState {
  return { ...was, services: { ...was.services, [service.spec.name]: service } };
}

/** Every instance of these services that is not down. */
export function liveInstances(state: SupervisorState, names: readonly string[]): readonly InstanceRef[] {
  return names.flatMap((service) =>
    (state.services[service]?.instances ?? []).flatMap((instance, index) =>
      isDown(instance) ? [] : [{ service, index }],
    ),
  );
}

/** A record of the whole. */
export function record(record: PhaseRecord): Effect {
  return { do: 'record', record };
}

function isKilled(effect: InstanceEffect): boolean {
  return effect.do === 'record' && effect.record.phase === 'stopped' && effect.record.verdict === 'killed';
}
