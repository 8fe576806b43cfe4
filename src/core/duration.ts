/** Lengths of time as people write them: `500ms`, `10s`, `1m30s`, `2h`, `1d`; a bare number is milliseconds. */

const UNIT_MS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };
/** The longest that a timer can wait (2^31 - 1 ms, 24.8 days). */
const MAX_DURATION_MS = 2_147_483_647;

/** Milliseconds of `text`, or `null` when it is not a duration, negative or too long for a timer. */
export function parseDuration(text: string | number): number | null {
  const written = String(text).trim();
  const ms = /^\d+(\.\d+)?$/.test(written) ? Number(written) : sumOfParts(written);
  return ms === null || !Number.isFinite(ms) || ms < 0 || ms > MAX_DURATION_MS ? null : Math.round(ms);
}

function sumOfParts(written: string): number | null {
  if (!/^(\d+(\.\d+)?(ms|s|m|h|d))+$/.test(written)) return null;
  let sum = 0;
  for (const [, amount, unit] of written.matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h|d)/g)) {
    sum += Number(amount) * (UNIT_MS[unit ?? ''] ?? Number.NaN);
  }
  return sum;
}

/** `ms` as people read it: `0ms`, `350ms`, `1.5s`, `10s`, `1m30s`, `3h`, `2d4h`. */
export function formatDuration(ms: number): string {
  const whole = Math.max(0, Math.round(ms));
  if (whole < 1000) return `${whole}ms`;
  if (whole < 10_000) return `${Math.round(whole / 100) / 10}s`;
  const seconds = Math.round(whole / 1000);
  if (seconds < 60) return `${seconds}s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return pair(minutes, 'm', seconds % 60, 's');
  const hours = Math.floor(minutes / 60);
  if (hours < 24) return pair(hours, 'h', minutes % 60, 'm');
  return pair(Math.floor(hours / 24), 'd', hours % 24, 'h');
}

function pair(big: number, bigUnit: string, small: number, smallUnit: string): string {
  return small === 0 ? `${big}${bigUnit}` : `${big}${bigUnit}${small}${smallUnit}`;
}
