/** The file of a Unix socket: a dead server's is cleared away, our own is known again. */
import {
  type BigIntStats,
  chmodSync,
  closeSync,
  constants,
  fstatSync,
  lstatSync,
  openSync,
  type Stats,
  unlinkSync,
} from 'node:fs';
import { dirname } from 'node:path';
import { isGsupError } from '../core/error.ts';
import type { SocketAddress } from '../core/service.ts';
import { type Identity, isOtherUser } from './identity.ts';
import { nativeNow } from './native.ts';
import { LONGEST_PATH } from './socket-address.ts';
import { cannotListen, heldBy, needsKoffi, noSocket, notRemovable, tooLong } from './socket-failure.ts';
import { findListener } from './socket-table.ts';
import { isTrustedPath } from './trusted-path.ts';

/** asm-generic/fcntl.h: names a file without opening it, which a socket does not allow. */
const O_PATH = 0o10000000;

type UnixAddress = Extract<SocketAddress, { kind: 'unix' }>;

/** Makes room for a socket. @throws {GsupError} when the path can't be one, or something is there that lives or is no socket. */
export function clearPath(address: UnixAddress, owner: Identity | null): void {
  const { path } = address;
  if (Buffer.byteLength(path) > LONGEST_PATH) throw cannotListen(address, tooLong(path));
  const stat = statOf(path);
  if (stat === null) return;
  if (!stat.isSocket()) throw cannotListen(address, noSocket());
  const inode = findListener(address);
  if (inode !== null) throw cannotListen(address, heldBy(address, inode));
  try {
    inFolder(address, owner, () => unlinkSync(path));
  } catch (error) {
    if (isGsupError(error)) throw error;
    throw cannotListen(address, notRemovable((error as NodeJS.ErrnoException).code ?? 'unknown error'));
  }
}

/**
 * Runs `work` on a socket's path. If another user can change where the path leads, it runs with the rights of the
 * service's user. @throws {GsupError} if it can't switch to them.
 */
export function inFolder<T>(address: UnixAddress, owner: Identity | null, work: () => T): T {
  if (!isOtherUser(owner) || isTrustedPath(dirname(address.path))) return work();
  const done = nativeNow()?.credentials?.during(owner, work) ?? null;
  if (done === null) throw cannotListen(address, needsKoffi());
  return done.result;
}

/** `null` also for what can't be looked at: bind(2) will tell. */
function statOf(path: string): Stats | null {
  try {
    return lstatSync(path);
  } catch {
    return null;
  }
}

/** What a file is known by, `null` when there is none: its inode's number alone may be another's once it was removed. */
export function fileIdentity(path: string): string | null {
  try {
    return identityOf(lstatSync(path, { bigint: true }));
  } catch {
    return null;
  }
}

function identityOf({ dev, ino, birthtimeNs }: BigIntStats): string {
  return `${dev}:${ino}:${birthtimeNs}`;
}

/** Changes its mode if it still is that socket: by descriptor, so that no link in its place is followed. */
export function changeMode(path: string, identity: string, mode: number): void {
  let fd: number;
  try {
    fd = openSync(path, O_PATH | constants.O_NOFOLLOW);
  } catch {
    // Gone.
    return;
  }
  try {
    const stat = fstatSync(fd, { bigint: true });
    if (stat.isSocket() && identityOf(stat) === identity) chmodSync(`/proc/self/fd/${fd}`, mode);
  } finally {
    closeSync(fd);
  }
}

/** Removes it if it still is that one. */
export function removeFile(path: string, identity: string, owner: Identity | null): void {
  if (fileIdentity(path) !== identity) return;
  try {
    inFolder({ kind: 'unix', path }, owner, () => unlinkSync(path));
  } catch {
    // Gone in this moment, or not ours to remove; the next one who binds there sees that nobody listens.
  }
}
