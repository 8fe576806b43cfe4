/**
 * One daemon for each home. The lock is a socket in the home that its daemon listens on, `lock.N`: no other user can
 * reach it, every network namespace sees the same one, and the kernel refuses connections once that process is gone.
 * A new daemon links a socket that listens already to the number after the highest, when nothing listens on that one.
 * The highest number is never removed, so a daemon that looked too early finds its own number taken or a higher one.
 */
import { randomBytes } from 'node:crypto';
import { linkSync, readdirSync, rmSync } from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { STUCK_HINT } from '../api/client.ts';
import { type Home, socketPath } from '../api/home.ts';
import { systemReason } from '../api/system-error.ts';
import { formatDuration } from '../core/duration.ts';
import { EXIT, GsupError } from '../core/error.ts';

export type Lock = {
  /** Answers everyone who waits for this daemon, now and later. */
  ready(): void;
  /** From now on the others wait for the end of this process. */
  ending(): void;
  release(): void;
};

/** The process that holds the lock of a home. */
export type Holder = {
  /** `ready` once it answers, `gone` when it ended first, `silent` when neither happened within `ms`. */
  answer(ms: number): Promise<'ready' | 'gone' | 'silent'>;
  /** Whether it ends within `ms`. */
  gone(ms: number): Promise<boolean>;
  release(): void;
};

/** Time limit for another daemon to answer or to end. */
const ANSWER_WAIT_MS = 15_000;
/** Between two attempts. */
const PAUSE_MS = 10;
/** Codes of connect(2) when no process holds the lock. */
const FREE = new Set(['ECONNREFUSED', 'ECONNRESET', 'ENOENT', 'ELOOP']);
/** Fifteen digits are counted exactly. */
const NAME = /^lock\.(\d{1,15})$/;

/** The lock, or `null` when another daemon has it and answers. @throws {GsupError} when neither happens in time. */
export async function takeLock(home: Home): Promise<Lock | null> {
  for (const until = performance.now() + ANSWER_WAIT_MS; performance.now() < until; await sleep(PAUSE_MS)) {
    const { number, found } = await lookUp(home);
    if (found === 'free') {
      const lock = await tryToTake(home, number + 1);
      if (lock !== null) return lock;
    } else if (found !== 'busy') {
      const answer = await found.answer(until - performance.now());
      found.release();
      if (answer === 'ready') return null;
    }
  }
  throw new GsupError(`another daemon of ${home.folder} has not answered within ${formatDuration(ANSWER_WAIT_MS)}`, {
    exitStatus: EXIT.timedOut,
    hint: STUCK_HINT,
  });
}

/** The process that holds the lock, or `null` when none does. @throws {GsupError} 124 when it takes no more connections. */
export async function findHolder(home: Home): Promise<Holder | null> {
  let { number, found } = await lookUp(home);
  // A daemon took it meanwhile; there are as many of these as there are daemons.
  while (found === 'free' && highestIn(home) !== number) ({ number, found } = await lookUp(home));
  if (found === 'free') return null;
  if (found !== 'busy') return found;
  throw new GsupError('the daemon takes no connections', { exitStatus: EXIT.timedOut, hint: STUCK_HINT });
}

/** The highest number (0: none has been taken yet), and what is there. */
async function lookUp(home: Home): Promise<{ readonly number: number; readonly found: Holder | 'free' | 'busy' }> {
  const number = highestIn(home);
  const found = number === 0 ? 'free' : await visit(home, join(home.folder, nameOf(number)));
  return { number, found };
}

/** What is no socket refuses connections, too. */
function visit(home: Home, file: string): Promise<Holder | 'free' | 'busy'> {
  const { path, release } = socketPath(file, home.folder);
  return new Promise<Holder | 'free' | 'busy'>((resolve, reject) => {
    const socket = connect(path);
    const onError = (error: NodeJS.ErrnoException): void => {
      // ECONNRESET: the holder died in this moment. ENOENT: the next one has removed it, or a link to nothing, like ELOOP.
      if (FREE.has(error.code ?? '')) resolve('free');
      // Its queue is full.
      else if (error.code === 'EAGAIN') resolve('busy');
      else reject(cannotLock(home, error));
    };
    socket.once('error', onError);
    socket.once('connect', () => {
      socket.off('error', onError);
      resolve(holderBehind(socket));
    });
  }).finally(release);
}

function holderBehind(socket: Socket): Holder {
  // A reset is followed by its close.
  socket.on('error', () => {});
  const ready = new Promise<'ready'>((resolve) => socket.once('data', () => resolve('ready')));
  const gone = new Promise<'gone'>((resolve) => socket.once('close', () => resolve('gone')));
  return {
    answer: async (ms) => (await within(ms, Promise.race([ready, gone]))) ?? 'silent',
    gone: async (ms) => (await within(ms, gone)) !== null,
    release: () => socket.destroy(),
  };
}

/** `null`: another daemon was faster. */
async function tryToTake(home: Home, number: number): Promise<Lock | null> {
  const fresh = join(home.folder, `lock.x${randomBytes(4).toString('hex')}`);
  const { server, lock } = createLock();
  try {
    await listen(server, fresh, home.folder);
    linkSync(fresh, join(home.folder, nameOf(number)));
  } catch (error) {
    server.close();
    const { code } = error as NodeJS.ErrnoException;
    // ENOENT: the daemon that was faster has removed ours with all that is left over.
    if (code === 'EEXIST' || code === 'ENOENT' || code === 'EADDRINUSE') return null;
    throw cannotLock(home, error as NodeJS.ErrnoException);
  } finally {
    remove(fresh);
  }
  if (highestIn(home) > number) {
    server.close();
    return null;
  }
  for (const name of readdirSync(home.folder)) {
    const isLeftOver = NAME.test(name) ? name !== nameOf(number) : /^lock\.x[\da-f]{8}$/.test(name);
    if (isLeftOver) remove(join(home.folder, name));
  }
  return lock;
}

function createLock(): { readonly server: Server; readonly lock: Lock } {
  let isReady = false;
  const waiting = new Set<Socket>();
  const server = createServer((socket) => {
    socket.on('error', () => {});
    socket.once('close', () => waiting.delete(socket));
    socket.resume();
    // It stays open: its close tells the end of this process.
    socket.unref();
    if (isReady) socket.write('ready\n');
    else waiting.add(socket);
  });
  server.unref();
  const lock: Lock = {
    ready: () => {
      isReady = true;
      for (const socket of waiting) socket.write('ready\n');
      waiting.clear();
    },
    ending: () => {
      isReady = false;
    },
    release: () => server.close(),
  };
  return { server, lock };
}

function listen(server: Server, file: string, folder: string): Promise<void> {
  const { path, release } = socketPath(file, folder);
  return new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    const before = process.umask(0o177);
    server.listen(path, resolve);
    // The socket is bound when listen returns.
    process.umask(before);
  }).finally(release);
}

function highestIn(home: Home): number {
  return Math.max(0, ...readdirSync(home.folder).map((name) => Number(NAME.exec(name)?.[1] ?? 0)));
}

function nameOf(number: number): string {
  return `lock.${number}`;
}

/** What can't be removed does no harm. */
function remove(file: string): void {
  try {
    rmSync(file, { force: true });
  } catch {
    // A folder, put there by hand.
  }
}

async function within<T>(ms: number, promise: Promise<T>): Promise<T | null> {
  const abort = new AbortController();
  const late = sleep(Math.max(0, ms), null, { signal: abort.signal }).catch(() => null);
  const first = await Promise.race([promise, late]);
  abort.abort();
  return first;
}

function cannotLock({ folder }: Home, cause: NodeJS.ErrnoException): GsupError {
  return new GsupError(`cannot lock the home ${folder}: ${systemReason(cause)}`, {
    exitStatus: EXIT.failed,
    hint:
      cause.code === 'ENOSPC'
        ? 'make room on its disk'
        : 'set GSUP_HOME to a folder on a disk that you may write to and that can have sockets',
    cause,
  });
}
