/** The store of a daemon: a state that can't be kept stops nothing, it is told and tried again. */
import type { RunIdentity } from '../host/host.ts';
import { type Loaded, type Saved, Store } from '../supervisor/store.ts';

/** After a refused write of the state another one is tried, whether anything has changed or not. */
const SAVE_AGAIN_MS = 5_000;

export type PatientStoreOptions = {
  readonly file: string;
  /** Asked to save once more: what there is now. */
  save(): void;
  identityIn(slot: string): RunIdentity | null;
  notice(reason: string, level: 'warn' | 'error'): void;
};

export class PatientStore {
  readonly #options: PatientStoreOptions;
  readonly #store: Store;
  #again: NodeJS.Timeout | null = null;
  #isClosed = false;

  constructor(options: PatientStoreOptions) {
    this.#options = options;
    this.#store = new Store(options.file, () => options.save());
  }

  /** What the daemon before left, with every problem told. @throws {GsupError} for a file of a later gsup. */
  read(): Loaded {
    const { notice } = this.#options;
    const { saved, problems } = this.#store.read();
    for (const problem of problems) notice(problem, 'error');
    if (problems.length > 0) {
      const what = saved === null ? 'there is no other: it begins with nothing' : 'the last good one is used';
      notice(`state: ${what}`, saved === null ? 'error' : 'warn');
    }
    return { saved, problems };
  }

  /** `isForGood`: on the disk when it returns, unless that refuses. */
  keep(saved: Saved, isForGood: boolean): void {
    if (this.#isClosed) return;
    const { identityIn, notice } = this.#options;
    const wasRefused = this.#again !== null;
    try {
      if (isForGood || wasRefused) this.#store.write(saved);
      else this.#store.append(saved, identityIn);
      this.#endTrying();
      if (wasRefused) notice('the state is kept again', 'warn');
    } catch (error) {
      this.#endTrying();
      this.#again = setTimeout(() => this.#options.save(), SAVE_AGAIN_MS);
      const why = (error as NodeJS.ErrnoException).code ?? (error as Error).message;
      if (!wasRefused) notice(`the state can't be kept in ${this.#options.file} (${why}); it is tried again`, 'error');
    }
  }

  /** Keeps nothing from now on. */
  close(): void {
    this.#isClosed = true;
    this.#endTrying();
    this.#store.close();
  }

  #endTrying(): void {
    if (this.#again !== null) clearTimeout(this.#again);
    this.#again = null;
  }
}
