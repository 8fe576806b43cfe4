/** Word that a count has changed, for those who wait until it is as they want. */

export class Changes {
  readonly #looks = new Set<() => void>();

  readonly tell = (): void => {
    for (const look of [...this.#looks]) look();
  };

  /** Calls `look` at every change, until the returned function is called. */
  watch(look: () => void): () => void {
    this.#looks.add(look);
    return () => void this.#looks.delete(look);
  }

  /** Resolves as soon as `isSo`. */
  until(isSo: () => boolean): Promise<void> {
    return new Promise((resolve) => {
      const look = (): void => {
        if (!isSo()) return;
        end();
        resolve();
      };
      const end = this.watch(look);
      look();
    });
  }
}

/** Calls `tell` at once, and then at most every `ms`, with the last word at the end of each. */
export function everySoOften(ms: number, tell: () => void): () => void {
  let lastAt = Number.NEGATIVE_INFINITY;
  let timer: NodeJS.Timeout | undefined;
  return () => {
    if (timer !== undefined) return;
    const wait = Math.max(0, lastAt + ms - performance.now());
    timer = setTimeout(() => {
      timer = undefined;
      lastAt = performance.now();
      tell();
    }, wait).unref();
  };
}
