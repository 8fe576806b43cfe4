/** Hooks: what the app closes and flushes at the end, last registered first. */
import type { HookContext, HookOptions, Outcome, Step } from './api.ts';
import { type Deadline, durationOf } from './deadline.ts';
import { messageOf } from './error-text.ts';

type HookPhase = 'close' | 'flush';
type Hook = {
  readonly name: string;
  readonly run: (context: HookContext) => unknown;
  readonly phase: HookPhase;
  readonly ownMs: number | undefined;
};
export type Failure = { readonly where: string; readonly error: unknown };

export class Hooks {
  readonly #hooks: Hook[] = [];
  readonly #steps: (Step & { readonly phase: HookPhase })[] = [];
  readonly failures: Failure[] = [];
  /** Names that were registered while they were there. */
  readonly doubles = new Set<string>();
  /** The hook that runs now. */
  running: string | null = null;

  /** Returns what removes it. */
  add(name: string, run: Hook['run'], { timeout, phase = 'close' }: HookOptions = {}): () => void {
    const ownMs = timeout === undefined ? undefined : durationOf(`hook "${name}", timeout`, timeout);
    if (phase !== 'close' && phase !== 'flush')
      throw new TypeError(`hook "${name}": "${String(phase)}" is no phase; write close or flush`);
    if (this.#hooks.some((other) => other.name === name)) this.doubles.add(name);
    const hook = { name, run, phase, ownMs };
    this.#hooks.push(hook);
    return () => {
      const index = this.#hooks.indexOf(hook);
      if (index >= 0) this.#hooks.splice(index, 1);
    };
  }

  /** How many are still to be run. */
  get left(): number {
    return this.#hooks.length;
  }

  get steps(): readonly (Step & { readonly phase: HookPhase })[] {
    return this.#steps;
  }

  /** Runs those of a phase, one that is registered meanwhile too; whether all were in time. Never rejects. */
  async run(phase: HookPhase, deadline: Deadline): Promise<boolean> {
    let isInTime = true;
    for (let hook = this.#takeLast(phase); hook !== null; hook = this.#takeLast(phase)) {
      this.running = hook.name;
      if ((await this.#runOne(hook, deadline)) === 'late') isInTime = false;
    }
    this.running = null;
    return isInTime;
  }

  #takeLast(phase: HookPhase): Hook | null {
    const index = this.#hooks.findLastIndex((hook) => hook.phase === phase);
    return index < 0 ? null : (this.#hooks.splice(index, 1)[0] ?? null);
  }

  async #runOne({ name, run, phase, ownMs }: Hook, deadline: Deadline): Promise<Outcome> {
    const began = performance.now();
    const over = new AbortController();
    const limits = { ownMs, later: this.#hooks.filter((hook) => hook.phase === phase).length };
    const step = (outcome: Outcome, error?: string): Outcome => {
      const ms = Math.round(performance.now() - began);
      this.#steps.push({ name, phase, outcome, ms, ...(error === undefined ? {} : { error }) });
      return outcome;
    };
    try {
      const remainingMs = Math.round(deadline.share(limits));
      const work = (async () => run({ signal: over.signal, remainingMs }))();
      if (await deadline.inTime(work, limits)) return step('done');
      over.abort(new DOMException(`hook "${name}" has had its ${remainingMs} ms`, 'TimeoutError'));
      return step('late');
    } catch (error) {
      this.failures.push({ where: `hook "${name}"`, error });
      return step('failed', messageOf(error));
    }
  }
}
