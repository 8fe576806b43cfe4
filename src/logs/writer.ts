/** An asynchronous writer on an open file descriptor: a slow reader never blocks, a full disk loses lines but ends nothing. */
import { SonicBoom } from 'sonic-boom';

/** A reader that doesn't read can hold up the end for so long. */
const CLOSE_WAIT_MS = 2_000;

export type WriterEvents = {
  /** What was held back may come again. */
  onDrain?(): void;
  /** EPIPE: the reader is gone. */
  onGone?(): void;
};

/** Writes to stdout (1) or stderr (2) in order. After an error (no room, say) it begins anew with the next write. */
export class Writer {
  readonly #fd: number;
  readonly #events: WriterEvents;
  #stream: SonicBoom | null = null;
  #isGone = false;

  constructor(fd: number, events: WriterEvents = {}) {
    this.#fd = fd;
    this.#events = events;
  }

  /** False: enough for now, until `onDrain`. */
  write(bytes: Buffer | string): boolean {
    if (this.#isGone) return true;
    this.#stream ??= this.#open();
    const buffer = typeof bytes === 'string' ? Buffer.from(bytes) : bytes;
    // In content mode buffer it takes nothing else; its types know strings only.
    return this.#stream.write(buffer as unknown as string) !== false;
  }

  /** Resolves when everything is written, or can't be, or its reader has not read for 2 s. */
  close(): Promise<void> {
    const stream = this.#stream;
    if (stream === null) return Promise.resolve();
    return new Promise((resolve) => {
      setTimeout(resolve, CLOSE_WAIT_MS).unref();
      for (const event of ['close', 'error'] as const) stream.on(event, () => resolve());
      stream.end();
    });
  }

  #open(): SonicBoom {
    const stream = new SonicBoom({ fd: this.#fd, sync: false, contentMode: 'buffer' });
    stream.on('drain', () => this.#events.onDrain?.());
    stream.on('error', (error: NodeJS.ErrnoException) => {
      if (this.#stream !== stream) return;
      this.#stream = null;
      stream.destroy();
      this.#events.onDrain?.();
      if (error.code !== 'EPIPE') return;
      this.#isGone = true;
      this.#events.onGone?.();
    });
    return stream;
  }
}
