/** How many descriptors this process may have open, and that the last ones are kept for itself. */
import { readProcFile } from './proc-file.ts';

/** What a supervisor needs to go on: to answer commands, to write its state, to load what is rarely used. */
const KEPT_FREE = 48;

let limit: number | null = null;

/** `fd` has just been opened, and the kernel gives the lowest that is free. @throws when few are left behind it. */
export function checkRoom(fd: number): void {
  limit ??= openFiles();
  if (fd < limit - KEPT_FREE) return;
  throw new Error(`EMFILE: ${limit} descriptors are too few for another instance (ulimit -n; LimitNOFILE= of a unit)`);
}

/** Node raises the soft limit to the hard one when it starts. */
function openFiles(): number {
  const soft = /^Max open files +(\d+)/m.exec(readProcFile('/proc/self/limits'))?.[1];
  return soft === undefined ? Number.POSITIVE_INFINITY : Number(soft);
}
