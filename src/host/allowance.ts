/** A token bucket: how much a client may do at once and in each second. */

export type AllowanceOptions = { readonly burst: number; readonly perSecond: number };

export class Allowance {
  readonly #options: AllowanceOptions;
  #units: number;
  #at = performance.now();

  constructor(options: AllowanceOptions) {
    this.#options = options;
    this.#units = options.burst;
  }

  /** Takes `units`, also where fewer are left; returns the wait in ms until the next ones may be taken. */
  take(units: number): number {
    const { burst, perSecond } = this.#options;
    const now = performance.now();
    const refilled = Math.min(burst, this.#units + ((now - this.#at) / 1_000) * perSecond);
    this.#at = now;
    this.#units = refilled - units;
    return this.#units >= 0 ? 0 : (-this.#units / perSecond) * 1_000;
  }
}
