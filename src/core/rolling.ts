/** The rolling restart of a service: which instance is replaced next, when the new one takes over, and when it is given up. */

import { canReplaceInPlace, canSpareOne } from './availability.ts';
import { formatDuration } from './duration.ts';
import type { Effect } from './effect.ts';
import type { InstanceEvent, InstanceRef, SupervisorEvent } from './event.ts';
import { instanceName } from './name.ts';
import { beginRun } from './next.ts';
import { differingKeys } from './plan.ts';
import { describeExit } from './record.ts';
import { isGone } from './request.ts';
import { NO_RESTARTS } from './restart.ts';
import { abort, type Context, complete, endAborted, failureAfterwards, isStuck } from './rolling-end.ts';
import {
  placeKey,
  type Rolling,
  type RollingStep,
  type RootStep,
  record,
  type ServiceState,
  type SupervisorState,
  specAt,
  stepOne,
  withService,
} from './root-state.ts';
import { FRESH, type InstanceState, isDown, pidOf } from './state.ts';

type Roll = Extract<SupervisorEvent, { type: 'roll' }>;

/** Begins one; nothing while the service has one, or everything stops. */
export function beginRolling(was: SupervisorState, event: Roll): RootStep {
  const service = was.services[event.service];
  if (service === undefined || service.isLeaving || service.rolling !== null || was.shutdown !== null) return [was, []];
  const target = event.spec ?? service.spec;
  const count = Math.min(service.spec.instances, target.instances, service.instances.length);
  const pending = [...service.instances.keys()].filter(
    (index) =>
      index < count &&
      (event.indexes?.includes(index) ?? true) &&
      !service.stoppedByHand.includes(index) &&
      service.waiting?.indexes.includes(index) !== true,
  );
  const rolling: Rolling = {
    reason: event.reason,
    startedAt: event.at,
    target,
    isChange: event.isChange === true || differingKeys(service.spec, target).length > 0,
    isBack: false,
    steps: pending.length,
    pending,
    underWay: {},
    done: [],
    onTarget: [],
    aborted: null,
  };
  const instances = pending.map((index) => instanceName(service.spec.name, index));
  const told = record({ phase: 'rolling-started', service: service.spec.name, reason: event.reason, instances });
  return [withService(was, { ...service, rolling }), [told]];
}

/** A timer or a new supervisor has news of an instance that settles. */
export function settling(was: SupervisorState, of: InstanceRef, event: InstanceEvent): RootStep {
  const service = was.services[of.service];
  const step = service?.rolling?.underWay[of.index];
  if (service === undefined || step?.stage !== 'settling') return [was, []];
  const coming = comingOf(service, of.index, step);
  if (coming === undefined || coming.lane !== (of.lane ?? coming.lane)) return [was, []];
  if (event.type === 'restored') return [was, [armSettled(service, of.index, coming)]];
  if (event.type !== 'timed-out' || event.timer !== 'settled' || event.run !== coming.run) return [was, []];
  return [withStep(was, service, of.index, { ...step, stage: 'settled' }), []];
}

/**
 * The next move of a rolling restart, or `null` when there is none now: what has come takes over, what has failed ends
 * it, the next one begins, the end is told.
 */
export function advanceRolling(
  was: SupervisorState,
  service: ServiceState,
  at: number,
  random: number,
): RootStep | null {
  const { rolling } = service;
  if (rolling === null) return null;
  const context: Context = { service, rolling, at, random };
  for (const [key, step] of Object.entries(rolling.underWay)) {
    const moved = advanceStep(was, context, Number(key), step);
    if (moved !== null) return moved;
  }
  const failed = rolling.aborted === null ? failureAfterwards(context) : null;
  if (failed !== null) return abort(was, context, failed.index, failed.reason);
  const isIdle = Object.keys(rolling.underWay).length === 0;
  if (rolling.aborted !== null)
    return isIdle && !hasDoomedSpare(service) ? endAborted(was, context, rolling.aborted) : null;
  const begun = beginStep(was, context);
  if (begun !== null) return begun;
  return isIdle && rolling.pending.length === 0 ? complete(was, context) : null;
}

/** The ladder of a rolling restart, one index: coming → settling → settled → (leaving) → done. */
function advanceStep(was: SupervisorState, context: Context, index: number, step: RollingStep): RootStep | null {
  const { service } = context;
  const coming = comingOf(service, index, step);
  if (step.stage === 'leaving') {
    const leaving = service.spares[index];
    return leaving === undefined || isDown(leaving) ? finishStep(was, context, index) : null;
  }
  if (coming === undefined) return abort(was, context, index, 'it is not there any more');
  const isNew = step.how === 'beside' || coming.run > step.runBefore;
  if (!isNew && coming.name === 'failed') return abort(was, context, index, coming.reason);
  if (!isNew) return coming.name === 'stopped' ? dropStep(was, context, index) : null;
  const failure = failureOf(coming);
  if (failure !== null) return abort(was, context, index, failure);
  if (step.stage === 'coming') return coming.name === 'starting' ? null : settle(was, context, index, step, coming);
  if (step.stage === 'settling') return null;
  return step.how === 'in-place' ? finishStep(was, context, index) : takeOver(was, context, index, step);
}

/** It is ready: now it has to stay so. */
function settle(
  was: SupervisorState,
  context: Context,
  index: number,
  step: RollingStep,
  coming: InstanceState,
): RootStep {
  const { service, rolling } = context;
  const hasCompleted = coming.name === 'exited';
  if (rolling.target.rolling.minReadyMs === 0 || hasCompleted)
    return [withStep(was, service, index, { ...step, stage: 'settled' }), []];
  return [withStep(was, service, index, { ...step, stage: 'settling' }), [armSettled(service, index, coming)]];
}

/** The new run has the place now, and the old one leaves by the ladder; not while too few would be left. */
function takeOver(was: SupervisorState, context: Context, index: number, step: RollingStep): RootStep | null {
  const { service, rolling, at, random } = context;
  const coming = service.spares[index];
  const serving = service.instances[index];
  if (coming === undefined || serving === undefined) return null;
  if (serving.name === 'running' && !canSpareOne(service, rolling)) return null;
  const swapped: ServiceState = {
    ...service,
    instances: service.instances.with(index, coming),
    spares: { ...service.spares, [index]: serving },
  };
  const state = withStep(was, swapped, index, { ...step, stage: 'leaving' });
  const stays = rolling.target.rolling.minReadyMs;
  const was_ = pidOf(serving);
  const reason = `${pidOf(coming) ?? 'the new run'} is ready${stays > 0 ? ` and has been for ${formatDuration(stays)}` : ''}; ${was_ === null ? 'nothing has to leave' : `${was_} leaves`}`;
  const told = stepRecord(context, index, reason, pidOf(coming));
  const of = { service: service.spec.name, index, lane: serving.lane };
  const [next, effects] = stepOne(state, of, stopRequest(at, 'stopped', rolling.reason), random);
  return [next, [told, ...effects]];
}

/** The next index that may be replaced now: what is down at once, others as surge and availability allow. */
function beginStep(was: SupervisorState, context: Context): RootStep | null {
  const { service, rolling } = context;
  const { maxSurge } = rolling.target.rolling;
  const isIdle = (index: number) => {
    const instance = service.instances[index];
    return instance !== undefined && (isDown(instance) || instance.name === 'backoff');
  };
  const order = [...rolling.pending].sort((a, b) => Number(isIdle(b)) - Number(isIdle(a)) || a - b);
  // Also what an earlier one has left and is still on its way out.
  const beside = Object.values(service.spares).filter((spare) => !isStuck(spare)).length;
  for (const index of order) {
    const instance = service.instances[index];
    if (instance === undefined || service.stoppedByHand.includes(index)) return dropPending(was, service, index);
    if (isStuck(instance)) return abort(was, context, index, `process ${instance.stuckPid} can't be killed`);
    if (isIdle(index)) return startInPlace(was, context, index, instance);
    if (instance.name === 'stopping') continue;
    const spare = service.spares[index];
    if (spare !== undefined && !isStuck(spare)) continue;
    if (spare !== undefined) return abort(was, context, index, "a process of an earlier run can't be killed");
    if (beside < maxSurge) return startBeside(was, context, index, instance);
    if (instance.name !== 'running' || canReplaceInPlace(service, rolling))
      return replaceInPlace(was, context, index, instance);
  }
  return null;
}

function startBeside(was: SupervisorState, context: Context, index: number, serving: InstanceState): RootStep {
  const { service, at } = context;
  const lane = serving.lane === 0 ? 1 : 0;
  const life = { ...FRESH, lane, run: serving.run, restarts: serving.restarts + 1, history: NO_RESTARTS } as const;
  const [coming, effects] = beginRun(life, at);
  const begun = begin(service, index, { how: 'beside', serving, lane });
  const state = withService(was, { ...begun, spares: { ...service.spares, [index]: coming } });
  const told = stepRecord(
    context,
    index,
    `a new run starts beside ${pidOf(serving) ?? 'the one that is starting'}`,
    null,
  );
  const of = { service: service.spec.name, index, lane } as const;
  return [state, [told, ...effects.map((effect): Effect => ({ do: 'for', of, effect }))]];
}

function startInPlace(was: SupervisorState, context: Context, index: number, instance: InstanceState): RootStep {
  const { service, rolling, at, random } = context;
  const state = withService(was, begin(service, index, { how: 'in-place', serving: instance, lane: instance.lane }));
  const told = stepRecord(context, index, `it is ${instance.name}, a new run starts`, null);
  const asked: InstanceEvent = { type: 'start-requested', at, reason: rolling.reason };
  const [next, effects] = stepOne(state, { service: service.spec.name, index }, asked, random);
  return [next, [told, ...effects]];
}

/** It stops under the spec that it knows, and begins anew under the target. */
function replaceInPlace(was: SupervisorState, context: Context, index: number, serving: InstanceState): RootStep {
  const { service, rolling, at, random } = context;
  const of = { service: service.spec.name, index };
  const [stopping, effects] = stepOne(was, of, stopRequest(at, 'start', rolling.reason), random);
  const asked = stopping.services[service.spec.name] ?? service;
  const state = withService(stopping, begin(asked, index, { how: 'in-place', serving, lane: serving.lane }));
  const told = stepRecord(
    context,
    index,
    `${pidOf(serving) ?? 'the one that is starting'} leaves, a new run takes its place`,
    pidOf(serving),
  );
  return [state, [told, ...effects]];
}

type Begun = { readonly how: RollingStep['how']; readonly serving: InstanceState; readonly lane: 0 | 1 };

/** The service with that index under way, its place marked with the spec that it gets. */
function begin(service: ServiceState, index: number, { how, serving, lane }: Begun): ServiceState {
  const { rolling } = service;
  if (rolling === null) return service;
  const key = placeKey(index, lane);
  const others = rolling.onTarget.filter((place) => place !== key);
  const step: RollingStep = { how, stage: 'coming', runBefore: serving.run, pidBefore: pidOf(serving) };
  return {
    ...service,
    rolling: {
      ...rolling,
      pending: rolling.pending.filter((one) => one !== index),
      underWay: { ...rolling.underWay, [index]: step },
      onTarget: rolling.isBack ? others : [...others, key],
    },
  };
}

function finishStep(was: SupervisorState, { service, rolling }: Context, index: number): RootStep {
  const { [index]: _over, ...underWay } = rolling.underWay;
  return [withService(was, { ...service, rolling: { ...rolling, underWay, done: [...rolling.done, index] } }), []];
}

/** Nothing came of it, and nothing is wrong: somebody stopped it. */
function dropStep(was: SupervisorState, { service, rolling }: Context, index: number): RootStep {
  const { [index]: _over, ...underWay } = rolling.underWay;
  return [withService(was, { ...service, rolling: { ...rolling, underWay, steps: rolling.steps - 1 } }), []];
}

function dropPending(was: SupervisorState, service: ServiceState, index: number): RootStep {
  const { rolling } = service;
  if (rolling === null) return [was, []];
  const pending = rolling.pending.filter((one) => one !== index);
  return [withService(was, { ...service, rolling: { ...rolling, pending, steps: rolling.steps - 1 } }), []];
}

/** Why a new run did not come up; `null`: it may still, or has. */
function failureOf(instance: InstanceState): string | null {
  switch (instance.name) {
    case 'starting':
      return instance.stopAsked === null ? null : 'it was stopped';
    case 'running':
      return null;
    case 'exited':
      return instance.reached.completed ? null : exitOf(instance);
    case 'stopping':
      return instance.failure ?? (instance.exit === null ? 'it was stopped' : describeExit(instance.exit));
    case 'failed':
    case 'backoff':
      return instance.reason;
    case 'stopped':
      return 'it was stopped';
  }
}

/** A spare that is on its way out and still there. */
function hasDoomedSpare(service: ServiceState): boolean {
  return Object.values(service.spares).some((spare) => !isGone(spare) && spare.name !== 'failed');
}

function comingOf(service: ServiceState, index: number, { how }: RollingStep): InstanceState | undefined {
  return how === 'beside' ? service.spares[index] : service.instances[index];
}

function withStep(was: SupervisorState, service: ServiceState, index: number, step: RollingStep): SupervisorState {
  const { rolling } = service;
  if (rolling === null) return was;
  return withService(was, { ...service, rolling: { ...rolling, underWay: { ...rolling.underWay, [index]: step } } });
}

function armSettled(service: ServiceState, index: number, { run, lane }: InstanceState): Effect {
  const ms = specAt(service, index, lane).rolling.minReadyMs;
  const of = { service: service.spec.name, index, lane };
  return { do: 'for', of, effect: { do: 'arm', run, timer: 'settled', ms } };
}

function stepRecord({ service, rolling }: Context, index: number, reason: string, pid: number | null): Effect {
  const step = rolling.done.length + Object.keys(rolling.underWay).length + (index in rolling.underWay ? 0 : 1);
  const instance = instanceName(service.spec.name, index);
  const { steps } = rolling;
  return record({ phase: 'rolling-step', service: service.spec.name, instance, pid, step, steps, reason });
}

function stopRequest(at: number, next: 'stopped' | 'start', reason: string): InstanceEvent {
  return { type: 'stop-requested', at, reason, signal: null, budgetMs: null, next };
}

function exitOf({ lastExit }: InstanceState): string {
  return lastExit === null ? 'it ended' : describeExit(lastExit);
}
