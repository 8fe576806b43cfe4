/**
 * CPU and memory of processes, from /proc: looked at only when somebody asks or a limit wants it. pidusage did it until
 * it was seen to keep a descriptor open for each process that it had met (a daemon meets many).
 */
import { readProcFile, residentBytes } from './proc-file.ts';
import { type ProcessStat, readStat, TICK_MS, ticksNow } from './processes.ts';

export type Usage = {
  /** Of one processor, since the last look. */
  readonly cpuPercent: number;
  /** Resident. */
  readonly memoryBytes: number;
  /** CPU time of what lives and of what it has waited for. */
  readonly cpuMs: number;
};

type Seen = Sample & { readonly at: number };
type Sample = {
  readonly startTicks: number;
  readonly cpuMs: number;
  readonly waitedMs: number;
  readonly memoryBytes: number;
};

/** Two looks nearer to each other than this are compared with an earlier one: the kernel counts in ticks. */
const LEAST_PASSED_MS = 500;

/** What each process had used at the last look at it; the start time tells a reused pid. */
let seen = new Map<number, Seen>();
let pageBytes: number | null = null;

/** Resident bytes of all of them together; one that is gone counts nothing. */
export function memoryOf(pids: readonly number[]): number {
  return pids.reduce((sum, pid) => sum + (readStat(pid)?.residentPages ?? 0) * pageSize(), 0);
}

/** The usage of each group of processes, by name, in one look. */
export function usageOf(groups: ReadonlyMap<string, readonly ProcessStat[]>): ReadonlyMap<string, Usage> {
  const at = performance.now();
  const now: typeof seen = new Map();
  const usages = new Map<string, Usage>();
  let uptime: number | null = null;
  // Of the machine: asked once for all of them, where it is wanted.
  const sinceBoot = (): number => {
    uptime ??= ticksNow() * TICK_MS;
    return uptime;
  };
  for (const [name, stats] of groups) {
    let [cpuPercent, memoryBytes, cpuMs] = [0, 0, 0];
    for (const stat of stats) {
      const { pid } = stat;
      const sample = sampleOf(stat);
      const before = seen.get(pid);
      cpuPercent += percentOf(sample, before, at, sinceBoot);
      memoryBytes += sample.memoryBytes;
      cpuMs += sample.cpuMs + sample.waitedMs;
      const isRecent = before?.startTicks === sample.startTicks && at - before.at < LEAST_PASSED_MS;
      now.set(pid, isRecent ? before : { ...sample, at });
    }
    usages.set(name, { cpuPercent: Math.round(cpuPercent * 10) / 10, memoryBytes, cpuMs });
  }
  seen = now;
  return usages;
}

/** Since the last look; at the first one since its begin. */
function percentOf(
  { startTicks, cpuMs }: Sample,
  before: Seen | undefined,
  at: number,
  sinceBoot: () => number,
): number {
  const isSame = before?.startTicks === startTicks && at - before.at >= LEAST_PASSED_MS;
  const passedMs = isSame ? at - before.at : sinceBoot() - startTicks * TICK_MS;
  return passedMs <= 0 ? 0 : ((cpuMs - (isSame ? before.cpuMs : 0)) / passedMs) * 100;
}

function sampleOf({ startTicks, cpuTicks, waitedTicks, residentPages }: ProcessStat): Sample {
  return {
    startTicks,
    cpuMs: cpuTicks * TICK_MS,
    waitedMs: waitedTicks * TICK_MS,
    memoryBytes: residentPages * pageSize(),
  };
}

/** statm counts in pages, status in KiB; a page is a power of two. */
function pageSize(): number {
  const pages = () => Number(readProcFile('/proc/self/statm').split(' ')[1]);
  pageBytes ??= 2 ** Math.round(Math.log2(residentBytes() / pages()));
  return pageBytes;
}
