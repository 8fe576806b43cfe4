/** What people ask of services: to start, stop, restart, change, scale, go; and how waiting for dependencies ends. */
import type { Effect } from './effect.ts';
import type { InstanceEvent, InstanceRef, Slot, SupervisorEvent } from './event.ts';
import {
  giveUpRolling,
  newService,
  type RootStep,
  type ServiceState,
  type SupervisorState,
  stepEach,
  stepOne,
  withService,
} from './root-state.ts';
import type { DependencyCondition } from './service.ts';
import { FRESH, type InstanceState, isDown, isGoingDown } from './state.ts';

type Of<T extends SupervisorEvent['type']> = Extract<SupervisorEvent, { type: T }>;

/** They wait for what they depend on, which may be there already. */
export function startServices(was: SupervisorState, event: Of<'start'>): RootStep {
  if (was.shutdown) return [was, []];
  let state = was;
  for (const name of event.services) {
    const service = state.services[name];
    if (service === undefined || service.isLeaving) continue;
    const indexes = [...service.instances.keys()].filter(
      (index) => index < service.spec.instances && (event.indexes?.includes(index) ?? true),
    );
    // What runs is there: it waits for nobody.
    const wanted = indexes.filter((index) => !isUp(service.instances[index]));
    const waiters = [...new Set([...(service.waiting?.indexes ?? []), ...wanted])];
    const waiting = waiters.length === 0 ? null : { reason: event.reason, indexes: waiters };
    const stoppedByHand = service.stoppedByHand.filter((index) => !indexes.includes(index));
    state = withService(state, { ...service, waiting, stoppedByHand });
  }
  return [state, []];
}

/** By hand: they stay down, whatever their restart policy and a new supervisor say. */
export function stopInstances(was: SupervisorState, event: Of<'stop'>, random: number): RootStep {
  const names = [...new Set(event.instances.map(({ service }) => service))];
  let [state, effects] = giveUpRolling(was, names, event.reason);
  for (const { service: name, index } of event.instances) {
    const service = state.services[name];
    if (service === undefined) continue;
    const left = service.waiting?.indexes.filter((one) => one !== index) ?? [];
    const waiting = service.waiting === null || left.length === 0 ? null : { ...service.waiting, indexes: left };
    const stoppedByHand = [...new Set([...service.stoppedByHand, index])];
    state = withService(state, { ...service, waiting, stoppedByHand });
  }
  const [next, more] = stepEach(state, event.instances, asked(event, 'stopped'), random);
  return [next, [...effects, ...more]];
}

/** What lives is stopped by its ladder and begins anew; what is down is started. */
export function restartInstances(was: SupervisorState, event: Of<'restart'>, random: number): RootStep {
  if (was.shutdown) return [was, []];
  let state = was;
  const effects: Effect[] = [];
  for (const of of event.instances) {
    const service = state.services[of.service];
    const instance = service?.instances[of.index];
    if (service === undefined || instance === undefined || service.isLeaving) continue;
    if (of.index >= service.spec.instances) continue;
    const stoppedByHand = service.stoppedByHand.filter((index) => index !== of.index);
    state = withService(state, { ...service, stoppedByHand });
    const lives = isUp(instance);
    const { at, reason } = event;
    const news: InstanceEvent = lives ? asked(event, 'start') : { type: 'start-requested', at, reason };
    let more: readonly Effect[];
    [state, more] = stepOne(state, of, news, random);
    effects.push(...more);
  }
  return [state, effects];
}

/** A new service, or a new spec for one that is there: what it has too many is stopped, what runs may be replaced. */
export function defineService(was: SupervisorState, event: Of<'define'>, random: number): RootStep {
  const { spec, reason, at } = event;
  if (was.services[spec.name] === undefined) return [withService(was, newService(spec)), []];
  const [begun, given] = giveUpRolling(was, [spec.name], reason);
  const service = begun.services[spec.name];
  if (service === undefined) return [begun, given];
  const refs = [...service.instances.keys()].map((index): InstanceRef => ({ service: spec.name, index }));
  const isKept = ({ index }: InstanceRef) => index < spec.instances;
  // Stops begin under the old spec: its signal and grace are what the running program knows of.
  let [state, effects] = stepEach(
    begun,
    refs.filter((of) => !isKept(of)),
    asked(event, 'stopped'),
    random,
  );
  effects = [...given, ...effects, { do: 'commit-spec', service: spec.name }];
  if (event.replaces) {
    const live = refs.filter((of) => isKept(of) && isLive(service, of));
    const [next, more] = stepEach(state, live, asked(event, 'start'), random);
    [state, effects] = [next, [...effects, ...more]];
  }
  const stopping = state.services[spec.name] ?? service;
  const added = Array.from({ length: Math.max(0, spec.instances - service.instances.length) }, () => FRESH);
  const stoppedByHand = service.stoppedByHand.filter((index) => index < spec.instances);
  const instances = [...stopping.instances, ...added];
  const left = stopping.waiting?.indexes.filter((index) => index < spec.instances) ?? [];
  const waiting = stopping.waiting === null || left.length === 0 ? null : { ...stopping.waiting, indexes: left };
  state = withService(state, { ...stopping, spec, instances, waiting, stoppedByHand, isLeaving: false });
  if (!event.replaces) return [state, effects];
  const again = refs.filter((of) => isKept(of) && service.instances[of.index]?.name === 'backoff');
  const [next, more] = stepEach(state, again, { type: 'start-requested', at, reason }, random);
  return [next, [...effects, ...more]];
}

/** Stopped by the ladder and then forgotten. */
export function removeServices(was: SupervisorState, event: Of<'remove'>, random: number): RootStep {
  let [state, effects] = giveUpRolling(was, event.services, event.reason);
  const refs: InstanceRef[] = [];
  for (const name of event.services) {
    const service = state.services[name];
    if (service === undefined) continue;
    refs.push(...[...service.instances.keys()].map((index) => ({ service: name, index })));
    state = withService(state, { ...service, waiting: null, isLeaving: true });
  }
  const [next, more] = stepEach(state, refs, asked(event, 'stopped'), random);
  return [next, [...effects, ...more]];
}

/** Instances beyond the count, and services that leave, are dropped once they are down; `null` when there is none. */
export function dropGone(was: SupervisorState, among: readonly ServiceState[]): RootStep | null {
  for (const service of among) {
    const { spec, instances, isLeaving, spares } = service;
    const count = isLeaving ? 0 : spec.instances;
    const last = instances.at(-1);
    const index = instances.length - 1;
    if (instances.length > count && last !== undefined && isGone(last) && spares[index] === undefined) {
      const forget: Effect = { do: 'forget', of: { service: spec.name, index, lane: last.lane } };
      return [withService(was, { ...service, instances: instances.slice(0, -1) }), [forget]];
    }
    if (!isLeaving || instances.length > 0) continue;
    const { [spec.name]: _gone, ...services } = was.services;
    return [{ ...was, services }, [{ do: 'forget-service', service: spec.name }]];
  }
  return null;
}

/** Spares that no rolling restart has a use for are stopped, and dropped once they are down; `null` when there is none. */
export function clearSpares(
  was: SupervisorState,
  among: readonly ServiceState[],
  at: number,
  random: number,
): RootStep | null {
  for (const service of among) {
    for (const [key, spare] of Object.entries(service.spares)) {
      const index = Number(key);
      if (service.rolling?.underWay[index]?.how === 'beside') continue;
      const of: Slot = { service: service.spec.name, index, lane: spare.lane };
      if (isGone(spare)) return [withService(was, withoutSpare(service, index)), [{ do: 'forget', of }]];
      if (isGoingDown(spare) || spare.name === 'failed') continue;
      // It has ended by itself, or has failed: nothing needs to be asked of it, it only must not be started again.
      if (spare.name === 'stopping') {
        const spares = { ...service.spares, [index]: { ...spare, next: 'stopped' as const } };
        return [withService(was, { ...service, spares }), []];
      }
      const reason = 'it is not needed any more';
      const moved = stepOne(was, of, asked({ at, reason }, 'stopped'), random);
      if (moved[0] !== was) return moved;
    }
  }
  return null;
}

/** The service without the spare of that index; one that was replaced leaves its last exit to its successor. */
function withoutSpare(service: ServiceState, index: number): ServiceState {
  const { [index]: spare, ...spares } = service.spares;
  const serving = service.instances[index];
  const isSuccessor = serving !== undefined && spare !== undefined && spare.run < serving.run;
  if (!isSuccessor || serving.lastExit !== null) return { ...service, spares };
  return { ...service, spares, instances: service.instances.with(index, { ...serving, lastExit: spare.lastExit }) };
}

/** Down, and nothing of it lives on: what could not be killed is not forgotten. */
export function isGone(instance: InstanceState): boolean {
  return isDown(instance) && !(instance.name === 'failed' && instance.stuckPid !== null);
}

/** A waiting service starts when its dependencies allow it, or fails when they never will. */
export function startWaiting(was: SupervisorState, service: ServiceState, at: number, random: number): RootStep | null {
  const { spec, waiting } = service;
  const conditions = Object.entries(spec.dependsOn).map(([name, condition]) => ({
    name,
    condition,
    status: dependencyStatus(was.services[name], condition),
  }));
  const impossible = conditions.find(({ status }) => status === 'impossible');
  if (!impossible && conditions.some(({ status }) => status === 'open')) return null;
  const event: InstanceEvent = impossible
    ? {
        type: 'dependency-failed',
        at,
        reason: `it depends on ${impossible.name}, which did not get ${impossible.condition}`,
      }
    : { type: 'start-requested', at, reason: waiting?.reason ?? '' };
  let state = withService(was, { ...service, waiting: null });
  const effects: Effect[] = [];
  for (const index of waiting?.indexes ?? []) {
    let more: readonly Effect[];
    [state, more] = stepOne(state, { service: spec.name, index }, event, random);
    effects.push(...more);
  }
  return [state, effects];
}

/** Whether all instances of a dependency have reached the condition, may still, or never will. */
function dependencyStatus(
  service: ServiceState | undefined,
  condition: DependencyCondition,
): 'met' | 'open' | 'impossible' {
  if (!service) return 'met';
  const { instances, waiting } = service;
  if (waiting !== null) return 'open';
  // What was stopped by hand, or is being so, has reached it once and has it no more.
  const isLeft = (instance: InstanceState) =>
    instance.name === 'stopped' || (instance.name === 'stopping' && instance.next === 'stopped');
  const has = (instance: InstanceState) => !isLeft(instance) && instance.reached[condition];
  if (instances.every(has)) return 'met';
  return instances.some((instance) => isDown(instance) && !has(instance)) ? 'impossible' : 'open';
}

/** It runs, or will, and nobody has asked it to stop. */
function isUp(instance: InstanceState | undefined): boolean {
  return instance?.name === 'running' || (instance?.name === 'starting' && instance.stopAsked?.next !== 'stopped');
}

function asked(
  { at, reason }: { readonly at: number; readonly reason: string },
  next: 'stopped' | 'start',
): Extract<InstanceEvent, { type: 'stop-requested' }> {
  return { type: 'stop-requested', at, reason, signal: null, budgetMs: null, next };
}

function isLive({ instances }: ServiceState, { index }: InstanceRef): boolean {
  const name = instances[index]?.name;
  return name === 'starting' || name === 'running' || name === 'stopping';
}
