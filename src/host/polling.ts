/** Whether a process waits for connections on a socket, as far as its epoll descriptors tell: proc_pid_fdinfo(5). */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';

const EPOLL = 'anon_inode:[eventpoll]';

/** True: one of them watches one of these inodes. False: it has such descriptors, and none does. `null`: it has none. */
export function isPolling(pid: number, inodes: readonly number[]): boolean | null {
  const wanted = new Set(inodes.map((inode) => inode.toString(16)));
  let hasAny = false;
  try {
    for (const fd of readdirSync(`/proc/${pid}/fd`)) {
      if (target(`/proc/${pid}/fd/${fd}`) !== EPOLL) continue;
      hasAny = true;
      for (const [, inode = ''] of readFileSync(`/proc/${pid}/fdinfo/${fd}`, 'latin1').matchAll(/\bino:([0-9a-f]+)/g))
        if (wanted.has(inode)) return true;
    }
  } catch {
    // It has ended, or is none of ours to look into.
    return null;
  }
  return hasAny ? false : null;
}

function target(link: string): string {
  try {
    return readlinkSync(link);
  } catch {
    return '';
  }
}
