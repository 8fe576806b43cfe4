/** The log that `gsup top` follows: one stream at a time, as fast as people can be shown anything. */
import type { Client } from '../../api/client.ts';
import type { LogEntry } from '../../api/types.ts';
import { isGsupError } from '../../core/error.ts';
import { MOST_LINES } from '../../view/top-state.ts';

/** Who holds a key down passes many instances. */
const OPEN_AFTER_MS = 150;
const TOLD_EVERY_MS = 100;
/** Of an instance that writes more than that between two frames only the end is read, anew every second. */
const MOST_AT_ONCE = 5 * MOST_LINES;
const AGAIN_AFTER_MS = 1_000;
const FIRST_LINES = '200';
const FIRST_LINES_OF_EACH = '5';

export type TailOptions = {
  readonly client: Client;
  /** What "all" means: `null`: all there are. */
  readonly names: readonly string[] | null;
  /** `isFirst`: what was told before is void. */
  readonly onLines: (entries: readonly LogEntry[], isFirst: boolean) => void;
  readonly onFailure: (error: unknown) => void;
};

export class Tail implements Disposable {
  readonly #options: TailOptions;
  #target: string | null = null;
  #opening: NodeJS.Timeout | null = null;
  #stream: AbortController | null = null;

  constructor(options: TailOptions) {
    this.#options = options;
  }

  /** An instance, `all`, or nobody. */
  follow(target: string | null): void {
    if (target === this.#target) return;
    this.close();
    this.#target = target;
    this.#options.onLines([], true);
    this.#openAfter(OPEN_AFTER_MS);
  }

  /** Opens it again when it has ended, as with a daemon that is no more. */
  reopen(): void {
    if (this.#stream === null && this.#opening === null) this.#openAfter(0);
  }

  /** Until somebody is to be followed again. */
  close(): void {
    if (this.#opening !== null) clearTimeout(this.#opening);
    this.#stream?.abort();
    this.#opening = null;
    this.#stream = null;
    this.#target = null;
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #openAfter(ms: number): void {
    const target = this.#target;
    if (target === null) return;
    this.#opening = setTimeout(() => {
      this.#opening = null;
      const stream = new AbortController();
      this.#stream = stream;
      void this.#read(target, stream).catch(this.#options.onFailure);
    }, ms);
  }

  async #read(target: string, stream: AbortController): Promise<void> {
    const pending = new Batch(this.#options.onLines);
    const { signal } = stream;
    let isTooMuch = false;
    try {
      for await (const entry of this.#options.client.logs(this.#query(target), signal)) {
        if (signal.aborted || !('line' in entry)) break;
        isTooMuch = pending.add(entry) > MOST_AT_ONCE;
        if (isTooMuch) break;
      }
    } catch (error) {
      if (!signal.aborted && !isGsupError(error)) throw error;
    }
    if (this.#stream === stream) {
      this.#stream = null;
      pending.tell();
      if (isTooMuch) this.#openAfter(AGAIN_AFTER_MS);
    }
    pending.end();
    stream.abort();
  }

  #query(target: string): { names?: string; lines: string; follow: string } {
    if (target !== 'all') return { names: target, lines: FIRST_LINES, follow: 'true' };
    const { names } = this.#options;
    return { ...(names === null ? {} : { names: names.join(',') }), lines: FIRST_LINES_OF_EACH, follow: 'true' };
  }
}

/** Lines are told together. */
class Batch {
  readonly #onLines: TailOptions['onLines'];
  #entries: LogEntry[] = [];
  #isFirst = true;
  #timer: NodeJS.Timeout | null = null;

  constructor(onLines: TailOptions['onLines']) {
    this.#onLines = onLines;
  }

  /** How many wait to be told. */
  add(entry: LogEntry): number {
    this.#timer ??= setTimeout(() => this.tell(), TOLD_EVERY_MS);
    return this.#entries.push(entry);
  }

  tell(): void {
    this.end();
    if (this.#entries.length === 0) return;
    this.#onLines(this.#entries, this.#isFirst);
    this.#entries = [];
    this.#isFirst = false;
  }

  end(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
  }
}
