/** Notices that something has not been heard of for too long; hearing of it costs a look at the clock. */

export class Watchdog {
  readonly #ms: number;
  readonly #onLate: () => void;
  #heardAt = performance.now();
  #timer: NodeJS.Timeout;
  #isOver = false;

  /** Calls `onLate` once, when there was no ping for `ms`; the first is due `ms` from now. */
  constructor(ms: number, onLate: () => void) {
    this.#ms = ms;
    this.#onLate = onLate;
    this.#timer = setTimeout(() => this.#look(), ms);
  }

  /** It lives. The timer goes on, and finds out when it has run down. */
  ping(): void {
    this.#heardAt = performance.now();
  }

  /** Nothing is awaited any more. */
  end(): void {
    this.#isOver = true;
    clearTimeout(this.#timer);
  }

  #look(): void {
    if (this.#isLate()) setImmediate(() => this.#decide());
    else this.#timer = setTimeout(() => this.#look(), Math.ceil(this.#heardAt + this.#ms - performance.now()));
  }

  /** After what is waiting to be read: when we ourselves were held up, timers come before the pings of that time. */
  #decide(): void {
    if (this.#isOver) return;
    if (this.#isLate()) {
      this.#isOver = true;
      this.#onLate();
    } else this.#look();
  }

  #isLate(): boolean {
    return performance.now() - this.#heardAt >= this.#ms;
  }
}
