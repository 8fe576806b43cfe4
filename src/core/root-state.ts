/** The state of the whole: services with their instances, a shutdown under way; and the step of one instance in it. */
import type { Effect, InstanceEffect } from './effect.ts';
import type { InstanceEvent, InstanceRef, Lane, Slot } from './event.ts';
import { stepInstance } from './instance.ts';
import type { PhaseRecord, Verdict } from './record.ts';
import type { ServiceSpec, SupervisorSpec } from './service.ts';
import type { SignalName } from './signal.ts';
import { FRESH, type InstanceState, isDown } from './state.ts';

export type ServiceState = {
  readonly spec: ServiceSpec;
  readonly instances: readonly InstanceState[];
  /**
   * A second run of an index, in the other lane: during a rolling restart the coming one until it takes over, then
   * the leaving one until it is down.
   */
  readonly spares: Readonly<Record<number, InstanceState>>;
  readonly rolling: Rolling | null;
  /** Asked to start and waiting for what it depends on, with the indexes that are asked for; `null` when it isn't waiting. */
  readonly waiting: { readonly reason: string; readonly indexes: readonly number[] } | null;
  /** Indexes that were stopped by hand: they stay down when a new supervisor begins. */
  readonly stoppedByHand: readonly number[];
  /** To be forgotten when all of it is down. */
  readonly isLeaving: boolean;
};

/** A rolling restart of one service under way. */
export type Rolling = {
  readonly reason: string;
  readonly startedAt: number;
  /** What the instances become; the service's own spec stays what it was until all of them are. */
  readonly target: ServiceSpec;
  /** Whether the target is another spec than that of the service. */
  readonly isChange: boolean;
  /** On the way back: what has become the target gets the service's own spec again. */
  readonly isBack: boolean;
  readonly steps: number;
  /** Indexes still to be replaced. */
  readonly pending: readonly number[];
  readonly underWay: Readonly<Record<number, RollingStep>>;
  readonly done: readonly number[];
  /** Places that have the target spec, as `index/lane`. */
  readonly onTarget: readonly string[];
  /** Why it is given up; what is under way still comes to its end. */
  readonly aborted: string | null;
};

/**
 * One index being replaced. `beside`: the new run has the spare place until it takes over, then the old one has it.
 * `in-place`: the new run comes when the old one is gone.
 */
export type RollingStep = {
  readonly how: 'beside' | 'in-place';
  /** Getting ready; ready for less than `minReady`; ready for so long; having taken over while the old one leaves. */
  readonly stage: 'coming' | 'settling' | 'settled' | 'leaving';
  /** Number of the run that is replaced, and its pid if it has one. */
  readonly runBefore: number;
  readonly pidBefore: number | null;
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
  /** Survivors of stops that even SIGKILL has not ended, since the shutdown started. */
  readonly alive: readonly number[];
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
    alive: [],
    hasEnded: false,
  };
}

/** A service of which nothing was ever started. */
export function newService(spec: ServiceSpec): ServiceState {
  const instances = Array.from({ length: spec.instances }, () => FRESH);
  return { spec, instances, spares: {}, rolling: null, waiting: null, stoppedByHand: [], isLeaving: false };
}

/** Every instance with its state, in the order of the file, spares behind those that serve. */
export function instancesOf(
  state: SupervisorState,
): readonly { readonly of: Slot; readonly state: InstanceState; readonly isSpare: boolean }[] {
  return Object.keys(state.services).flatMap((service) => slotsOf(state, service));
}

/** The same of one service. */
export function slotsOf(
  state: SupervisorState,
  service: string,
): readonly { readonly of: Slot; readonly state: InstanceState; readonly isSpare: boolean }[] {
  const { instances = [], spares = {} } = state.services[service] ?? {};
  return instances.flatMap((instance, index) => {
    const serving = { of: { service, index, lane: instance.lane }, state: instance, isSpare: false };
    const spare = spares[index];
    return spare === undefined
      ? [serving]
      : [serving, { of: { service, index, lane: spare.lane }, state: spare, isSpare: true }];
  });
}

/** The state of the instance in that place; without a lane of the one that serves. */
export function stateAt(state: SupervisorState, { service, index, lane }: InstanceRef): InstanceState | undefined {
  const { instances, spares } = state.services[service] ?? {};
  const serving = instances?.[index];
  if (lane === undefined || serving?.lane === lane) return serving;
  const spare = spares?.[index];
  return spare?.lane === lane ? spare : undefined;
}

/** The spec that a place has: during a rolling restart it is the target for some. */
export function specAt(service: ServiceState, index: number, lane: Lane): ServiceSpec {
  return isOnTarget(service, index, lane) ? (service.rolling?.target ?? service.spec) : service.spec;
}

/** Whether a place has the spec that a rolling restart brings. */
export function isOnTarget({ rolling }: ServiceState, index: number, lane: Lane): boolean {
  return rolling?.onTarget.includes(placeKey(index, lane)) === true;
}

/** How a place is written down in `onTarget`. */
export function placeKey(index: number, lane: Lane): string {
  return `${index}/${lane}`;
}

/** One instance takes one event. */
export function stepOne(was: SupervisorState, of: InstanceRef, event: InstanceEvent, random: number): RootStep {
  const service = was.services[of.service];
  const instance = stateAt(was, of);
  if (!service || !instance) return [was, []];
  const { lane } = instance;
  const [next, effects] = stepInstance(instance, event, { spec: specAt(service, of.index, lane), random });
  const verdict = effects.some(isKilled) ? 'killed' : was.verdict;
  const left = instance.name === 'stopping' && next.name !== 'stopping' ? instance.alive : undefined;
  const alive = left === undefined ? was.alive : [...was.alive, ...left];
  const state = { ...withService(was, withInstance(service, of.index, next)), verdict, alive };
  const slot: Slot = { service: of.service, index: of.index, lane };
  return [state, effects.map((effect): Effect => ({ do: 'for', of: slot, effect }))];
}

/** The service with the instance of that index and lane as it is now. */
function withInstance(service: ServiceState, index: number, next: InstanceState): ServiceState {
  if (service.instances[index]?.lane === next.lane)
    return { ...service, instances: service.instances.with(index, next) };
  return { ...service, spares: { ...service.spares, [index]: next } };
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
  return { ...was, services: withEntry(was.services, service) };
}

type Services = Record<string, ServiceState>;

/** Maps that were made by the decisions under way; `null`: none are. */
let ours: WeakSet<object> | null = null;

/**
 * Makes decisions of which only the last state is looked at by others. A map of a thousand services takes a tenth to
 * half of a millisecond to copy, several times for each event: here it is copied once, and the copy written to.
 */
export function decideTogether<T>(decide: () => T): T {
  if (ours !== null) return decide();
  ours = new WeakSet();
  try {
    return decide();
  } finally {
    ours = null;
  }
}

function withEntry(was: SupervisorState['services'], service: ServiceState): SupervisorState['services'] {
  const services: Services = ours?.has(was) ? (was as Services) : { ...was };
  ours?.add(services);
  services[service.spec.name] = service;
  return services;
}

/** Every instance of these services that is not down, spares too. */
export function liveInstances(state: SupervisorState, names: readonly string[]): readonly Slot[] {
  return names.flatMap((service) => slotsOf(state, service).flatMap(({ of, state: its }) => (isDown(its) ? [] : [of])));
}

/** Rolling restarts of these services end here and now, as they stand: their spares are cleared away by what follows. */
export function giveUpRolling(was: SupervisorState, names: readonly string[], reason: string): RootStep {
  let state = was;
  const effects: Effect[] = [];
  for (const name of names) {
    const service = state.services[name];
    if (service?.rolling == null) continue;
    if (service.rolling.aborted === null)
      effects.push(record({ phase: 'rolling-aborted', level: 'warn', service: name, reason }));
    effects.push({ do: 'revert-spec', service: name });
    state = withService(state, { ...service, rolling: null });
  }
  return [state, effects];
}

/** A record of the whole. */
export function record(record: PhaseRecord): Effect {
  return { do: 'record', record };
}

function isKilled(effect: InstanceEffect): boolean {
  return effect.do === 'record' && effect.record.phase === 'stopped' && effect.record.verdict === 'killed';
}
