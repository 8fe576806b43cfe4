/** A supervisor without a free descriptor goes on: what could not be opened fails, and is reported, but ends nothing. */
import { isShortage } from '../core/error.ts';

/** One report for all failures of so long. */
const QUIET_MS = 60_000;

/** Survives errors of that kind that no one else has handled, until the result is called; any other one is a bug and throws. */
export function surviveShortage(notice: (text: string) => void): () => void {
  let quietUntil = Number.NEGATIVE_INFINITY;
  const handle = (error: Error): void => {
    if (!isShortage(error)) throw error;
    const now = performance.now();
    if (now < quietUntil) return;
    quietUntil = now + QUIET_MS;
    notice(`no descriptor is left (ulimit -n; LimitNOFILE= of a unit): ${error.message}`);
  };
  process.on('uncaughtException', handle);
  return () => void process.off('uncaughtException', handle);
}
