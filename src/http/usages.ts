/** What runs use, looked at no more often than it is worth: one look goes over all processes of the machine. */
import type { HttpSource, Used } from './source.ts';

export class Usages {
  readonly #source: HttpSource;
  #last: { readonly at: number; readonly usage: Promise<ReadonlyMap<string, Used>> } | null = null;
  #costMs = 0;

  constructor(source: HttpSource) {
    this.#source = source;
  }

  /** What the last look took of a processor, in ms. */
  get costMs(): number {
    return this.#costMs;
  }

  /** Not older than `ageMs`. */
  get(ageMs: number): Promise<ReadonlyMap<string, Used>> {
    const now = performance.now();
    if (this.#last !== null && now - this.#last.at < ageMs) return this.#last.usage;
    const began = cpuMs();
    const usage = this.#source.usage().then((found) => {
      this.#costMs = cpuMs() - began;
      return found;
    });
    this.#last = { at: now, usage };
    return usage;
  }
}

/** What we have used of processors so far: others who want them too make nothing more costly. */
export function cpuMs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1_000;
}
