/**
 * The order in which the kernel gives pids out: ascending, and from the beginning again behind the highest. So what
 * descends from a process has a higher pid, as long as there was no new beginning, and the rest need not be looked at.
 */
import { readProcFile } from './proc-file.ts';

/** Pids in use are passed over: so many at most, besides those given out. */
const MOST_PASSED = 4_096;
/** An older count is a smaller one, which is on the safe side for the begin of a run. */
const OLD_ENOUGH_MS = 1_000;

let last: { readonly at: number; readonly count: number } | null = null;
let highest: number | null = null;

type Run = {
  readonly leader: number;
  /** How many had been made when it began; `null`: not known. */
  readonly forksBefore: number | null;
};

/** The lowest pid that anything of these runs may have; 0 where it can't be told. */
export function lowestPid(runs: readonly Run[]): number {
  const now = forks(0);
  highest ??= numberIn('/proc/sys/kernel/pid_max', /^(\d+)/) ?? 0;
  let lowest = Number.POSITIVE_INFINITY;
  for (const { leader, forksBefore } of runs) {
    const isTold = now !== null && forksBefore !== null && leader + (now - forksBefore) + MOST_PASSED < highest;
    lowest = Math.min(lowest, isTold ? leader : 0);
  }
  return lowest;
}

/** How many processes and threads the machine has made since its boot (proc_stat(5)), up to a second ago; `null`: it isn't told. */
export function forksBefore(): number | null {
  return forks(OLD_ENOUGH_MS);
}

function forks(ageMs: number): number | null {
  const at = performance.now();
  if (last !== null && at - last.at < ageMs) return last.count;
  const count = numberIn('/proc/stat', /^processes (\d+)/m);
  if (count !== null) last = { at, count };
  return count;
}

function numberIn(path: string, pattern: RegExp): number | null {
  try {
    const [, number] = pattern.exec(readProcFile(path)) ?? [];
    return number === undefined ? null : Number(number);
  } catch {
    return null;
  }
}
