/** A grace period from what recent shutdowns took. */
import type { ShutdownReport } from './api.ts';

const PERCENTILE = 0.99;
/** What gsup's library leaves of a grace period, and what the supervisor needs to see the end. */
const MARGIN = { share: 0.1, leastMs: 500 };

/**
 * The grace period that 99 % of such shutdowns would have kept, with the margin that the library subtracts again,
 * in ms, rounded up to a second. One that was cut counts twice: nobody knows how long it would have taken.
 * @returns `null` without reports.
 * @example suggestedGrace(reports) // 12000: write `grace: 12s`
 */
export function suggestedGrace(reports: readonly Pick<ShutdownReport, 'durationMs' | 'undone'>[]): number | null {
  const lengths = reports
    .map(({ durationMs, undone }) => (undone.length === 0 ? durationMs : durationMs * 2))
    .sort((a, b) => a - b);
  const needed = lengths[Math.ceil(lengths.length * PERCENTILE) - 1];
  if (needed === undefined) return null;
  return Math.ceil(Math.max(needed / (1 - MARGIN.share), needed + MARGIN.leastMs) / 1000) * 1000;
}
