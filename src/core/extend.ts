/** More time for an app that asks for it (systemd's EXTEND_TIMEOUT_USEC): to become ready, or to stop. */
import { formatDuration } from './duration.ts';
import type { InstanceEffect } from './effect.ts';
import type { InstanceEvent } from './event.ts';
import { WARN_AT } from './ladder.ts';
import type { PhaseRecord } from './record.ts';
import type { Context, InState, Step, Stopping } from './state.ts';

type Extended = Extract<InstanceEvent, { type: 'extended' }>;

/** An app that asks for more time gets so many times the length it has, at most. */
const EXTENSION_CAP = 2;

/** The app asks for more time to become ready: granted up to twice the timeout. */
export function startExtended(was: InState<'starting'>, event: Extended, { spec }: Context): Step {
  if (was.readyBy === null || spec.ready === null) return [was, []];
  const most = was.startedAt + EXTENSION_CAP * spec.ready.timeoutMs;
  const readyBy = Math.min(event.at + event.ms, most);
  if (readyBy <= was.readyBy) return [was, []];
  const ms = readyBy - event.at;
  const reason = `the app asks for more time: it has ${formatDuration(ms)} to become ready`;
  const told = record({ phase: 'notice', pid: was.pid, reason, remainingMs: ms });
  return [{ ...was, readyBy, isExtended: true }, [told, { do: 'arm', run: was.run, timer: 'ready', ms }]];
}

/** The app asks for more time while it stops: granted up to twice the grace period, and within the shutdown's own limit. */
export function stopExtended(was: Stopping, event: Extended): Step {
  if (was.rung !== 'signal-sent' || was.deadline === null || was.signalledAt === null) return [was, []];
  const most = Math.min(was.signalledAt + EXTENSION_CAP * was.stop.graceMs, was.latest ?? Number.POSITIVE_INFINITY);
  const deadline = Math.min(event.at + event.ms, most);
  if (deadline <= was.deadline) return [was, []];
  const { run } = was;
  const ms = deadline - event.at;
  const reason = `the app asks for more time: SIGKILL in ${formatDuration(ms)}`;
  return [
    { ...was, deadline },
    [
      record({ phase: 'notice', pid: was.pid, reason, remainingMs: ms, deadline: Math.round(deadline) }),
      { do: 'arm', run, timer: 'rung', ms },
      { do: 'arm', run, timer: 'warning', ms: ms * WARN_AT },
    ],
  ];
}

function record(record: PhaseRecord): InstanceEffect {
  return { do: 'record', record };
}
