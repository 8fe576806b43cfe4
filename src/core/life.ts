/** The way up of an instance: started, spawned, ready, ended by itself, backed off, failed. */
import { formatDuration } from './duration.ts';
import type { InstanceEffect } from './effect.ts';
import type { InstanceEvent } from './event.ts';
import { beginRun, byPolicy, fail } from './next.ts';
import type { PhaseRecord } from './record.ts';
import { NO_RESTARTS } from './restart.ts';
import type { ServiceSpec } from './service.ts';
import { type Context, FRESH, type InState, type Life, lifeOf, type Step } from './state.ts';
import { clearAfterExit, stopLive } from './stop.ts';

type Of<E extends InstanceEvent['type']> = Extract<InstanceEvent, { type: E }>;

/** How the reason of a readiness timeout begins. */
export const NOT_READY = 'not ready within ';

/** A start by hand: history is forgotten. Nothing is started beside a process that could not be killed. */
export function start(was: InState<'stopped' | 'exited' | 'failed' | 'backoff'>, event: Of<'start-requested'>): Step {
  if (was.name === 'failed' && was.stuckPid !== null) {
    return [was, [record({ phase: 'notice', level: 'error', reason: `not started: ${was.reason}` })]];
  }
  const fresh: Life = { ...lifeOf(was), restarts: 0, history: NO_RESTARTS, reached: FRESH.reached };
  const [state, effects] = beginRun(fresh, event.at, event.reason);
  return [state, was.name === 'backoff' ? [{ do: 'disarm', timer: 'backoff' }, ...effects] : effects];
}

export function spawned(was: InState<'starting'>, event: Of<'spawned'>, context: Context): Step {
  const { ready } = context.spec;
  const check = ready === null ? {} : { check: ready.check.kind };
  const reason = was.startedBy == null ? {} : { reason: was.startedBy };
  const told = record({ phase: 'spawned', pid: event.pid, command: event.command, ...check, ...reason });
  const live = { ...was, pid: event.pid, reached: { ...was.reached, started: true } };
  if (was.stopAsked) return stopLive(live, { ...was.stopAsked, type: 'stop-requested' }, context, [told]);
  if (ready === null) return becomeReady(live, event.at, '', context, [told]);
  return [
    { ...live, readyBy: event.at + ready.timeoutMs },
    [told, { do: 'check-ready', run: was.run }, { do: 'arm', run: was.run, timer: 'ready', ms: ready.timeoutMs }],
  ];
}

/** It could not be started (in `failed`: the process that could not be killed is gone at last). */
export function refused(
  was: InState<'starting' | 'failed'>,
  event: Of<'spawn-failed'> | Of<'exited'>,
  context: Context,
): Step {
  if (event.type === 'exited' || was.name === 'failed') {
    return was.name === 'failed' ? [{ ...was, stuckPid: null }, [{ do: 'release', run: was.run }]] : [was, []];
  }
  const release: InstanceEffect = { do: 'release', run: was.run };
  if (was.stopAsked?.next === 'stopped') {
    const told = record({ phase: 'stopped', verdict: 'clean', graceMs: 0, graceUsed: 0, reason: event.reason });
    return [{ ...lifeOf(was), name: 'stopped' }, [release, told]];
  }
  if (was.stopAsked?.next === 'start') {
    const [state, begun] = beginRun(lifeOf(was), event.at, was.stopAsked.reason);
    return [state, [release, ...begun]];
  }
  const { at, reason: cause, exitStatus } = event;
  if (typeof exitStatus === 'number') return fail(was, cause, exitStatus, [release]);
  const isShortage = exitStatus === 'shortage';
  return byPolicy(was, { at, ranMs: 0, cause, isFailure: true, isShortage }, context, [release]);
}

export function gotReady(was: InState<'starting'>, event: Of<'ready'>, context: Context): Step {
  if (was.pid === null) return [was, []];
  return becomeReady({ ...was, pid: was.pid }, event.at, event.by, context, [{ do: 'disarm', timer: 'ready' }]);
}

/** The readiness timeout: a failed start, stopped by the ladder, then as the restart policy says. */
export function notReady(was: InState<'starting'>, event: Of<'timed-out'>, context: Context): Step {
  if (event.timer !== 'ready' || was.pid === null) return [was, []];
  const { pid } = was;
  const ready = context.spec.ready;
  const timeoutMs = ready?.timeoutMs ?? 0;
  const waited = formatDuration(was.isExtended ? event.at - was.startedAt : timeoutMs);
  const failure = `${NOT_READY}${waited}${was.checkSays === null ? '' : `: ${was.checkSays}`}`;
  const told = record({
    phase: 'ready-timeout',
    level: 'error',
    pid,
    elapsedMs: event.at - was.startedAt,
    reason: `${ready?.check.kind ?? 'no check'}${was.checkSays === null ? '' : `: ${was.checkSays}`}`,
  });
  const asked = {
    type: 'stop-requested',
    at: event.at,
    reason: failure,
    signal: null,
    budgetMs: null,
    next: 'stopped',
  } as const;
  return stopLive({ ...was, pid }, asked, context, [told], failure);
}

export function exitedByItself(was: InState<'starting' | 'running'>, event: Of<'exited'>, context: Context): Step {
  if (was.pid === null) return [was, []];
  return clearAfterExit({ ...was, pid: was.pid }, event, context);
}

/** Its liveness check has given up on it: a failure, stopped by the ladder, then as the restart policy says. */
export function unhealthy(was: InState<'running'>, event: Of<'unhealthy'>, context: Context): Step {
  const { at, reason } = event;
  const asked = { type: 'stop-requested', at, reason, signal: null, budgetMs: null, next: 'stopped' } as const;
  return stopLive(was, asked, context, [], reason);
}

/** Liveness is asked of what is ready, where it is wanted. */
export function checkLive(spec: ServiceSpec, run: number): readonly InstanceEffect[] {
  return spec.live === null ? [] : [{ do: 'check-live', run }];
}

export function backedOff(was: InState<'backoff'>, event: Of<'timed-out'>): Step {
  if (event.timer !== 'backoff') return [was, []];
  return beginRun({ ...lifeOf(was), restarts: was.restarts + 1 }, event.at);
}

export function dependencyFailed(was: InState<'stopped' | 'exited'>, event: Of<'dependency-failed'>): Step {
  return fail(was, event.reason, null, []);
}

function becomeReady(
  was: InState<'starting'> & { pid: number },
  at: number,
  by: string,
  { spec }: Context,
  effects: readonly InstanceEffect[],
): Step {
  const { pid, startedAt, forwarded } = was;
  const reached = { ...was.reached, ready: true };
  const reason = by === '' ? {} : { reason: by };
  const told = record({
    phase: 'ready',
    level: by === '' ? 'debug' : 'info',
    pid,
    elapsedMs: at - startedAt,
    ...reason,
  });
  return [
    { ...lifeOf(was), reached, name: 'running', pid, startedAt, forwarded },
    [...effects, told, ...checkLive(spec, was.run)],
  ];
}

function record(record: PhaseRecord): InstanceEffect {
  return { do: 'record', record };
}
