/** What was told, in order, and a wait for the fact that is still to come. */

const CEILING_MS = 10_000;

export class News<T> {
  readonly all: T[] = [];
  #wake: () => void = () => {};

  readonly tell = (one: T): void => {
    this.all.push(one);
    this.#wake();
  };

  /** Resolves as soon as `isThere` says so of all that was told. */
  async until(isThere: (all: readonly T[]) => boolean): Promise<readonly T[]> {
    let isLate = false;
    const ceiling = setTimeout(() => {
      isLate = true;
      this.#wake();
    }, CEILING_MS);
    while (!isThere(this.all)) {
      if (isLate) throw new Error(`not told in time, but: ${JSON.stringify(this.all.slice(-20))}`);
      await new Promise<void>((wake) => {
        this.#wake = wake;
      });
    }
    clearTimeout(ceiling);
    return this.all;
  }
}
