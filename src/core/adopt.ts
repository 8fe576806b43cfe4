/** What each state becomes under a new supervisor, which has looked for what the one before it left running. */
import type { InstanceEffect } from './effect.ts';
import type { InstanceEvent } from './event.ts';
import { WARN_AT } from './ladder.ts';
import { checkLive, exitedByItself } from './life.ts';
import { beginRun } from './next.ts';
import type { PhaseRecord } from './record.ts';
import { type Context, type InState, lifeOf, type Step, type Stopping } from './state.ts';
import { leaderExited, reenter, stopLive } from './stop.ts';

type Restored = Extract<InstanceEvent, { type: 'restored' }>;
type Exited = Extract<InstanceEvent, { type: 'exited' }>;

/** A process that could not be killed is gone at last, or still there. */
export function restoredFailed(was: InState<'failed'>, event: Restored): Step {
  return [{ ...was, stuckPid: event.pid }, []];
}

/** The rest of the delay; the clock may have been set meanwhile, so never more than a whole one. */
export function restoredBackoff(was: InState<'backoff'>, event: Restored, { spec }: Context): Step {
  const ms = within(was.until - event.at, spec.restart.maxDelayMs);
  return [{ ...was, until: event.at + ms }, [{ do: 'arm', run: was.run, timer: 'backoff', ms }]];
}

/** It may have been spawned and not told of yet: then the process that was found is the one. */
export function restoredStarting(was: InState<'starting'>, event: Restored, context: Context): Step {
  if (event.pid === null && was.pid === null) {
    return was.stopAsked?.next === 'stopped'
      ? [{ ...lifeOf(was), name: 'stopped' }, []]
      : beginRun(lifeOf(was), event.at);
  }
  if (event.pid === null) return exitedByItself(was, exitUnknown(event), context);
  const { pid, startedAt = was.startedAt } = event;
  const live = { ...was, pid, startedAt, reached: { ...was.reached, started: true } };
  if (was.stopAsked) return stopLive(live, { ...was.stopAsked, type: 'stop-requested' }, context, [adopted(pid)]);
  const { ready } = context.spec;
  if (ready === null) {
    const { forwarded, run } = was;
    const reached = { ...live.reached, ready: true };
    const state = { ...lifeOf(was), reached, name: 'running', pid, startedAt, forwarded } as const;
    return [state, [adopted(pid), ...checkLive(context.spec, run)]];
  }
  const { run } = was;
  const ms = within(
    (was.readyBy ?? was.startedAt + ready.timeoutMs) - event.at,
    Math.max(ready.timeoutMs, (was.readyBy ?? 0) - was.startedAt),
  );
  return [
    { ...live, readyBy: event.at + ms },
    [adopted(pid), { do: 'check-ready', run }, { do: 'arm', run, timer: 'ready', ms }],
  ];
}

export function restoredRunning(was: InState<'running'>, event: Restored, context: Context): Step {
  if (event.pid === null) return exitedByItself(was, exitUnknown(event), context);
  const { pid, startedAt = was.startedAt } = event;
  return [{ ...was, pid, startedAt }, [adopted(pid), ...checkLive(context.spec, was.run)]];
}

/** A stop goes on at its rung, with what is left of its time. */
export function restoredStopping(before: Stopping, event: Restored, context: Context): Step {
  const { signalledAt, stop: policy } = before;
  // It may have been given more than the policy says.
  const most = Math.max(policy.graceMs, signalledAt === null ? 0 : (before.deadline ?? 0) - signalledAt);
  const { pid, startedAt = before.startedAt } = event;
  const was = {
    ...before,
    pid: pid ?? before.pid,
    startedAt,
    deadline: before.deadline && event.at + within(before.deadline - event.at, most),
  };
  if (was.exit !== null) return reenter(was, event.at, context, []);
  if (pid === null) return leaderExited(was, exitUnknown(event), context);
  const told = [adopted(pid)];
  // The stop signal and its grace were for the run before it.
  if (event.startedAt !== undefined && was.signalledAt !== null)
    return reenter({ ...was, rung: 'signal-sent', signalledAt: null, deadline: null }, event.at, context, told);
  if (was.rung === 'draining') {
    const ms = within(was.askedAt + was.stop.drainDelayMs - event.at, was.stop.drainDelayMs);
    const draining: PhaseRecord = { phase: 'draining', pid, remainingMs: ms };
    const arm: InstanceEffect = { do: 'arm', run: was.run, timer: 'rung', ms };
    return [was, [...told, { do: 'record', record: draining }, arm]];
  }
  if (was.rung !== 'signal-sent' || was.deadline === null) return reenter(was, event.at, context, told);
  const { run, stop } = was;
  const ms = was.deadline - event.at;
  const warnMs = ms - stop.graceMs * (1 - WARN_AT);
  const warn: InstanceEffect[] = warnMs > 0 ? [{ do: 'arm', run, timer: 'warning', ms: warnMs }] : [];
  return [was, [...told, { do: 'arm', run, timer: 'rung', ms }, ...warn]];
}

/** Nobody was there to be told how it ended: the fact is not invented. */
function exitUnknown({ at, run }: Restored): Exited {
  return { type: 'exited', at, run, code: null, signal: null };
}

function adopted(pid: number): InstanceEffect {
  const record: PhaseRecord = { phase: 'adopted', pid };
  return { do: 'record', record };
}

function within(ms: number, most: number): number {
  return Math.min(most, Math.max(0, ms));
}
