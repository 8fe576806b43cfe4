/** States: restored at the start, saved at shutdown, each file replaced as a whole. */
import type { Outcome, PersistOptions, Step } from './api.ts';
import { type Deadline, durationOf } from './deadline.ts';
import type { Failure } from './hooks.ts';
import { messageOf } from './error-text.ts';

/** Loaded when they are used: that takes a millisecond. */
const files = () => import('node:fs/promises');

type State = {
  readonly name: string;
  readonly file: string;
  readonly save: () => unknown;
  readonly ownMs: number | undefined;
  isRestored: boolean;
};

export class States {
  readonly #states: State[] = [];
  readonly #steps: Step[] = [];
  readonly failures: Failure[] = [];

  /** Its state of before, or the fallback; from then on it will be saved. `tell` hears of a broken file. */
  async add<T>(name: string, options: PersistOptions<T>, tell: (msg: string) => void): Promise<T | undefined> {
    const { file, save, fallback, timeout } = options;
    const same = this.#states.find((other) => other.name === name || other.file === file);
    if (same !== undefined)
      throw new TypeError(`cannot persist "${name}" in ${file}: "${same.name}" is kept in ${same.file} already`);
    const ownMs = timeout === undefined ? undefined : durationOf(`state "${name}", timeout`, timeout);
    const state = { name, file, save, ownMs, isRestored: false };
    this.#states.push(state);
    try {
      const restored = await restore(name, file, tell);
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
    const states = this.#states.splice(0);
    const outcomes = await Promise.all(states.map((state) => this.#saveOne(state, deadline)));
    return !outcomes.includes('late');
  }

  async #saveOne({ name, file, save, ownMs, isRestored }: State, deadline: Deadline): Promise<Outcome> {
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
      const writing = (async () => replace(file, await save(), over))();
      const isDone = await deadline.inTime(writing, { ownMs });
      over.isOver = true;
      return step(isDone ? 'done' : 'late');
    } catch (error) {
      this.failures.push({ where: `state "${name}"`, error });
      return step('failed', messageOf(error));
    }
  }
}

/** The value in the file; `null`: there is none, or it was broken and is kept aside. */
async function restore(name: string, file: string, tell: (msg: string) => void): Promise<{ value: unknown } | null> {
  const { readFile, rename } = await files();
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return null;
    throw new Error(`cannot restore "${name}" from ${file}: ${messageOf(error)}`, { cause: error });
  }
  try {
    return { value: JSON.parse(text) };
  } catch (error) {
    const aside = `${file}.broken-${Date.now()}`;
    await rename(file, aside);
    tell(`cannot restore "${name}" from ${file}: ${messageOf(error)}; the file is kept as ${aside}`);
    return null;
  }
}

/** A reader sees the old content or the new, after a power cut too. */
async function replace(file: string, value: unknown, over: { readonly isOver: boolean }): Promise<void> {
  const text = JSON.stringify(value);
  if (text === undefined) throw new TypeError('save() gave undefined, which JSON cannot hold');
  const { mkdir, rename, rm } = await files();
  const { dirname } = await import('node:path');
  const folder = dirname(file);
  await mkdir(folder, { recursive: true });
  const beside = `${file}.${process.pid}.tmp`;
  try {
    await writeThrough(beside, text);
    // Its time may be over; the process may even run on.
    if (over.isOver) throw new Error('too late');
    await rename(beside, file);
  } catch (error) {
    await rm(beside, { force: true });
    throw error;
  }
  await syncFolder(folder);
}

async function writeThrough(file: string, text: string): Promise<void> {
  const { open } = await files();
  const handle = await open(file, 'w');
  try {
    await handle.writeFile(text);
    await handle.sync();
  } finally {
    await handle.close();
  }
}

async function syncFolder(folder: string): Promise<void> {
  // Windows opens no folders.
  if (process.platform === 'win32') return;
  const { open } = await files();
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
