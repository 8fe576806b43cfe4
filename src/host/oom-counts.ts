/** What the kernel counts of its OOM kills, looked at beforehand: a count says something only by its change. */
import { join } from 'node:path';
import { readProcFile } from './proc-file.ts';

/** A look is good for so long; a spawn later than that takes another one. */
const FRESH_MS = 1_000;
/** After a spawn, which nobody waits for any more then. */
const SETTLED_MS = 10;

export type OomCounts = {
  readonly at: number;
  /** Of the whole machine (/proc/vmstat, Linux 4.13); `null`: it isn't told. */
  readonly machine: number | null;
  /** Of the cgroup that we are in. */
  readonly cgroup: { readonly folder: string; readonly kills: number } | null;
};

let before: OomCounts | null = null;
let timer: NodeJS.Timeout | null = null;

/** The look of before; `null`: nothing was looked at yet. */
export function countsBefore(): OomCounts | null {
  return before;
}

/** Something is about to live: what is counted from now on may be its end. */
export function lookSoon(afterMs = SETTLED_MS): void {
  if (timer !== null || (before !== null && performance.now() - before.at < FRESH_MS)) return;
  timer = setTimeout(() => {
    timer = null;
    before = look();
  }, afterMs);
  timer.unref();
}

/** The look of before stays good for a moment: what has ended with this one is judged by it too. */
export function lookLater(): void {
  if (timer !== null) clearTimeout(timer);
  timer = null;
  if (before !== null) before = { ...before, at: Number.NEGATIVE_INFINITY };
  lookSoon(FRESH_MS);
}

/** The counts of now. */
export function look(): OomCounts {
  const machine = numberIn('/proc/vmstat', /^oom_kill (\d+)$/m);
  return { at: performance.now(), machine, cgroup: ownCgroup() };
}

/** Of a cgroup, of either version; `null`: it has no such count. */
export function killsOf(folder: string): number | null {
  return (
    numberIn(join(folder, 'memory.events'), /^oom_kill (\d+)$/m) ??
    numberIn(join(folder, 'memory.oom_control'), /^oom_kill (\d+)$/m)
  );
}

/** The nearest one around us that counts (cgroups(7): `hierarchy:controllers:path`, and where each is mounted). */
function ownCgroup(): OomCounts['cgroup'] {
  const place = memoryCgroup(read('/proc/self/cgroup'));
  if (place === null) return null;
  for (let path = place.path; ; path = path.slice(0, path.lastIndexOf('/'))) {
    const folder = join(place.mount, path);
    const kills = killsOf(folder);
    if (kills !== null) return { folder, kills };
    if (path === '' || path === '/') return null;
  }
}

/** Where the memory of a process is accounted, from its /proc/PID/cgroup. */
export function memoryCgroup(cgroups: string): { readonly mount: string; readonly path: string } | null {
  const mounts = read('/proc/mounts')
    .split('\n')
    .map((line) => line.split(' '));
  const first = mounts.find(([, , type, options]) => type === 'cgroup' && options?.split(',').includes('memory'))?.[1];
  const firstPath = /^\d+:(?:[^:\n]*,)?memory(?:,[^:\n]*)?:(.*)$/m.exec(cgroups)?.[1];
  if (first !== undefined && firstPath !== undefined) return { mount: first, path: firstPath };
  const second = mounts.find(([, , type]) => type === 'cgroup2')?.[1];
  const secondPath = /^0::(.*)$/m.exec(cgroups)?.[1];
  return second === undefined || secondPath === undefined ? null : { mount: second, path: secondPath };
}

/** The number that `pattern` finds in a file; `null` where there is none, or no file. */
export function numberIn(file: string, pattern: RegExp): number | null {
  const found = pattern.exec(read(file))?.[1];
  return found === undefined ? null : Number(found);
}

function read(file: string): string {
  try {
    return readProcFile(file);
  } catch {
    return '';
  }
}
