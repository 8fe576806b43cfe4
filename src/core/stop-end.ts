/** The top of the ladder: the verdict of a stop and what comes after it, or a process that nothing ends. */
import type { InstanceEffect } from './effect.ts';
import { settle } from './next.ts';
import type { PhaseRecord } from './record.ts';
import { type Context, lifeOf, type Step, type Stopping } from './state.ts';

/** Released, told with its verdict when it was asked for, and settled. */
export function reachTop(was: Stopping, at: number, context: Context, before: readonly InstanceEffect[]): Step {
  const release: InstanceEffect = { do: 'release', run: was.run };
  if (!was.isAsked) return settle(was, at, context, [...before, release]);
  const used = was.signalledAt === null ? 0 : at - was.signalledAt;
  const graceUsed = was.stop.graceMs === 0 ? 1 : Math.min(1, used / was.stop.graceMs);
  const told = record({
    phase: 'stopped',
    level: was.alive !== undefined ? 'error' : was.hasKilled ? 'warn' : 'info',
    pid: was.pid,
    verdict: was.hasKilled ? 'killed' : 'clean',
    graceMs: was.stop.graceMs,
    elapsedMs: at - was.askedAt,
    ...(was.alive === undefined ? {} : { alive: was.alive }),
    graceUsed: Math.round(graceUsed * 1000) / 1000,
    exitCode: was.exit?.code ?? null,
    exitSignal: was.exit?.signal ?? null,
  });
  return settle(was, at, context, [...before, release, told]);
}

/** A process that SIGKILL does not end (state D): said, and left behind; nothing hangs on it. */
export function giveUp(was: Stopping, reason: string): Step {
  const stuck = record({ phase: 'stuck', level: 'error', pid: was.pid, reason });
  const told = record({
    phase: 'stopped',
    level: 'error',
    pid: was.pid,
    verdict: 'killed',
    graceMs: was.stop.graceMs,
    alive: [was.pid],
  });
  return [{ ...lifeOf(was), name: 'failed', reason, exitStatus: null, stuckPid: was.pid }, [stuck, told]];
}

function record(record: PhaseRecord): InstanceEffect {
  return { do: 'record', record };
}
