/** States: restored at the start, saved at shutdown, each file replaced as a whole. */
import type { Outcome, PersistOptions, Step } from './api.ts';
import { type Deadline, durationOf } from './deadline.ts';
import { messageOf } from './error-text.ts';
import type { Failure } from './hooks.ts';
import { WholeFile } from './whole-file.ts';

type State = {
  readonly name: string;
  readonly file: string;
  readonly whole: WholeFile;
  readonly save: () => unknown;
  readonly ownMs: number | undefined;
  isRestored: boolean;
};

export type StatesOptions = {
  /** Throws that the app is shutting down. */
  readonly refuse: (what: string) => void;
  /** How many steps come after the saving. */
  readonly after: () => number;
};

export class States {
  readonly #options: StatesOptions;
  readonly #states: State[] = [];
  readonly #steps: Step[] = [];
  readonly failures: Failure[] = [];
  #isSaved = false;

  constructor(options: StatesOptions) {
    this.#options = options;
  }

  /** Its state of before, or the fallback; from then on it will be saved. `tell` hears of a broken file. */
  async add<T>(name: string, options: PersistOptions<T>, tell: (msg: string) => void): Promise<T | undefined> {
    const { file, save, fallback, timeout } = options;
    if (this.#isSaved) this.#options.refuse(`persist "${name}"`);
    const same = this.#states.find((other) => other.name === name || other.file === file);
    if (same !== undefined)
      throw new TypeError(`cannot persist "${name}" in ${file}: "${same.name}" is kept in ${same.file} already`);
    const ownMs = timeout === undefined ? undefined : durationOf(`state "${name}", timeout`, timeout);
    const state = { name, file, whole: new WholeFile(file), save, ownMs, isRestored: false };
    this.#states.push(state);
    try {
      const restored = await restore(state, tell);
      state.isRestored = true;
      return restored === null ? fallback : (restored.value as T);
    } catch (error) {
      this.#states.splice(this.#states.indexOf(state), 1);
      throw error;
    }
  }

  get left(): number {
    return this.#states.length;
  }

  get steps(): readonly Step[] {
    return this.#steps;
  }

  /** Saves all at once; whether all were in time. Never rejects. */
  async save(deadline: Deadline): Promise<boolean> {
    this.#isSaved = true;
    const states = this.#states.splice(0);
    const outcomes = await Promise.all(states.map((state) => this.#saveOne(state, deadline)));
    return !outcomes.includes('late');
  }

  async #saveOne({ name, file, whole, save, ownMs, isRestored }: State, deadline: Deadline): Promise<Outcome> {
    const began = performance.now();
    const step = (outcome: Outcome, error?: string): Outcome => {
      const ms = Math.round(performance.now() - began);
      this.#steps.push({ name, outcome, ms, ...(error === undefined ? {} : { error }) });
      return outcome;
    };
    // What was not read yet is not overwritten.
    if (!isRestored) return step('skipped', `${file} was still being read`);
    const over = { isOver: false };
    try {
      const writing = (async () => whole.replace(jsonOf(await save()), over))();
      const isDone = await deadline.inTime(writing, { ownMs, after: this.#options.after() });
      over.isOver = true;
      return step(isDone ? 'done' : 'late');
    } catch (error) {
      this.failures.push({ where: `state "${name}"`, error });
      return step('failed', messageOf(error));
    }
  }
}

/** The value in the file; `null`: there is none, or it was broken and is kept aside. */
async function restore({ name, file, whole }: State, tell: (msg: string) => void): Promise<{ value: unknown } | null> {
  let text: string | null;
  try {
    text = await whole.read();
  } catch (error) {
    throw new Error(`cannot restore "${name}" from ${file}: ${messageOf(error)}`, { cause: error });
  }
  if (text === null) return null;
  try {
    return { value: JSON.parse(text) };
  } catch (error) {
    const aside = await whole.setAside();
    tell(`cannot restore "${name}" from ${file}: ${messageOf(error)}; the file is kept as ${aside}`);
    return null;
  }
}

function jsonOf(value: unknown): string {
  const text = JSON.stringify(value);
  if (text === undefined) throw new TypeError('save() gave undefined, which JSON cannot hold');
  return text;
}
