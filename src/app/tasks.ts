/** What the app has begun and the shutdown waits for: tasks, workers, and what is tracked by hand. */
import type { CancellationToken, Outcome, Step } from './api.ts';
import { isCancellation } from './causes.ts';
import type { Changes } from './changes.ts';
import { messageOf } from './error-text.ts';
import { ShuttingDownError } from './shutting-down-error.ts';
import { createToken } from './token.ts';

type Kind = 'task' | 'worker' | 'tracked';
type Work<T> = (signal: AbortSignal) => T | Promise<T>;
type Entry = {
  readonly kind: Kind;
  readonly name: string;
  readonly beganAt: number;
  endedAt: number | null;
  outcome: Outcome;
  error: unknown;
};

export type TasksOptions = {
  /** Cancelled when the shutdown begins. */
  readonly root: CancellationToken;
  readonly changes: Changes;
  /** A worker failed, whenever that was. */
  readonly workerFailed: (name: string, error: unknown) => void;
};

export class Tasks {
  readonly #options: TasksOptions;
  readonly #running = new Set<Entry>();
  readonly #failedWorkers: Entry[] = [];
  /** What had not ended when the shutdown began, or began while traffic was still served. */
  #left: Entry[] = [];
  /** While traffic is still served its tasks are too: what they are cancelled by then. */
  #late: CancellationToken | null = null;

  constructor(options: TasksOptions) {
    this.#options = options;
  }

  async run<T>(name: string, work: Work<T>): Promise<T> {
    this.refuseTask(name);
    return this.#follow('task', name, work);
  }

  worker(name: string, work: Work<unknown>): void {
    this.refuse(`begin worker "${name}"`);
    this.#follow('worker', name, work).catch((error: unknown) => {
      if (!this.#isCancelled(error)) this.#options.workerFailed(name, error);
    });
  }

  track(name = 'tracked'): () => void {
    const entry = this.#begin('tracked', name);
    return () => {
      if (this.#running.has(entry)) this.#end(entry, 'done');
    };
  }

  /** From now on it knows what it waits for. */
  begin(): void {
    this.#left = [...this.#running];
  }

  /** Traffic is still served: tasks may begin, until the result is called, which cancels them. */
  serveOn(): () => void {
    const late = createToken();
    this.#late = late;
    return () => {
      this.#late = null;
      late.cancel(this.#options.root.signal.reason);
    };
  }

  count(kind: Kind): number {
    let count = 0;
    for (const entry of this.#running) if (entry.kind === kind) count += 1;
    return count;
  }

  get names(): readonly string[] {
    return [...this.#running].map(({ name }) => name);
  }

  steps(kind: Kind): readonly Step[] {
    const early = kind === 'worker' ? this.#failedWorkers.filter((entry) => !this.#left.includes(entry)) : [];
    return [...early, ...this.#left.filter((entry) => entry.kind === kind)].map(stepOf);
  }

  /** What had begun and was not done in the end, a sentence each; what was cancelled is not among it. */
  get undone(): readonly string[] {
    return this.#left.flatMap(({ kind, name, outcome, error }) => {
      const what = `${kind === 'tracked' ? 'task' : kind} "${name}"`;
      if (outcome === 'late') return [`${what} had not ended`];
      return outcome === 'failed' ? [`${what} failed: ${messageOf(error)}`] : [];
    });
  }

  /** Errors of what failed, with its place. */
  get failures(): readonly { readonly where: string; readonly error: unknown }[] {
    return (
      [...new Set([...this.#failedWorkers, ...this.#left])]
        // A worker that ends when it is told to has done what it should.
        .filter(({ error, kind, outcome }) => error !== undefined && (kind !== 'worker' || outcome !== 'cancelled'))
        .map(({ kind, name, error }) => ({ where: `${kind} "${name}"`, error }))
    );
  }

  /** @throws ShuttingDownError once it has begun, and no traffic is served any more. */
  refuseTask(name: string): void {
    if (this.#late === null) this.refuse(`begin task "${name}"`);
  }

  /** @throws ShuttingDownError once it has begun. */
  refuse(what: string): void {
    const { signal } = this.#options.root;
    if (signal.aborted) throw new ShuttingDownError(signal.reason.reason, what);
  }

  async #follow<T>(kind: Kind, name: string, work: Work<T>): Promise<T> {
    const entry = this.#begin(kind, name);
    const token = (this.#late ?? this.#options.root).child();
    try {
      const value = await work(token.signal);
      this.#end(entry, 'done');
      return value;
    } catch (error) {
      this.#end(entry, this.#isCancelled(error) ? 'cancelled' : 'failed', error);
      throw error;
    } finally {
      token[Symbol.dispose]();
    }
  }

  #begin(kind: Kind, name: string): Entry {
    const entry: Entry = { kind, name, beganAt: performance.now(), endedAt: null, outcome: 'late', error: undefined };
    this.#running.add(entry);
    if (this.#late !== null) this.#left.push(entry);
    return entry;
  }

  #end(entry: Entry, outcome: Outcome, error?: unknown): void {
    entry.endedAt = performance.now();
    entry.outcome = outcome;
    entry.error = error;
    this.#running.delete(entry);
    if (entry.kind === 'worker' && outcome === 'failed') this.#failedWorkers.push(entry);
    this.#options.changes.tell();
  }

  #isCancelled(error: unknown): boolean {
    if (!this.#options.root.signal.aborted) return false;
    return isCancellation(error);
  }
}

function stepOf({ name, outcome, beganAt, endedAt, error }: Entry): Step {
  const ms = Math.round((endedAt ?? performance.now()) - beganAt);
  return { name, outcome, ms, ...(outcome === 'failed' ? { error: messageOf(error) } : {}) };
}
