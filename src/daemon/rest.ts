/** A daemon at rest: a moment after the last thing that happened, memory that only that needed is given back. */
import { nativeNow } from '../host/native.ts';
import { residentBytes } from '../host/proc-file.ts';

/** Nothing has happened for so long: the next command of a script would have come. */
const QUIET_MS = 500;
/** Less than so much more than after the last time, and nothing is done: a command that was answered is no reason. */
const WORTH_BYTES = 6 * 1024 * 1024;
/** Of the time since the last one it takes one part in so many at most. */
const SHARE = 10;

export type RestOptions = {
  /** Before anything is given back. */
  before(): void;
  /** Does what the next command will want, so that the pages it needs are there again before somebody waits for them. */
  warm(): Promise<unknown>;
};

export class Rest {
  readonly #options: RestOptions;
  #memory: Promise<typeof import('../host/memory.ts')> | null = null;
  #timer: NodeJS.Timeout | null = null;
  #lastAt = 0;
  #notBefore = 0;
  #isGivingBack = false;
  #restingBytes = 0;

  constructor(options: RestOptions) {
    this.#options = options;
  }

  /** Something happens. */
  disturb(): void {
    if (this.#isGivingBack) return;
    this.#lastAt = performance.now();
    this.#timer ??= setTimeout(() => this.#look(), QUIET_MS).unref();
  }

  close(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
  }

  #look(): void {
    const now = performance.now();
    const waitMs = Math.max(this.#lastAt + QUIET_MS, this.#notBefore) - now;
    this.#timer = waitMs >= 1 ? setTimeout(() => this.#look(), waitMs).unref() : null;
    if (this.#timer !== null || residentBytes() - this.#restingBytes <= WORTH_BYTES) return;
    this.#isGivingBack = true;
    void this.#giveBack()
      // No descriptor is left, say: the next time will do.
      .catch(() => {
        this.#memory = null;
      })
      .finally(() => {
        this.#isGivingBack = false;
      });
  }

  async #giveBack(): Promise<void> {
    this.#options.before();
    const before = process.cpuUsage();
    // At the begin there are descriptors for it.
    this.#memory ??= import('../host/memory.ts');
    const { giveBackMemory } = await this.#memory;
    giveBackMemory(nativeNow());
    // It is of no importance whether it works: it may be on its way out.
    await this.#options.warm().catch(() => {});
    const { user, system } = process.cpuUsage(before);
    this.#notBefore = performance.now() + ((user + system) / 1000) * SHARE;
    this.#restingBytes = residentBytes();
  }
}
