/** Reaps orphans that the kernel has given us to: as PID 1 of a container, or as the subreaper of what we started. */
import { readdirSync } from 'node:fs';
import { loadNative } from './native.ts';
import { listProc, readProcFile } from './proc-file.ts';
import { readStat } from './processes.ts';

/**
 * Node waits for its own children at once, in the turn in which SIGCHLD comes. A zombie that is still there so many
 * turns later is nobody's but ours.
 */
const OTHERS_TURN_MS = 20;

export type Reaper = { close(): void };

/**
 * Reaps from now on; descendants whose parents end become our children, wherever we are in the tree. `isOurs`: Node
 * itself waits for that one. `null` without koffi: zombies stay.
 */
export async function startReaper(isOurs: (pid: number) => boolean): Promise<Reaper | null> {
  const native = await loadNative();
  if (native === null) return null;
  if (process.pid !== 1) native.becomeSubreaper();
  let timer: NodeJS.Timeout | null = null;
  let seen = new Set<number>();
  const look = (): void => {
    timer = null;
    const now = zombies().filter((pid) => !isOurs(pid));
    for (const pid of now) if (seen.has(pid)) native.reap(pid);
    seen = new Set(now.filter((pid) => !seen.has(pid)));
    if (seen.size > 0) soon();
  };
  const soon = (): void => {
    timer ??= setTimeout(look, OTHERS_TURN_MS).unref();
  };
  process.on('SIGCHLD', soon);
  soon();
  return {
    close: () => {
      process.off('SIGCHLD', soon);
      if (timer !== null) clearTimeout(timer);
    },
  };
}

function zombies(): readonly number[] {
  return children().filter((pid) => readStat(pid)?.state === 'Z');
}

/** Of every thread of ours: an orphan goes to any of them. */
function children(): readonly number[] {
  try {
    return readdirSync('/proc/self/task').flatMap((thread) =>
      readProcFile(`/proc/self/task/${thread}/children`).split(' ').filter(Boolean).map(Number),
    );
  } catch {
    // A kernel without CONFIG_PROC_CHILDREN.
    return listProc()
      .map(Number)
      .filter((pid) => Number.isInteger(pid) && readStat(pid)?.ppid === process.pid);
  }
}
