/** How long the last stops of a service took, how much of the grace period they used, and what grace period would do. */
import { formatDuration } from './duration.ts';
import type { PhaseRecord } from './record.ts';

/** One stop. `share`: of the grace period, 0 to 1; a stop that needed SIGKILL would have taken longer: its numbers are lower bounds. */
export type StopSample = {
  readonly ms: number;
  readonly graceMs: number;
  readonly share: number;
  readonly isKilled: boolean;
};

/** Of the last stops of a service, 100 at most. */
export type StopTimes = {
  readonly count: number;
  readonly p50Ms: number;
  readonly p95Ms: number;
  readonly maxMs: number;
  readonly maxShare: number;
  /** So many needed SIGKILL: they would have taken longer. */
  readonly killed: number;
  /** The grace period of the last one. */
  readonly graceMs: number;
  /** The same of the last ten alone: what was mended is no news any more. */
  readonly recent: { readonly count: number; readonly maxShare: number; readonly killed: number };
  /** A grace period with a margin; `null`: too few stops to say. Where some were killed it may still be too short. */
  readonly suggestedGraceMs: number | null;
};

const MOST_SAMPLES = 100;
const RECENT = 10;
/** From so many stops on a grace period is suggested. */
const LEAST_TO_SUGGEST = 10;
const MARGIN = 1.5;
const NEAR_SHARE = 0.8;

/** What a `stopped` record says; `null`: it had no process, or no grace period. */
export function stopSample({ phase, pid, elapsedMs, graceMs, graceUsed, verdict }: PhaseRecord): StopSample | null {
  if (phase !== 'stopped' || pid == null || elapsedMs === undefined || !graceMs) return null;
  return { ms: elapsedMs, graceMs, share: graceUsed ?? 0, isKilled: verdict === 'killed' };
}

/** The samples with one more, the oldest dropped. */
export function withSample(samples: readonly StopSample[], sample: StopSample): readonly StopSample[] {
  return [...samples.slice(-(MOST_SAMPLES - 1)), sample];
}

/** `samples`: oldest first; `null`: there are none. */
export function stopTimesOf(samples: readonly StopSample[]): StopTimes | null {
  const last = samples.at(-1);
  if (last === undefined) return null;
  const lengths = samples.map(({ ms }) => ms).sort((a, b) => a - b);
  const recent = samples.slice(-RECENT);
  return {
    count: samples.length,
    p50Ms: Math.round(quantile(lengths, 0.5)),
    p95Ms: Math.round(quantile(lengths, 0.95)),
    maxMs: Math.round(quantile(lengths, 1)),
    ...worstOf(samples),
    graceMs: last.graceMs,
    recent: { count: recent.length, ...worstOf(recent) },
    suggestedGraceMs: samples.length < LEAST_TO_SUGGEST ? null : suggestion(samples),
  };
}

/** A sentence for who looks at the list, from 80 % of the grace period on; `null`: all is well. */
export function nearMiss({ recent: { count, maxShare, killed }, graceMs }: StopTimes): string | null {
  const last = count === 1 ? 'its last stop' : `its last ${count} stops`;
  if (killed > 0)
    return `${count === 1 ? '' : `${killed} of `}${last} needed SIGKILL after the grace period of ${formatDuration(graceMs)}`;
  if (maxShare < NEAR_SHARE) return null;
  return `${count === 1 ? '' : 'one of '}${last} used ${Math.round(maxShare * 100)}% of the grace period of ${formatDuration(graceMs)}`;
}

/** By the nearest rank: a length that there was, never one between two. */
function quantile(sorted: readonly number[], share: number): number {
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? 0;
}

function worstOf(samples: readonly StopSample[]): { readonly maxShare: number; readonly killed: number } {
  const maxShare = Math.max(...samples.map(({ share }) => share));
  return { maxShare, killed: samples.filter(({ isKilled }) => isKilled).length };
}

/** From the time that they used since the signal: half as much again as nearly all did, and more than any. */
function suggestion(samples: readonly StopSample[]): number {
  const used = samples.map(({ share, graceMs }) => share * graceMs).sort((a, b) => a - b);
  const ms = Math.max(quantile(used, 0.95) * MARGIN, quantile(used, 1) * 1.1);
  const step = ms <= 10_000 ? 1_000 : 5_000;
  return Math.max(1, Math.ceil(ms / step)) * step;
}
