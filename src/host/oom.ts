/** Whether the kernel's OOM killer ended a process: its log where it can be read, else what it counts. */
import { closeSync, constants, openSync, readlinkSync, readSync } from 'node:fs';
import { join } from 'node:path';
import { NO_FINDING, type OomFinding } from '../core/oom.ts';
import { memoryCgroup, numberIn, type OomCounts } from './oom-counts.ts';

/** proc_ns.h: the number of the first PID namespace; the kernel's log has its pids. */
const FIRST_PID_NAMESPACE = 'pid:[4026531836]';
/** Records of the log that are read without a pause. */
const BATCH = 500;
const LONGEST_RECORD = 8192;
/** The clocks of log and process drift apart; a kill longer ago than that was of another process with this pid. */
const RECENT_MS = 60_000;
const DRIFT = 0.0005;
/** cgroup v1's word for no limit is a number of about this size. */
const NO_LIMIT_BYTES = 2 ** 60;

export type Counted = {
  /** Kills counted by a cgroup that it had alone. */
  readonly own: { readonly folder: string; readonly kills: number } | null;
  readonly before: OomCounts | null;
  readonly now: OomCounts;
};

/** What can be told of the end of `pid`, which was a moment ago. */
export async function findKiller(pid: number, { own, before, now }: Counted): Promise<OomFinding> {
  if (own !== null && own.kills > 0) return { ...ofCgroup('yes', own.folder), ...(await inLog(pid)) };
  if (before?.machine != null && before.machine === now.machine)
    return { ...NO_FINDING, verdict: 'no', source: 'machine', kills: 0 };
  const logged = await inLog(pid);
  if (logged !== null) return logged;
  if (own !== null) return { ...NO_FINDING, verdict: 'no', source: 'cgroup', cgroup: own.folder };
  return byCounts(before, now);
}

/** Counts of what it shared with others. */
function byCounts(before: OomCounts | null, now: OomCounts): OomFinding {
  if (before?.cgroup != null && now.cgroup !== null && before.cgroup.folder === now.cgroup.folder) {
    if (now.cgroup.kills > before.cgroup.kills) return ofCgroup('likely', now.cgroup.folder);
  }
  if (before?.machine == null || now.machine === null) return NO_FINDING;
  return { ...NO_FINDING, source: 'machine', kills: now.machine - before.machine };
}

function ofCgroup(verdict: 'yes' | 'likely', folder: string): OomFinding {
  return { ...NO_FINDING, verdict, source: 'cgroup', cgroup: folder, limitBytes: limitOf(folder) };
}

function limitOf(folder: string): number | null {
  const bytes =
    numberIn(join(folder, 'memory.max'), /^(\d+)$/m) ?? numberIn(join(folder, 'memory.limit_in_bytes'), /^(\d+)$/m);
  return bytes !== null && bytes < NO_LIMIT_BYTES ? bytes : null;
}

/** `null`: the log can't be read, or does not name it. */
async function inLog(pid: number): Promise<OomFinding | null> {
  const fd = openLog();
  if (fd === null) return null;
  const since = Number(process.hrtime.bigint() / 1000n) * (1 - DRIFT) - RECENT_MS * 1000;
  let cgroup: string | null = null;
  let found: OomFinding | null = null;
  try {
    for await (const { at, text } of recordsOf(fd)) {
      if (at < since) continue;
      const summary = /\boom-kill:.*\boom_memcg=([^,]*),.*\bpid=(\d+)\b/.exec(text);
      if (summary !== null && Number(summary[2]) === pid) cgroup = summary[1] ?? null;
      const killed = /\bKilled process (\d+) \(.*?(?:anon-rss:(\d+)kB|$)/.exec(text);
      if (Number(killed?.[1]) !== pid) continue;
      const residentBytes = killed?.[2] === undefined ? null : Number(killed[2]) * 1024;
      found = { ...NO_FINDING, verdict: 'yes', source: 'kernel-log', residentBytes, ...placeOf(cgroup) };
    }
  } finally {
    closeSync(fd);
  }
  return found;
}

/** The path of a cgroup as the kernel names it, and its limit as long as it is there. */
function placeOf(path: string | null): Pick<OomFinding, 'cgroup' | 'limitBytes'> {
  if (path === null || path === '/') return { cgroup: null, limitBytes: null };
  const mount = memoryCgroup(`0::${path}\n1:memory:${path}`)?.mount;
  return { cgroup: path, limitBytes: mount === undefined ? null : limitOf(join(mount, path)) };
}

function openLog(): number | null {
  try {
    if (readlinkSync('/proc/self/ns/pid') !== FIRST_PID_NAMESPACE) return null;
    return openSync('/dev/kmsg', constants.O_RDONLY | constants.O_NONBLOCK);
  } catch {
    return null;
  }
}

/** One read(2) gives one record, `priority,number,µs since boot,flags;text`; EAGAIN is the end, EPIPE a gap. */
async function* recordsOf(fd: number): AsyncGenerator<{ readonly at: number; readonly text: string }> {
  const buffer = Buffer.allocUnsafe(LONGEST_RECORD);
  for (let count = 1; ; count++) {
    const line = readRecord(fd, buffer);
    if (line === null) return;
    const [head = '', text = ''] = line.split(/;(.*)/s);
    yield { at: Number(head.split(',')[2]), text };
    if (count % BATCH === 0) await new Promise((resolve) => setImmediate(resolve));
  }
}

function readRecord(fd: number, buffer: Buffer): string | null {
  for (;;) {
    try {
      return buffer.toString('utf8', 0, readSync(fd, buffer));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EPIPE') return null;
    }
  }
}
