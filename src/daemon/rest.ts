/** A daemon at rest: a moment after the last thing that happened, memory that only that needed is given back. */
import { nativeNow } from '../host/native.ts';

/** Nothing has happened for so long: longer than `gsup start` waits, or the next command of a script would meet it. */
const QUIET_MS = 1_400;
/** It takes one hundredth of the time at most, however often something happens. */
const SHARE = 100;

export class Rest {
  readonly #warm: () => Promise<unknown>;
  #memory: Promise<typeof import('../host/memory.ts')> | null = null;
  #timer: NodeJS.Timeout | null = null;
  #lastAt = 0;
  #notBefore = 0;
  #isGivingBack = false;

  /** `warm`: does what the next command will want, so that the pages it needs are there again before somebody waits for them. */
  constructor(warm: () => Promise<unknown>) {
    this.#warm = warm;
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
    if (this.#timer === null) void this.#giveBack();
  }

  async #giveBack(): Promise<void> {
    this.#isGivingBack = true;
    const before = process.cpuUsage();
    // At the begin there are descriptors for it.
    this.#memory ??= import('../host/memory.ts');
    const { giveBackMemory } = await this.#memory;
    giveBackMemory(nativeNow());
    // It is of no importance whether it works: it may be on its way out.
    await this.#warm().catch(() => {});
    const { user, system } = process.cpuUsage(before);
    this.#notBefore = performance.now() + ((user + system) / 1000) * SHARE;
    this.#isGivingBack = false;
  }
}
