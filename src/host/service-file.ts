/** Reads small files of a service that its user may have written: never blocks, up to a limit, with the user's rights. */
import { closeSync, constants, fstatSync, readlinkSync, readSync } from 'node:fs';
import type { ServiceSpec } from '../core/service.ts';
import { type Identity, isOtherUser } from './identity.ts';
import { type Rights, rightsOf } from './rights.ts';
import { isTrustedPath } from './trusted-path.ts';

/** A FIFO, a device or a leased file must not block, nor become the controlling terminal. */
const FLAGS = constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY;

const PASSING = ['EMFILE', 'ENFILE', 'ENOMEM', 'EIO'];

type Refusal = 'missing' | 'denied' | 'no-file' | 'too-large' | 'busy' | 'unreadable';

/** Why a file could not be read. */
export class FileError extends Error {
  readonly refusal: Refusal;

  constructor(refusal: Refusal, cause?: unknown) {
    super(refusal, { cause });
    this.refusal = refusal;
  }

  /** Whether another try may help. */
  get isPassing(): boolean {
    return this.refusal === 'busy' || PASSING.includes(codeOf(this.cause));
  }

  /** For a message: `it does not exist`. */
  reason({ user }: Pick<ServiceSpec, 'user'>): string {
    switch (this.refusal) {
      case 'missing':
        return 'it does not exist';
      case 'denied':
        return user === null ? 'no permission' : `the user ${user} may not read it`;
      case 'no-file':
        return 'it is not a regular file';
      case 'too-large':
        return 'it is too large';
      case 'busy':
        return 'another process holds a lease on it';
      case 'unreadable':
        return codeOf(this.cause);
    }
  }
}

/**
 * The whole file, at most `limit` bytes. A file that the user can't read is read as gsup if its path is trusted: an
 * administrator keeps secrets of a service there. @throws {FileError}
 */
export function readWhole(path: string, limit: number, identity: Identity | null): Buffer {
  const bytes = read(path, limit + 1, identity, true);
  if (bytes.length > limit) throw new FileError('too-large');
  return bytes;
}

/** The first `limit` bytes. @throws {FileError} */
export function readStart(path: string, limit: number, identity: Identity | null): Buffer {
  return read(path, limit, identity, false);
}

function read(path: string, limit: number, identity: Identity | null, allowsTrusted: boolean): Buffer {
  const fd = open(path, identity, allowsTrusted);
  try {
    if (!fstatSync(fd).isFile() || (isOtherUser(identity) && isOfKernel(fd))) throw new FileError('no-file');
    const buffer = Buffer.allocUnsafe(limit);
    let length = 0;
    while (length < limit) {
      const count = readSync(fd, buffer, length, limit - length, null);
      if (count === 0) break;
      length += count;
    }
    return buffer.subarray(0, length);
  } catch (error) {
    throw error instanceof FileError ? error : new FileError('unreadable', error);
  } finally {
    closeSync(fd);
  }
}

function open(path: string, identity: Identity | null, allowsTrusted: boolean): number {
  try {
    return openBy(rightsOf(identity), path);
  } catch (error) {
    const isTrusted = allowsTrusted && isOtherUser(identity) && refusalOf(error) === 'denied' && isTrustedPath(path);
    if (!isTrusted) throw new FileError(refusalOf(error), error);
  }
  try {
    return openBy(rightsOf(null), path);
  } catch (error) {
    throw new FileError(refusalOf(error), error);
  }
}

function openBy(rights: Rights, path: string): number {
  return rights.open(path, FLAGS);
}

/** What /proc/self contains depends on the process that reads it, which is gsup. */
function isOfKernel(fd: number): boolean {
  return readlinkSync(`/proc/self/fd/${fd}`).startsWith('/proc/');
}

const REFUSALS: Readonly<Record<string, Refusal>> = {
  ENOENT: 'missing',
  ENOTDIR: 'missing',
  EACCES: 'denied',
  EPERM: 'denied',
  // ENXIO and ENODEV: a socket, a device without a driver; EAGAIN: another process holds a lease.
  ENXIO: 'no-file',
  ENODEV: 'no-file',
  EAGAIN: 'busy',
};

function refusalOf(error: unknown): Refusal {
  return REFUSALS[codeOf(error)] ?? 'unreadable';
}

function codeOf(error: unknown): string {
  return (error as NodeJS.ErrnoException | undefined)?.code ?? 'unknown error';
}
