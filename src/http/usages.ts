/** What runs use, looked at no more often than it is worth: one look goes over all processes of the machine. */
import type { HttpSource, Used } from './source.ts';

export class Usages {
  readonly #source: HttpSource;
  #last: { readonly at: number; readonly usage: Promise<ReadonlyMap<string, Used>> } | null = null;
  #costMs = 0;

  constructor(source: HttpSource) {
    this.#source = source;
  }

  /** How long the last look took, in ms. */
  get costMs(): number {
    return this.#costMs;
  }

  /** Not older than `ageMs`. */
  get(ageMs: number): Promise<ReadonlyMap<string, Used>> {
    const now = performance.now();
    if (this.#last !== null && now - this.#last.at < ageMs) return this.#last.usage;
    const usage = this.#source.usage().then((found) => {
      this.#costMs = performance.now() - now;
      return found;
    });
    this.#last = { at: now, usage };
    return usage;
  }
}
