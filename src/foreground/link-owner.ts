/** Which process the folder of a link belongs to: what a killed run leaves is removed by a later one. */
import { closeSync, constants, fstatSync, openSync, readFileSync, readlinkSync, writeFileSync } from 'node:fs';
import { opendir } from 'node:fs/promises';
import { join } from 'node:path';
import { openOwnFolder, removeOwnFolder } from '../api/safe-folder.ts';
import { isLinkFile, OWNER_FILE } from '../host/link-files.ts';

/** The start of the folders' names. */
export const LINK_FOLDER = 'gsup-run-';

const NAME = /^gsup-run-[A-Za-z0-9]{6}$/;
/** A temporary folder may hold any number of names, of whatever user. */
const MOST_NAMES = 10_000;

const { O_RDONLY, O_NOFOLLOW, O_NONBLOCK } = constants;

/** Writes who we are into a new folder of ours. Without it no other run removes the folder. */
export function markOwner(folder: string): void {
  try {
    writeFileSync(join(folder, OWNER_FILE), `${process.pid} ${pidSpace()}`, { flag: 'wx', mode: 0o600 });
  } catch {
    // No room for it, or no /proc.
  }
}

/** Removes the folders in `parent` that are ours and whose processes are gone. */
export async function removeLeftovers(parent: string): Promise<void> {
  try {
    let count = 0;
    for await (const { name } of await opendir(parent)) {
      const folder = join(parent, name);
      if (NAME.test(name) && isLeftover(folder)) removeOwnFolder(folder, isLinkFile);
      count += 1;
      if (count === MOST_NAMES) return;
    }
  } catch {
    // Not ours to list.
  }
}

/** A pid says something only in its own PID namespace, and until the machine starts again. */
function isLeftover(folder: string): boolean {
  const [pid = '', ...space] = (readOwner(folder) ?? '').split(' ');
  return /^[1-9]\d*$/.test(pid) && space.join(' ') === pidSpace() && isGone(Number(pid));
}

function readOwner(folder: string): string | null {
  const fd = openOwnFolder(folder);
  if (fd === null) return null;
  try {
    const file = openSync(`/proc/self/fd/${fd}/${OWNER_FILE}`, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
    try {
      return fstatSync(file).isFile() ? readFileSync(file, 'latin1') : null;
    } finally {
      closeSync(file);
    }
  } catch {
    return null;
  } finally {
    closeSync(fd);
  }
}

function pidSpace(): string {
  return `${readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim()} ${readlinkSync('/proc/self/ns/pid')}`;
}

/** Any process that has the pid by now counts as the owner. */
function isGone(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return false;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ESRCH';
  }
}
