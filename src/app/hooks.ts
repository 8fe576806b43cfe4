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
  /** It was registered while hooks of its phase ran. */
  readonly isLatecomer: boolean;
};
export type Failure = { readonly where: string; readonly error: unknown };

/** Latecomers that are run in all: a hook may register itself again and again. */
const MOST_LATECOMERS = 1000;

export class Hooks {
  readonly #refuse: (what: string) => void;
  readonly #onBegin: () => void;
  readonly #hooks: Hook[] = [];
  readonly #steps: (Step & { readonly phase: HookPhase })[] = [];
  readonly failures: Failure[] = [];
  /** Names that were registered while they were there. */
  readonly doubles = new Set<string>();
  /** The hook that runs now. */
  running: string | null = null;
  #latecomers = 0;
  #phase: HookPhase | 'none yet' | 'over' = 'none yet';

  /** `refuse` throws that the app is shutting down; `onBegin` is called before each hook, which may block everything. */
  constructor(refuse: (what: string) => void, onBegin: () => void) {
    this.#refuse = refuse;
    this.#onBegin = onBegin;
  }

  /**
   * Returns what removes it.
   * @throws ShuttingDownError when nothing would call it any more.
   */
  add(name: string, run: Hook['run'], { timeout, phase = 'close' }: HookOptions = {}): () => void {
    const ownMs = timeout === undefined ? undefined : durationOf(`hook "${name}", timeout`, timeout);
    if (phase !== 'close' && phase !== 'flush')
      throw new TypeError(`hook "${name}": "${String(phase)}" is no phase; write close or flush`);
    if (this.#phase === 'over') this.#refuse(`register hook "${name}"`);
    if (this.#hooks.some((other) => other.name === name)) this.doubles.add(name);
    const isLatecomer = this.#phase === 'flush' || this.#phase === phase;
    const hook = { name, run, phase, ownMs, isLatecomer };
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

  /**
   * Runs those of a phase; those that are registered meanwhile too, as long as there is time.
   * Whether all were in time. Never rejects.
   */
  async run(phase: HookPhase, deadline: Deadline): Promise<boolean> {
    this.#phase = phase;
    let isInTime = true;
    for (let hook = this.#takeLast(phase); hook !== null; hook = this.#takeLast(phase)) {
      this.running = hook.name;
      this.#onBegin();
      const outcome = this.#comesTooLate(hook, deadline) ? this.#skip(hook) : await this.#runOne(hook, deadline);
      if (outcome === 'late') isInTime = false;
      // Signals and timers have their turn, whatever hooks do.
      await new Promise((resolve) => setImmediate(resolve));
    }
    this.running = null;
    if (phase === 'flush') this.#phase = 'over';
    return isInTime;
  }

  /** A hook of "close" that comes while those of "flush" run is run with them. */
  #takeLast(phase: HookPhase): Hook | null {
    const index = this.#hooks.findLastIndex((hook) => hook.phase === phase || phase === 'flush');
    return index < 0 ? null : (this.#hooks.splice(index, 1)[0] ?? null);
  }

  #comesTooLate({ isLatecomer }: Hook, deadline: Deadline): boolean {
    if (isLatecomer) this.#latecomers += 1;
    return isLatecomer && (deadline.leftMs === 0 || this.#latecomers > MOST_LATECOMERS);
  }

  #skip({ name, phase }: Hook): Outcome {
    this.#steps.push({ name, phase, outcome: 'skipped', ms: 0, error: 'it was registered too late' });
    return 'skipped';
  }

  async #runOne({ name, run, phase, ownMs }: Hook, deadline: Deadline): Promise<Outcome> {
    const began = performance.now();
    const over = new AbortController();
    const others = this.#hooks.filter((hook) => hook.phase === phase).length;
    // After all of them the logs are flushed.
    const limits = { ownMs, later: others, after: this.#hooks.length - others + 1 };
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
