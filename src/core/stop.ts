/** The way down of an instance: it climbs the ladder with one rule, from the request, or from its own exit. */
import type { InstanceEffect } from './effect.ts';
import type { InstanceEvent } from './event.ts';
import { findKiller } from './killer.ts';
import { ceiling, fitStop, nextRung, type Rung, type Standing, stopLadder, WARN_AT } from './ladder.ts';
import { exitRecord, lastExit, wasPassedOn } from './leader-exit.ts';
import { appPhaseRecord, describeExit, type PhaseRecord, undying } from './record.ts';
import { type Context, type InState, lifeOf, type Step, type Stopping } from './state.ts';
import { giveUp, reachTop } from './stop-end.ts';

type Of<E extends InstanceEvent['type']> = Extract<InstanceEvent, { type: E }>;
type LiveState = InState<'running'> | (InState<'starting'> & { readonly pid: number });

/** The rule: enter the next needed rung; at the top, say the verdict and settle. */
function climb(was: Stopping, at: number, context: Context, before: readonly InstanceEffect[] = []): Step {
  const rung = nextRung(stopLadder(was.stop), was.rung, standing(was, at));
  return rung === null ? reachTop(was, at, context, before) : enter({ ...was, rung: rung.name }, rung, at, before);
}

/** A stop of a live instance. `failure` makes it a failed start, which the restart policy judges afterwards. */
export function stopLive(
  was: LiveState,
  event: Of<'stop-requested'>,
  context: Context,
  before: readonly InstanceEffect[] = [],
  failure: string | null = null,
): Step {
  const stopping = beginStop(was, event, context, failure);
  return enterFirst(stopping, event.at, context, [
    ...before,
    ...endChecks(was),
    requested(stopping, event.reason, event.at),
  ]);
}

/** A stop of an instance whose process is perhaps not there yet. */
export function stopBeforeSpawn(was: InState<'starting'>, event: Of<'stop-requested'>, context: Context): Step {
  if (was.pid !== null) return stopLive({ ...was, pid: was.pid }, event, context);
  // A stop that was asked is never undone by a restart.
  if (was.stopAsked?.next === 'stopped') return [was, []];
  const { at, reason, signal, budgetMs, next } = event;
  return [{ ...was, stopAsked: { at, reason, signal, budgetMs, next } }, []];
}

/** A stop of what doesn't run: it is down at once, and no restart will undo it. */
export function stopIdle(was: InState<'exited' | 'failed' | 'backoff'>, event: Of<'stop-requested'>): Step {
  if (was.name === 'failed' && was.stuckPid !== null) return [was, []];
  const disarm: InstanceEffect[] = was.name === 'backoff' ? [{ do: 'disarm', timer: 'backoff' }] : [];
  const told: InstanceEffect[] =
    was.name === 'backoff'
      ? [
          record({ phase: 'stop-requested', reason: event.reason, graceMs: 0 }),
          record({ phase: 'stopped', verdict: 'clean', graceMs: 0, graceUsed: 0 }),
        ]
      : [];
  return [{ ...lifeOf(was), name: 'stopped' }, [...disarm, ...told]];
}

/** Asked again while stopping: it is a stop by hand from now on, and the sooner deadline counts. */
export function askedAgain(was: Stopping, event: Of<'stop-requested'>, context: Context): Step {
  const next = event.next === 'stopped' ? 'stopped' : was.next;
  if (was.isAsked) return hurried({ ...was, next }, event, context);
  const asked: Stopping = { ...was, next, isAsked: true, askedAt: event.at, reason: event.reason };
  return hurried(asked, event, context, [requested(asked, event.reason, event.at)]);
}

/** Started again while it still stops: it begins anew once it is down. */
export function startAfterStop(was: Stopping): Step {
  return [{ ...was, next: 'start', failure: null, isFinal: false }, []];
}

/** Started again while the stop that was asked waits for the process: it begins anew after that stop. */
export function startBeforeSpawn(was: InState<'starting'>): Step {
  return [was.stopAsked === null ? was : { ...was, stopAsked: { ...was.stopAsked, next: 'start' } }, []];
}

/** A second SIGINT: what is not hard is skipped. */
export function forced(was: Stopping, event: Of<'forced'>, context: Context): Step {
  if (was.isForced) return [was, []];
  const state = { ...was, isForced: true };
  const rung = stopLadder(was.stop).find(({ name }) => name === was.rung);
  return rung === undefined || rung.isHard ? [state, []] : climb(state, event.at, context, leave(was));
}

export function hookEnded(was: Stopping, event: Of<'hook-ended'>, context: Context): Step {
  if (was.rung !== 'pre-stop') return [was, []];
  const told: InstanceEffect[] =
    event.reason === null ? [] : [record({ phase: 'notice', level: 'warn', reason: `pre-stop hook: ${event.reason}` })];
  return climb(was, event.at, context, [{ do: 'disarm', timer: 'rung' }, ...told]);
}

export function leaderExited(was: Stopping, event: Of<'exited'>, context: Context): Step {
  if (was.exit !== null) return [was, []];
  const isOurs =
    event.signal !== null &&
    ((was.hasKilled && event.signal === 'SIGKILL') || (was.signalledAt !== null && event.signal === was.signal));
  const exit = lastExit(event, isOurs ? 'gsup' : 'outside');
  const state: Stopping = { ...was, exit, rung: beforeExited(was) };
  return climb(state, event.at, context, [...leave(was), exitRecord(state, event.at), ...findKiller(state)]);
}

/** What outlived the leader: the answer of the first look, or a change while their grace lasts. */
export function survivorsFound(was: Stopping, event: Of<'survivors-found'>, context: Context): Step {
  const state = { ...was, survivors: event.survivors };
  return was.rung === 'exited' ? climb(state, event.at, context, [{ do: 'disarm', timer: 'rung' }]) : [state, []];
}

export function groupEmptied(was: Stopping, event: Of<'group-emptied'>, context: Context): Step {
  if (was.rung !== 'survivors-signalled' && was.rung !== 'survivors-killed') return [was, []];
  return climb({ ...was, survivors: [] }, event.at, context, [{ do: 'disarm', timer: 'rung' }]);
}

export function logsEnded(was: Stopping, event: Of<'logs-ended'>, context: Context): Step {
  if (was.rung !== 'logs-drained') return [was, []];
  const told = record({ phase: 'logs-drained', pid: was.pid, isComplete: true });
  return climb(was, event.at, context, [{ do: 'disarm', timer: 'rung' }, told]);
}

export function warned(was: Stopping, event: Of<'timed-out'>, _context: Context): Step {
  if (was.rung !== 'signal-sent' || was.deadline === null) return [was, []];
  const elapsedMs = event.at - (was.signalledAt ?? was.askedAt);
  const remainingMs = Math.max(0, was.deadline - event.at);
  const told = record({
    phase: 'grace-warning',
    level: 'warn',
    pid: was.pid,
    graceMs: was.stop.graceMs,
    elapsedMs,
    remainingMs,
  });
  // What is left of the grace period is for the answer: it is told with the SIGKILL, if that comes.
  return [was, [told, { do: 'ask-app', run: was.run }]];
}

/** What the app says of its own half: told, and kept for the case that it has to be killed. */
export function appToldInStop(was: Stopping, event: Of<'app-told'>): Step {
  const { appPhase, pending } = event;
  return [{ ...was, appSays: { appPhase, pending } }, [record(appPhaseRecord({ ...event, pid: was.pid }))]];
}

/** The ceiling of a rung is reached. */
export function rungTimedOut(was: Stopping, event: Of<'timed-out'>, context: Context): Step {
  if (event.timer !== 'rung') return [was, []];
  if (was.rung === 'kill-sent') return giveUp(was, undying([was.pid]));
  if (was.rung === 'survivors-killed') {
    const alive = was.survivors.map(({ pid }) => pid);
    const reason = undying(alive);
    return climb({ ...was, survivors: [], alive }, event.at, context, [
      record({ phase: 'stuck', level: 'error', reason }),
    ]);
  }
  if (was.rung === 'logs-drained') {
    const reason = 'another process';
    const told = record({ phase: 'logs-drained', level: 'warn', pid: was.pid, isComplete: false, reason });
    return climb(was, event.at, context, [told]);
  }
  return climb(was, event.at, context, leave(was));
}

/** A run that ended by itself is cleared of survivors on the same rungs before anything else happens. */
export function clearAfterExit(was: LiveState, event: Of<'exited'>, context: Context): Step {
  const stop = context.spec.stop;
  const signal = stop.signal ?? 'SIGTERM';
  const state: Stopping = {
    ...lifeOf(was),
    name: 'stopping',
    pid: was.pid,
    startedAt: was.startedAt,
    forwarded: was.forwarded,
    rung: 'kill-sent',
    isAsked: false,
    askedAt: event.at,
    reason: 'it ended by itself',
    stop,
    signal,
    signalledAt: event.at,
    deadline: event.at + stop.graceMs,
    latest: null,
    appSays: null,
    exit: lastExit(event, event.signal === null ? 'self' : 'outside'),
    survivors: [],
    hasKilled: false,
    isForced: false,
    next: 'policy',
    failure: was.name === 'starting' ? 'ended before it was ready' : null,
    // SIGPIPE: the reader of its output is gone, and would be gone for the next run too.
    isFinal: event.signal === 'SIGPIPE' || wasPassedOn(was, event.signal),
  };
  const failure = state.failure === null ? null : `${describeExit(event)} before it was ready`;
  const isDone = event.code !== null && context.spec.restart.successExitCodes.includes(event.code);
  const told: Stopping = { ...state, failure: isDone ? null : failure };
  return climb(told, event.at, context, [...endChecks(was), exitRecord(told, event.at), ...findKiller(told)]);
}

function beginStop(was: LiveState, event: Of<'stop-requested'>, context: Context, failure: string | null): Stopping {
  const stop = fitStop(context.spec.stop, event.budgetMs);
  return {
    ...lifeOf(was),
    name: 'stopping',
    pid: was.pid,
    startedAt: was.startedAt,
    forwarded: was.forwarded,
    rung: 'draining',
    isAsked: true,
    askedAt: event.at,
    reason: event.reason,
    stop,
    signal: stop.signal ?? event.signal ?? 'SIGTERM',
    signalledAt: null,
    deadline: null,
    latest: event.budgetMs === null ? null : event.at + event.budgetMs,
    appSays: null,
    exit: null,
    survivors: [],
    hasKilled: false,
    isForced: false,
    next: failure === null ? event.next : 'policy',
    failure,
    isFinal: false,
  };
}

function enterFirst(was: Stopping, at: number, context: Context, before: readonly InstanceEffect[]): Step {
  const rung = nextRung(stopLadder(was.stop), null, standing(was, at));
  return rung === null ? reachTop(was, at, context, before) : enter({ ...was, rung: rung.name }, rung, at, before);
}

/** The rung where it stands, entered once more: a new supervisor doesn't know how far the one before it came. */
export function reenter(was: Stopping, at: number, context: Context, before: readonly InstanceEffect[]): Step {
  const rung = stopLadder(was.stop).find(({ name }) => name === was.rung);
  if (rung === undefined || rung.name === 'pre-stop') return climb(was, at, context, before);
  return enter(was, rung, at, before);
}

/** What each rung does when it is entered; first the deed, then its record. */
function enter(was: Stopping, rung: Rung, at: number, before: readonly InstanceEffect[]): Step {
  const { run, pid, stop, signal } = was;
  const atMost = ceiling(rung, standing(was, at));
  const arm: InstanceEffect = { do: 'arm', run, timer: 'rung', ms: atMost };
  const base = { pid, graceMs: stop.graceMs };
  switch (rung.enter) {
    case 'nothing':
      return [was, [...before, record({ phase: 'draining', pid, remainingMs: atMost }), arm]];
    case 'run-hook': {
      const command = stop.preStop?.argv.join(' ') ?? '';
      return [was, [...before, { do: 'run-hook', run }, record({ phase: 'pre-stop', pid, command }), arm]];
    }
    case 'signal':
      return sendSignal(was, at, before);
    case 'kill': {
      const target = stop.killMode === 'leader' ? 'leader' : 'group';
      const reason = was.isForced ? 'cut short by a second SIGINT' : 'grace period over';
      const elapsedMs = at - (was.signalledAt ?? was.askedAt);
      const told = record({
        phase: 'kill-sent',
        level: 'warn',
        ...base,
        signal: 'SIGKILL',
        target,
        reason,
        elapsedMs,
        ...pendingOf(was),
      });
      return [{ ...was, hasKilled: true }, [...before, { do: 'signal', run, signal: 'SIGKILL', target }, told, arm]];
    }
    case 'find-survivors':
      return [was, [...before, { do: 'find-survivors', run }, arm]];
    case 'signal-survivors': {
      const survivors = was.survivors.map(({ pid, command }) => ({ pid, command }));
      const hasGroupIt = was.isAsked && stop.killMode === 'group';
      const told = record({
        phase: 'survivors-signalled',
        level: 'warn',
        ...base,
        signal,
        survivors,
        remainingMs: atMost,
      });
      return [was, [...before, { do: 'signal-survivors', run, signal, hasGroupIt }, told, arm]];
    }
    case 'kill-survivors': {
      const survivors = was.survivors.map(({ pid, command }) => ({ pid, command }));
      const told = record({ phase: 'survivors-killed', level: 'warn', ...base, signal: 'SIGKILL', survivors });
      return [{ ...was, hasKilled: true }, [...before, { do: 'kill-survivors', run }, told, arm]];
    }
    case 'drain-logs':
      return [was, [...before, { do: 'drain-logs', run }, arm]];
  }
}

/** What it still had to do, as far as the app has said. */
function pendingOf({ appSays }: Stopping): Pick<PhaseRecord, 'appPhase' | 'pending'> {
  if (appSays == null) return {};
  const { appPhase, pending } = appSays;
  return { appPhase, ...(pending === null ? {} : { pending }) };
}

function sendSignal(was: Stopping, at: number, before: readonly InstanceEffect[]): Step {
  const { run, pid, stop, signal } = was;
  const target = stop.killMode === 'group' ? 'group' : 'leader';
  const deadline = at + stop.graceMs;
  const told = record({
    phase: 'signal-sent',
    pid,
    signal: stop.message ? 'message' : signal,
    target,
    graceMs: stop.graceMs,
    elapsedMs: at - was.askedAt,
    remainingMs: stop.graceMs,
    deadline: Math.round(deadline),
  });
  const deed: InstanceEffect = stop.message ? { do: 'send-shutdown', run } : { do: 'signal', run, signal, target };
  return [
    { ...was, signalledAt: at, deadline },
    [
      ...before,
      deed,
      { do: 'tell-app', run, deadline: Math.round(deadline), reason: was.reason },
      told,
      { do: 'arm', run, timer: 'rung', ms: stop.graceMs },
      { do: 'arm', run, timer: 'warning', ms: stop.graceMs * WARN_AT },
    ],
  ];
}

/** A sooner deadline of a second request shortens what is left of the grace period. */
function hurried(
  was: Stopping,
  event: Of<'stop-requested'>,
  context: Context,
  before: readonly InstanceEffect[] = [],
): Step {
  const cap = event.budgetMs === null ? null : event.at + event.budgetMs;
  if (event.budgetMs !== null && (was.rung === 'draining' || was.rung === 'pre-stop')) {
    // How much of the rung is left is not known here: under a limit the signal goes out at once.
    const stop = { ...fitStop(was.stop, event.budgetMs), preStop: null };
    return climb({ ...was, stop, rung: 'pre-stop' }, event.at, context, [...leave(was), ...before]);
  }
  const hasGrace = was.rung === 'signal-sent' || was.rung === 'survivors-signalled';
  const isSooner = cap !== null && was.deadline !== null && cap < was.deadline && hasGrace;
  if (!isSooner) return [was, before];
  return [
    { ...was, deadline: cap, latest: cap },
    [...before, { do: 'arm', run: was.run, timer: 'rung', ms: cap - event.at }],
  ];
}

function standing(was: Stopping, at: number): Standing {
  return {
    hasExited: was.exit !== null,
    hasSurvivors: was.survivors.length > 0,
    isForced: was.isForced,
    restOfGraceMs: Math.max(0, (was.deadline ?? at + was.stop.graceMs) - at),
  };
}

/** The rungs before `exited` are left behind by the leader's exit, wherever it stood. */
function beforeExited(was: Stopping): Stopping['rung'] {
  return was.rung === 'draining' || was.rung === 'pre-stop' || was.rung === 'signal-sent' ? 'kill-sent' : was.rung;
}

function leave(was: Stopping): readonly InstanceEffect[] {
  return [
    { do: 'disarm', timer: 'rung' },
    { do: 'disarm', timer: 'warning' },
    ...(was.rung === 'pre-stop' ? ([{ do: 'end-hook', run: was.run }] as const) : []),
  ];
}

function endChecks(was: LiveState): readonly InstanceEffect[] {
  return [
    { do: 'end-check', run: was.run },
    ...(was.name === 'starting' ? ([{ do: 'disarm', timer: 'ready' }] as const) : []),
  ];
}

function requested(was: Stopping, reason: string, at: number): InstanceEffect {
  const { drainDelayMs, preStop, graceMs } = was.stop;
  const deadline = Math.round(at + drainDelayMs + (preStop?.timeoutMs ?? 0) + graceMs);
  return record({ phase: 'stop-requested', pid: was.pid, reason, graceMs, deadline });
}

function record(record: PhaseRecord): InstanceEffect {
  return { do: 'record', record };
}
