/** A child that Node has not spawned: its end comes with SIGCHLD, and we take it ourselves. */
import { EventEmitter } from 'node:events';
import type { Readable } from 'node:stream';
import { nativeNow } from './native.ts';
import type { Spawner } from './native-spawn.ts';
import { endOf } from './wait-status.ts';

/** What is used of a child, Node's or one of these. */
export type Child = {
  readonly pid?: number | undefined;
  readonly stdout: Readable | null;
  readonly stderr: Readable | null;
  readonly connected: boolean;
  send(message: 'shutdown', sent: () => void): boolean;
  disconnect(): void;
  on(event: 'error', listener: (error: Error) => void): unknown;
  on(event: 'message', listener: (message: unknown) => void): unknown;
  once(event: 'error', listener: (error: Error) => void): unknown;
  once(event: 'exit', listener: (code: number | null, signal: NodeJS.Signals | null) => void): unknown;
};

type Place = {
  readonly file: string;
  readonly args: readonly string[];
  readonly cwd: string;
  readonly env: Readonly<Record<string, string>>;
  readonly stdio: readonly ('inherit' | 'pipe' | 'ignore' | 'ipc' | number)[];
};

/** In a session of its own, as who we are; `null` where that takes more than the kernel's own calls. */
export function spawnNative({ stdio, ...place }: Place): Child | null {
  const spawner = nativeNow()?.spawner ?? null;
  const descriptors = stdio.filter((each) => typeof each === 'number' || each === 'ignore');
  if (spawner === null || descriptors.length < stdio.length) return null;
  // Before the first is there: one that is over at once must not go unseen.
  if (!isListening) process.on('SIGCHLD', takeEnded);
  isListening = true;
  const pid = spawner.spawn({ ...place, descriptors });
  if (pid === null) return null;
  const child = new NativeChild(pid, spawner);
  children.add(child);
  return child;
}

const children = new Set<NativeChild>();
let isListening = false;

/** One signal may stand for many. */
function takeEnded(): void {
  for (const child of children) {
    if (!child.takeEnd()) continue;
    children.delete(child);
    child.tellEnd();
  }
}

class NativeChild extends EventEmitter implements Child {
  readonly pid: number;
  readonly stdout = null;
  readonly stderr = null;
  readonly connected = false;
  readonly #spawner: Spawner;
  #status: number | null = null;

  constructor(pid: number, spawner: Spawner) {
    super();
    this.pid = pid;
    this.#spawner = spawner;
  }

  send(): boolean {
    return false;
  }

  disconnect(): void {}

  /** Whether it has ended, and is a zombie no more. */
  takeEnd(): boolean {
    this.#status = this.#spawner.wait(this.pid);
    return this.#status !== null;
  }

  tellEnd(): void {
    const isKnown = this.#status !== null && this.#status >= 0;
    this.emit('exit', ...endOf(isKnown ? this.#status : null));
  }
}
