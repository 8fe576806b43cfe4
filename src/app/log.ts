/** Where the shutdown tells how it goes: the app's logger, or one line on stderr when something was left undone. */
import type { Flushable, LevelLogger, LogRecord, ShutdownOptions } from './api.ts';
import { stackOf, textOf } from './error-text.ts';

export class Log {
  readonly #logger: ShutdownOptions['logger'];

  constructor(logger: ShutdownOptions['logger']) {
    this.#logger = logger;
  }

  /** Only to a logger. */
  tell(level: LogRecord['level'], msg: string, record: object = {}): void {
    if (this.#logger === undefined) return;
    try {
      if (typeof this.#logger === 'function') this.#logger({ ...record, level, msg });
      else this.#logger[level](record, msg);
    } catch (error) {
      process.stderr.write(`${JSON.stringify({ msg: `the logger failed: ${textOf(error)}`, told: msg })}\n`);
    }
  }

  /** Without a logger on stderr. */
  insist(level: LogRecord['level'], msg: string, record: object): void {
    if (this.#logger === undefined) process.stderr.write(`${JSON.stringify({ msg, ...record })}\n`);
    else this.tell(level, msg, record);
  }

  /** An error that nobody caught, as Node would have shown it. */
  uncaught(error: unknown): void {
    const text = stackOf(error);
    if (this.#logger === undefined) process.stderr.write(`${text}\n`);
    else this.tell('error', `uncaught error: ${text.split('\n')[0]}`, { err: error });
  }
}

/** What there is to flush: what was handed in, and the logger if it can be. */
export function flushablesOf({ flush, logger }: ShutdownOptions): readonly Flushable[] {
  const handedIn: readonly Flushable[] = flush === undefined ? [] : Array.isArray(flush) ? flush : [flush as Flushable];
  const own = typeof logger === 'object' && canFlush(logger) ? [logger] : [];
  return [...handedIn, ...own];
}

/** Resolves when all of it is written. Rejects with the first failure. */
export async function flushAll(flushables: readonly Flushable[]): Promise<void> {
  await Promise.all([...flushables.map(flushOne), ...[process.stdout, process.stderr].map(written)]);
}

async function flushOne(flushable: Flushable): Promise<void> {
  if (typeof flushable === 'function') await flushable();
  else if ('flush' in flushable) {
    await new Promise<void>((resolve, reject) => {
      const result = flushable.flush((error) => (error && !isNoFile(error) ? reject(error) : resolve()));
      if (isPromise(result)) result.then(() => resolve(), reject);
      // It takes no callback: it has done it.
      else if (flushable.flush.length === 0) resolve();
    });
  } else flushable.flushSync();
}

/** sonic-boom, below pino, ends a flush with fsync, which pipes and terminals don't know: it is written nevertheless. */
function isNoFile(error: Error): boolean {
  return 'code' in error && error.code === 'EINVAL' && 'syscall' in error && error.syscall === 'fsync';
}

/** What Node still holds of an output; of files and pipes that is nothing. */
async function written(stream: NodeJS.WriteStream): Promise<void> {
  if (stream.writableLength > 0) await new Promise<void>((resolve) => stream.write('', () => resolve()));
}

function canFlush(logger: LevelLogger): logger is LevelLogger & { flush(done?: (error?: Error | null) => void): void } {
  return 'flush' in logger && typeof logger.flush === 'function';
}

function isPromise(value: unknown): value is PromiseLike<unknown> {
  return typeof value === 'object' && value !== null && 'then' in value && typeof value.then === 'function';
}
