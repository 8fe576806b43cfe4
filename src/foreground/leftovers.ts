/** The link folders of runs that were killed: a later run removes them. Loaded after the start, when there is time. */
import { closeSync, constants, fstatSync, openSync, readFileSync } from 'node:fs';
import { opendir } from 'node:fs/promises';
import { join } from 'node:path';
import { openOwnFolder, removeOwnFolder } from '../api/safe-folder.ts';
import { isLinkFile, OWNER_FILE } from '../host/link-files.ts';
import { pidSpace } from './link-owner.ts';

const NAME = /^gsup-run-[A-Za-z0-9]{6}$/;
/** A temporary folder may hold any number of names, of whatever user. */
const MOST_NAMES = 10_000;

const { O_RDONLY, O_NOFOLLOW, O_NONBLOCK } = constants;

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

/** Any process that has the pid by now counts as the owner. */
function isGone(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return false;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ESRCH';
  }
}
