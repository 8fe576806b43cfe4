/** Folders of our own in places where other users may write: made exclusively, checked by descriptor, removed by known names. */
import {
  closeSync,
  constants,
  fchmodSync,
  fstatSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmdirSync,
  type Stats,
  unlinkSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, isAbsolute, join } from 'node:path';

const { O_RDONLY, O_DIRECTORY, O_NOFOLLOW } = constants;
/** As many as the kernel follows in one path: path_resolution(7). */
const MOST_LINKS = 40;

/**
 * The first part of an absolute path that another user could replace, or `null` when there is none: each folder has to be
 * root's or ours and closed to others, or sticky, and each symbolic link has to be root's or ours. Missing parts are safe.
 */
export function unsafePart(path: string): string | null {
  if (!isAbsolute(path)) return path;
  if (!isClosed(lstatSync('/'))) return '/';
  const left = path.split('/').filter(Boolean);
  let at = '/';
  for (let links = 0; left.length > 0; ) {
    const next = join(at, left.shift() ?? '');
    const stat = lstatSync(next, { throwIfNoEntry: false });
    if (stat === undefined) return null;
    if (stat.isSymbolicLink()) {
      links += 1;
      if (!isTrusted(stat.uid) || links > MOST_LINKS) return next;
      const target = readlinkSync(next);
      if (isAbsolute(target)) at = '/';
      left.unshift(...target.split('/').filter(Boolean));
    } else {
      if (!isClosed(stat)) return next;
      at = next;
    }
  }
  return null;
}

/** Folders for sockets, best first. Of root there is /run, which no other user can fill. */
export function socketFolders(): readonly string[] {
  const uid = process.geteuid?.() ?? 0;
  const runtime = uid === 0 ? ['/run'] : [process.env['XDG_RUNTIME_DIR'], `/run/user/${uid}`];
  const folders = [...runtime, tmpdir(), '/tmp', '/var/tmp', '/dev/shm'];
  return [...new Set(folders.filter((folder) => folder !== undefined && folder !== ''))] as string[];
}

/** A new folder with a random name behind `prefix`, in the first of `parents` that is safe and takes one; `null`: none does. */
export function makeOwnFolder(parents: readonly string[], prefix: string, mode: number): string | null {
  for (const parent of parents) {
    try {
      if (unsafePart(parent) !== null) continue;
      const folder = mkdtempSync(join(parent, prefix));
      if (setMode(folder, mode)) return folder;
      rmdirSync(folder);
    } catch {
      // Missing, full or read-only: the next one.
    }
  }
  return null;
}

/** Makes a folder, or takes over the one of ours that is there; false where something else is, or another user could replace it. */
export function takeOwnFolder(folder: string, mode: number): boolean {
  try {
    if (unsafePart(dirname(folder)) !== null) return false;
    mkdirSync(folder, { mode: 0o700 });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') return false;
  }
  return setMode(folder, mode);
}

/** A descriptor of a folder if it is ours, no link, and closed to writes of others; `null`: it is not. */
export function openOwnFolder(folder: string): number | null {
  let fd: number;
  try {
    fd = openSync(folder, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
  } catch {
    return null;
  }
  const { uid, mode } = fstatSync(fd);
  if (uid === process.geteuid?.() && (mode & 0o022) === 0) return fd;
  closeSync(fd);
  return null;
}

/** Removes a folder of ours with the files in it that have a known name. With anything else in it, it stays. */
export function removeOwnFolder(folder: string, isKnown: (name: string) => boolean): void {
  const fd = openOwnFolder(folder);
  if (fd === null) return;
  try {
    for (const name of readdirSync(folder).filter(isKnown)) unlinkSync(`/proc/self/fd/${fd}/${name}`);
    rmdirSync(folder);
  } catch {
    // A stranger's file in it, or it was removed by another process.
  } finally {
    closeSync(fd);
  }
}

function setMode(folder: string, mode: number): boolean {
  const fd = openOwnFolder(folder);
  if (fd === null) return false;
  try {
    fchmodSync(fd, mode);
    return true;
  } finally {
    closeSync(fd);
  }
}

/** A sticky folder lets only the owner of a file, the folder's owner and root replace it. */
function isClosed({ uid, gid, mode }: Stats): boolean {
  const isSticky = (mode & 0o1000) !== 0;
  const isOpen = (mode & 0o002) !== 0 || ((mode & 0o020) !== 0 && gid !== 0);
  return isTrusted(uid) && (isSticky || !isOpen);
}

/** Owners whom a user namespace has no number for are outside of it, as root is. */
function isTrusted(uid: number): boolean {
  return uid === 0 || uid === process.geteuid?.() || !isMapped(uid);
}

function isMapped(uid: number): boolean {
  try {
    return readFileSync('/proc/self/uid_map', 'latin1')
      .split('\n')
      .map((line) => line.trim().split(/\s+/).map(Number))
      .some(([inside = Number.NaN, , count = 0]) => uid >= inside && uid < inside + count);
  } catch {
    return true;
  }
}
