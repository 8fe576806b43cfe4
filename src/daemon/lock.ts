/** One daemon for a home: an abstract Unix socket is the lock, which the kernel takes back from whoever dies. */
import { connect, createServer, type Server, type Socket } from 'node:net';
import { type Home, lockName } from '../api/home.ts';

export type Lock = {
  /** Tells those who wait that the daemon answers. */
  ready(): void;
  release(): void;
};

/** Another daemon that begins has at most so long until it answers. */
const READY_WAIT_MS = 15_000;
/** A daemon that was asked to end stops every service first. */
const GONE_WAIT_MS = 600_000;

/** The lock, or `null` when another daemon has it (resolves when that one answers). */
export async function takeLock(home: Home): Promise<Lock | null> {
  const name = lockName(home);
  for (;;) {
    const lock = await tryToTake(name);
    if (lock !== null) return lock;
    if (await othersReady(name)) return null;
  }
}

function tryToTake(name: string): Promise<Lock | null> {
  return new Promise((resolve, reject) => {
    let isReady = false;
    const waiting = new Set<Socket>();
    const server: Server = createServer((socket) => {
      socket.on('error', () => {});
      socket.unref();
      // It stays open: its close tells the end of this process.
      if (isReady) socket.write('ready\n');
      else waiting.add(socket);
    });
    server.once('error', (error: NodeJS.ErrnoException) =>
      error.code === 'EADDRINUSE' ? resolve(null) : reject(error),
    );
    server.listen(name, () =>
      resolve({
        ready: () => {
          isReady = true;
          for (const socket of waiting) socket.write('ready\n');
          waiting.clear();
        },
        release: () => server.close(),
      }),
    );
    server.unref();
  });
}

/** Whether the one that has the lock says that it answers; false when it is gone before. */
function othersReady(name: string): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const socket = connect(name);
    let isReady = false;
    socket.setTimeout(READY_WAIT_MS, () => {
      socket.destroy();
      reject(new Error('another daemon has begun and does not answer'));
    });
    socket.on('data', () => {
      isReady = true;
      socket.destroy();
    });
    socket.on('error', () => resolve(false));
    socket.on('close', () => resolve(isReady));
  });
}

/** Resolves when the process that holds the lock of the home is gone; 10 min at most. */
export function whenGone(home: Home): Promise<void> {
  return new Promise((resolve) => {
    const socket = connect(lockName(home));
    let timer: NodeJS.Timeout | undefined;
    socket.on('data', () => {});
    socket.on('error', () => resolve());
    socket.on('close', () => {
      clearTimeout(timer);
      resolve();
    });
    timer = setTimeout(() => socket.destroy(), GONE_WAIT_MS);
    timer.unref();
  });
}
