/** The socket that a service tells its state to, as systemd's NOTIFY_SOCKET: made, listened to, removed. */
import { chmodSync, closeSync, lstatSync, rmSync } from 'node:fs';
import { EXIT, GsupError, isGsupError } from '../core/error.ts';
import { type NotifyMessage, parseNotify } from '../core/notify.ts';
import { Allowance } from './allowance.ts';
import { type NativeNotify, nativeNotifyNow, type Received, type Sender } from './native-notify.ts';
import { whenReadable } from './readable.ts';

/** sockaddr_un has 108 bytes, the last one a NUL. */
const LONGEST_PATH = 107;
/** As long as a sender's buffer lets a datagram be (net.core.wmem_default); what is longer is left out whole. */
const LONGEST_MESSAGE = 256 * 1024;
/** Taken in one turn of the event loop. */
const MOST_AT_ONCE = 50;
/** A sender of more has to wait: a unit for each message and one for each 4 KiB of it. */
const MESSAGES = { burst: 1_000, perSecond: 50 };
const UNIT_LENGTH = 4 * 1024;

export type NotifySocket = {
  readonly path: string;
  /** Hears no more, and removes the file. */
  close(): void;
};

/** Shared by all sockets: it is read before anything else happens. */
let buffer: Buffer | null = null;

/** Whether a socket can have this path. */
export function socketPathFits(path: string): boolean {
  return Buffer.byteLength(path) <= LONGEST_PATH;
}

/**
 * Listens at `path`, in place of whatever was there; every user who can reach it may send, and every user can read its
 * path in /proc/net/unix: `hear` decides by the sender. What says nothing known (a BARRIER) is left out. `null` without koffi, or before loadNativeNotify() has ended; a GsupError where there can be no
 * socket.
 */
export function openNotify(
  path: string,
  hear: (message: NotifyMessage, sender: Sender | null) => void,
): NotifySocket | null {
  if (!socketPathFits(path)) {
    const hint = `a socket's path has ${LONGEST_PATH} bytes at most: set GSUP_HOME to a shorter one`;
    throw new GsupError(`cannot listen on ${path}: it is too long`, { exitStatus: EXIT.failed, hint });
  }
  const native = nativeNotifyNow();
  if (native === null) return null;
  const { fd, inode } = listenAt(native, path);
  let isOpen = true;
  let isAside = false;
  const messages = new Allowance(MESSAGES);
  const take = ({ text, sender }: Message): number => {
    const message = parseNotify(text);
    if (Object.keys(message).length > 0) hear(message, sender);
    return messages.take(1 + Math.floor(text.length / UNIT_LENGTH));
  };
  const waitFor = (waitMs: number): void => {
    readable.pause();
    setTimeout(() => isOpen && readable.resume(), waitMs).unref();
  };
  const takeAside = async (): Promise<void> => {
    readable.pause();
    isAside = true;
    const received = await inLane(() => receiveAside(native, fd));
    isAside = false;
    if (!isOpen) readable.close();
    else waitFor(received === null ? 0 : take(received));
  };
  const readable = whenReadable(fd, () => {
    for (let count = 0; isOpen && count < MOST_AT_ONCE; count++) {
      if (native.hasDescriptors(fd)) {
        void takeAside();
        return;
      }
      const received = receive(native, fd);
      if (received === null) return;
      const waitMs = take(received);
      if (waitMs === 0 || !isOpen) continue;
      waitFor(waitMs);
      return;
    }
  });
  return {
    path,
    close: () => {
      if (!isOpen) return;
      isOpen = false;
      // A thread may still use the descriptor, whose number must not become another's.
      if (!isAside) readable.close();
      // A later socket may have the path by now.
      if (inodeOf(path) === inode) rmSync(path, { force: true });
    },
  };
}

function listenAt(native: NativeNotify, path: string): { fd: number; inode: number | null } {
  let bound: ReturnType<NativeNotify['bindDatagram']> | null = null;
  try {
    rmSync(path, { force: true });
    bound = native.bindDatagram(path);
    if ('error' in bound) throw cannotListen(path, bound.error);
    // Services run as other users.
    chmodSync(path, 0o666);
    return { fd: bound.fd, inode: inodeOf(path) };
  } catch (error) {
    if (isGsupError(error)) throw error;
    if (bound !== null && 'fd' in bound) closeSync(bound.fd);
    throw cannotListen(path, (error as NodeJS.ErrnoException).code ?? String(error), error);
  }
}

function cannotListen(path: string, why: string, cause?: unknown): GsupError {
  return new GsupError(`cannot listen on ${path}: ${why}`, { exitStatus: EXIT.failed, cause });
}

type Message = { readonly text: string; readonly sender: Sender | null };

/** The next datagram, its text empty where it is too long; `null` when there is none. */
function receive(native: NativeNotify, fd: number): Message | null {
  buffer ??= Buffer.allocUnsafeSlow(LONGEST_MESSAGE);
  return messageIn(buffer, native.receive(fd, buffer));
}

/** The same in a thread of its own: descriptors come along, and to close them may take long. */
async function receiveAside(native: NativeNotify, fd: number): Promise<Message | null> {
  const own = Buffer.allocUnsafeSlow(LONGEST_MESSAGE);
  return messageIn(own, await native.receiveAside(fd, own));
}

function messageIn(bytes: Buffer, { length, sender }: Received): Message | null {
  if (length < 0) return null;
  return { text: length > bytes.length ? '' : bytes.toString('utf8', 0, length), sender };
}

/** Threads that may be held up at once, of the four that all file system calls share. */
const lanes: Promise<unknown>[] = [Promise.resolve(), Promise.resolve()];
let lane = 0;

function inLane<T>(work: () => Promise<T>): Promise<T> {
  lane = (lane + 1) % lanes.length;
  const done = (lanes[lane] ?? Promise.resolve()).then(work);
  lanes[lane] = done.catch(() => {});
  return done;
}

function inodeOf(path: string): number | null {
  return lstatSync(path, { throwIfNoEntry: false })?.ino ?? null;
}
