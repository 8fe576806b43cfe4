/** How many descriptors this process may have open, and which of them are kept for the supervisor itself. */
import { readProcFile } from './proc-file.ts';

/** What a supervisor needs to go on: to answer commands, to write its state, to load what is rarely used. */
const KEPT_FREE = 48;
/** Connections leave room for the descriptors of a new run, too. */
const KEPT_FROM_CONNECTIONS = 2 * KEPT_FREE;
const MOST_HTTP_CONNECTIONS = 256;
const HTTP_SHARE = 8;

let limit: number | null = null;

/** `fd` has just been opened, and the kernel gives the lowest that is free. @throws when few are left behind it. */
export function checkRoom(fd: number): void {
  if (fd < openFilesLimit() - KEPT_FREE) return;
  const why = `${openFilesLimit()} descriptors are too few for another instance (ulimit -n; LimitNOFILE= of a unit)`;
  throw Object.assign(new Error(`EMFILE: ${why}`), { code: 'EMFILE' });
}

/** Whether a connection with this descriptor leaves enough for everything else: `plenty`, `enough`, or `none`. */
export function roomBehind(fd: number): 'plenty' | 'enough' | 'none' {
  if (fd < openFilesLimit() - KEPT_FROM_CONNECTIONS) return 'plenty';
  return fd < openFilesLimit() - KEPT_FREE / 2 ? 'enough' : 'none';
}

/** How many connections of the HTTP page may be open: their descriptors are a small part of all. */
export function mostHttpConnections(): number {
  return Math.min(MOST_HTTP_CONNECTIONS, Math.floor(openFilesLimit() / HTTP_SHARE));
}

/** Node raises the soft limit to the hard one when it starts. */
export function openFilesLimit(): number {
  limit ??= readLimit();
  return limit;
}

function readLimit(): number {
  const soft = /^Max open files +(\d+)/m.exec(readProcFile('/proc/self/limits'))?.[1];
  return soft === undefined ? Number.POSITIVE_INFINITY : Number(soft);
}
