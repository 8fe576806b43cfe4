/** The end of a process that is no child of ours: by pidfd, or by looking now and then where there is none. */
import { existsSync } from 'node:fs';
import type { SignalName } from '../core/signal.ts';
import { loadNative, type Native } from './native.ts';
import { readStat } from './processes.ts';
import { whenReadable } from './readable.ts';
import { endOf } from './wait-status.ts';

/** Without pidfd there is no event for the end of a process that is not ours. */
const LOOK_MS = 500;
/** Between the end of a process and the moment that its parent has taken its status; the kernel tells it afterwards. */
const STATUS_TRIES = 5;
const STATUS_WAIT_MS = 4;

export type ExitWatch = { end(): void };
type Ended = (code: number | null, signal: SignalName | null) => void;
type Watched = { readonly pid: number; readonly startTicks: number };

/** Calls back once when the process has ended; code and signal are `null` where nobody can tell them. */
export function watchExit(watched: Watched, ended: Ended): ExitWatch {
  let release = () => {};
  let isOver = false;
  const tell: Ended = (code, signal) => {
    if (isOver) return;
    isOver = true;
    release();
    ended(code, signal);
  };
  void loadNative().then((native) => {
    if (isOver) return;
    release = native === null ? look(watched, tell) : watchPidfd(native, watched, tell);
  });
  return {
    end: () => {
      isOver = true;
      release();
    },
  };
}

function watchPidfd(native: Native, watched: Watched, ended: Ended): () => void {
  const fd = native.openPidfd(watched.pid);
  if (fd < 0) return look(watched, ended);
  const readable = whenReadable(fd, () => {
    readable.pause();
    void statusOf(native, fd, watched.pid).then((status) => ended(...endOf(status)));
  });
  // It may have ended, and its pid be another's, before the descriptor was there.
  if (!lives(watched)) setImmediate(() => ended(null, null));
  return () => readable.close();
}

function look(watched: Watched, ended: Ended): () => void {
  const timer = setInterval(() => {
    if (!lives(watched)) ended(null, null);
  }, LOOK_MS);
  return () => clearInterval(timer);
}

function lives({ pid, startTicks }: Watched): boolean {
  const stat = readStat(pid);
  // Without a descriptor to read it with, it is there as long as its folder is.
  if (stat === null) return existsSync(`/proc/${pid}`);
  return stat.startTicks === startTicks && stat.state !== 'Z' && stat.state !== 'X';
}

async function statusOf(native: Native, fd: number, pid: number): Promise<number | null> {
  for (let tries = 0; tries < STATUS_TRIES; tries++) {
    const status = native.exitStatus(fd) ?? zombieStatus(pid);
    if (status !== null) return status;
    await new Promise((resolve) => setTimeout(resolve, STATUS_WAIT_MS));
  }
  return null;
}

/** As long as its parent has not taken the status. */
function zombieStatus(pid: number): number | null {
  const stat = readStat(pid);
  return stat?.state === 'Z' ? stat.exitStatus : null;
}
