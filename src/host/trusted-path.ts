/** Recognizes paths that no untrusted user can redirect. */
import { lstatSync, readlinkSync, type Stats } from 'node:fs';
import { join } from 'node:path';

/** The limit of the kernel (MAXSYMLINKS). */
const MOST_LINKS = 40;

/**
 * Whether only root and gsup's own user decide what a path leads to: they own every file, folder and link on it, and
 * no other user can write to them. In a sticky folder such as /tmp only subfolders are trusted, because any user can
 * make a hard link to a file or link of root there.
 */
export function isTrustedPath(path: string): boolean {
  try {
    return walk(path);
  } catch {
    return false;
  }
}

function walk(path: string): boolean {
  const rest = path.split('/');
  let at = '/';
  let here = lstatSync(at);
  let links = 0;
  // The contents of /proc depend on the process that reads it.
  while (isOurs(here) && at !== '/proc') {
    const name = rest.shift();
    if (name === undefined) return true;
    if (name === '' || name === '.') continue;
    const next = join(at, name);
    const isShared = isWritableByOthers(here);
    const found = lstatSync(next);
    if (isShared && !found.isDirectory()) return false;
    if (!found.isSymbolicLink()) {
      at = next;
      here = found;
      continue;
    }
    if (!isOwner(found) || ++links > MOST_LINKS) return false;
    const target = readlinkSync(next);
    rest.unshift(...target.split('/'));
    if (target.startsWith('/')) at = '/';
    here = lstatSync(at);
  }
  return false;
}

/** The sticky bit keeps users from removing entries of other users. */
function isOurs(stats: Stats): boolean {
  return isOwner(stats) && (!isWritableByOthers(stats) || (stats.isDirectory() && (stats.mode & 0o1000) !== 0));
}

function isOwner({ uid }: Stats): boolean {
  return uid === 0 || uid === process.getuid?.();
}

function isWritableByOthers({ mode }: Stats): boolean {
  return (mode & 0o022) !== 0;
}
