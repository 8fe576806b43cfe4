/** Durations that options take. */
import { parseDuration } from '../core/duration.ts';
import { usageError } from '../core/error.ts';

/** Of an option, in ms; `null` when it was not given. @throws {GsupError} 2 for what is none. */
export function durationOf(option: string, text: string | undefined): number | null {
  if (text === undefined) return null;
  const ms = parseDuration(text);
  if (ms === null) throw usageError(`${option} "${text}" is no duration`, 'expected 30s or 1m30s');
  return ms;
}
