/** File access with the rights of a service's user, which are fewer than those of a gsup that runs as root. */
import { accessSync, closeSync, constants, fstatSync, openSync, readlinkSync, type Stats, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { type Identity, isOtherUser } from './identity.ts';
import { nativeNow } from './native.ts';
import type { Credentials } from './native-credentials.ts';

export type Rights = {
  /** Follows links; `null` where nothing is there or access is denied. */
  stat(path: string): Stats | null;
  isExecutable(path: string): boolean;
  canEnter(folder: string): boolean;
  /** @throws an error with a code, as openSync does. */
  open(path: string, flags: number): number;
};

/** The rights of the user that a service runs as. */
export function rightsOf(identity: Identity | null): Rights {
  if (!isOtherUser(identity)) return OWN;
  const credentials = nativeNow()?.credentials ?? null;
  return credentials === null ? checkedRights(identity) : lentRights(identity, credentials);
}

const OWN: Rights = {
  stat,
  isExecutable: (path) => succeeds(() => accessSync(path, constants.X_OK)),
  canEnter: (folder) => stat(folder)?.isDirectory() === true,
  open: (path, flags) => openSync(path, flags),
};

/** The kernel decides, so access lists and security modules count. */
function lentRights(identity: Identity, credentials: Credentials): Rights {
  const plain = checkedRights(identity);
  const ask = <T>(work: () => T, otherwise: () => T): T => {
    const done = credentials.during(identity, work);
    return done === null ? otherwise() : done.result;
  };
  return {
    stat: (path) =>
      ask(
        () => stat(path),
        () => plain.stat(path),
      ),
    isExecutable: (path) =>
      ask(
        () => credentials.mayExecute(path),
        () => null,
      ) ?? plain.isExecutable(path),
    // A lookup in the folder needs the right to enter it.
    canEnter: (folder) =>
      ask(
        () => stat(`${folder}/.`)?.isDirectory() === true,
        () => plain.canEnter(folder),
      ),
    open: (path, flags) =>
      ask(
        () => openSync(path, flags),
        () => plain.open(path, flags),
      ),
  };
}

/** fcntl.h: refers to a file without opening it. */
const O_PATH = 0o10000000;
const [READ, EXECUTE] = [4, 1];

/** Checks owner, group and mode of the file itself and of each folder on its real path. */
function checkedRights(identity: Identity): Rights {
  const withFile = <T>(path: string, use: (fd: number, stats: Stats) => T): T => {
    const fd = openSync(path, O_PATH);
    try {
      const stats = fstatSync(fd);
      if (!isReachable(readlinkSync(`/proc/self/fd/${fd}`), identity)) throw denied(path);
      return use(fd, stats);
    } finally {
      closeSync(fd);
    }
  };
  const has = (path: string, right: number): boolean =>
    succeeds(
      () => withFile(path, (_, stats) => mayUse(stats, right, identity)),
      (isAllowed) => isAllowed,
    );
  return {
    stat: (path) => {
      try {
        return withFile(path, (_, stats) => stats);
      } catch {
        return null;
      }
    },
    isExecutable: (path) => has(path, EXECUTE),
    canEnter: (folder) => has(folder, EXECUTE) && stat(folder)?.isDirectory() === true,
    open: (path, flags) =>
      withFile(path, (fd, stats) => {
        if (!mayUse(stats, READ, identity)) throw denied(path);
        return openSync(`/proc/self/fd/${fd}`, flags);
      }),
  };
}

function isReachable(path: string, identity: Identity): boolean {
  for (let folder = dirname(path); ; folder = dirname(folder)) {
    const stats = stat(folder);
    if (stats === null || !mayUse(stats, EXECUTE, identity)) return false;
    if (folder === '/') return true;
  }
}

function mayUse({ uid, gid, mode }: Stats, right: number, identity: Identity): boolean {
  const shift = uid === identity.uid ? 6 : identity.groups.includes(gid) ? 3 : 0;
  return ((mode >> shift) & right) === right;
}

function stat(path: string): Stats | null {
  try {
    return statSync(path);
  } catch {
    return null;
  }
}

function succeeds<T>(work: () => T, isGood: (result: T) => boolean = () => true): boolean {
  try {
    return isGood(work());
  } catch {
    return false;
  }
}

function denied(path: string): Error {
  return Object.assign(new Error(`EACCES: permission denied, open '${path}'`), { code: 'EACCES' });
}
