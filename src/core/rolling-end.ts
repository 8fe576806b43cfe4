/** How a rolling restart ends: it is complete, or given up, and what had changed goes back to what it was. */
import { formatDuration } from './duration.ts';
import type { Effect } from './effect.ts';
import type { InstanceEvent } from './event.ts';
import { type InstanceName, instanceName } from './name.ts';
import { defineService } from './request.ts';
import {
  isOnTarget,
  placeKey,
  type Rolling,
  type RootStep,
  record,
  type ServiceState,
  type SupervisorState,
  stepOne,
  withService,
} from './root-state.ts';
import type { InState, InstanceState } from './state.ts';

/** What one is about, at one moment. */
export type Context = {
  readonly service: ServiceState;
  readonly rolling: Rolling;
  readonly at: number;
  readonly random: number;
};

/** What has not taken over goes; what serves, stays. One that was replaced in place gets its old spec again. */
export function abort(was: SupervisorState, context: Context, failed: number, reason: string): RootStep {
  const { service, rolling, at, random } = context;
  const leaving = Object.entries(rolling.underWay).filter(([, { stage }]) => stage === 'leaving');
  const inPlace = Object.entries(rolling.underWay).filter(([, { how }]) => how === 'in-place');
  const instance = nameOf(context, failed);
  const aborted = rolling.aborted ?? `${instance}: ${reason}`;
  const given = { ...rolling, aborted, pending: [], underWay: Object.fromEntries(leaving) };
  const told: Effect[] =
    rolling.aborted === null
      ? [record({ phase: 'rolling-aborted', level: 'error', service: service.spec.name, instance, reason })]
      : [];
  let state = withService(was, { ...service, rolling: given });
  const effects: Effect[] = [...told];
  for (const [key] of inPlace) {
    const [next, more] = backInPlace(state, context, Number(key), { at, random });
    state = next;
    effects.push(...more);
  }
  return [state, effects];
}

/** What came in place and failed is tried again with the spec of before; where nothing has changed its policy goes on. */
function backInPlace(
  was: SupervisorState,
  { rolling }: Context,
  index: number,
  { at, random }: { readonly at: number; readonly random: number },
): RootStep {
  const service = was.services[rolling.target.name];
  const instance = service?.instances[index];
  if (service?.rolling == null || instance === undefined) return [was, []];
  const key = placeKey(index, instance.lane);
  const isUp = instance.name === 'running' || instance.name === 'starting';
  if (isUp || isStuck(instance) || !rolling.isChange || rolling.isBack) {
    const done = [...service.rolling.done, index];
    return [withService(was, { ...service, rolling: { ...service.rolling, done } }), []];
  }
  const onTarget = service.rolling.onTarget.filter((place) => place !== key);
  const state = withService(was, { ...service, rolling: { ...service.rolling, onTarget } });
  const asked: InstanceEvent = { type: 'start-requested', at, reason: 'the rolling restart was given up' };
  return stepOne(state, { service: service.spec.name, index }, asked, random);
}

/** Nothing of it is under way any more: what has become another spec goes back, or that was it. */
export function endAborted(was: SupervisorState, { service, rolling }: Context, reason: string): RootStep {
  const name = service.spec.name;
  const changed = rolling.done.filter((index) => servesTarget(service, index));
  if (!rolling.isChange || rolling.isBack || changed.length === 0)
    return [withService(was, { ...service, rolling: null }), [{ do: 'revert-spec', service: name }]];
  const back: Rolling = {
    ...rolling,
    isBack: true,
    aborted: null,
    steps: changed.length,
    pending: changed,
    done: [],
    reason: 'the rolling restart was given up',
  };
  const instances = changed.map((index) => instanceName(name, index));
  const told = record({
    phase: 'rolling-started',
    level: 'warn',
    service: name,
    reason: `back to what it was: ${reason}`,
    instances,
  });
  return [withService(was, { ...service, rolling: back }), [told]];
}

export function complete(was: SupervisorState, { service, rolling, at, random }: Context): RootStep {
  const name = service.spec.name;
  const elapsedMs = at - rolling.startedAt;
  const state = withService(was, { ...service, rolling: null });
  if (rolling.isBack) {
    const reason = `as it was before, in ${formatDuration(elapsedMs)}`;
    const told = record({ phase: 'notice', level: 'warn', service: name, reason });
    return [state, [told, { do: 'revert-spec', service: name }]];
  }
  const told = record({ phase: 'rolling-completed', service: name, elapsedMs, reason: rolling.reason });
  const defined = { type: 'define', at, spec: rolling.target, reason: rolling.reason, replaces: false } as const;
  const [next, effects] = defineService(state, defined, random);
  return [next, [told, ...effects]];
}

/** A replaced instance that has failed since: the new version is no good after all. */
export function failureAfterwards({
  service,
  rolling,
}: Context): { readonly index: number; readonly reason: string } | null {
  if (rolling.isBack) return null;
  for (const index of rolling.done) {
    const instance = service.instances[index];
    if (instance === undefined || !servesTarget(service, index)) continue;
    if (instance.name === 'backoff' || instance.name === 'failed')
      return { index, reason: `it came up and then failed: ${instance.reason}` };
  }
  return null;
}

function servesTarget(service: ServiceState, index: number): boolean {
  const instance = service.instances[index];
  return instance !== undefined && isOnTarget(service, index, instance.lane);
}

/** What SIGKILL did not end. */
export function isStuck(instance: InstanceState): instance is InState<'failed'> & { stuckPid: number } {
  return instance.name === 'failed' && instance.stuckPid !== null;
}

function nameOf({ service }: Context, index: number): InstanceName {
  return instanceName(service.spec.name, index);
}
