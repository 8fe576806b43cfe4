/** The regular expression of `ready: log:`: it meets text that a service writes, so each line and the time for it are limited. */
import { createContext, Script } from 'node:vm';
import { LineSplitter } from '../logs/lines.ts';

/** Of a line; what comes behind is not looked at. */
const LONGEST_BYTES = 4 * 1024;
/** For the lines of one piece of output: 64 KiB at most, which usually takes less than one ms. */
const MOST_MS = 250;
/** From this time on it must be faster than `LEAST_BYTES_PER_MS`. */
const PATIENCE_MS = 1_000;
const LEAST_BYTES_PER_MS = 1_000;
/** A text for which `includes` is the same. */
const PLAIN = /^[\w ,:;'"!@#%&=<>~/-]+$/;

export type LogPatternListener = {
  matched(): void;
  /** It took too long, or can't be executed at all. */
  failed(reason: string): void;
};

/** Looks at one stream of output until the first line that matches. */
export class LogPattern {
  readonly #pattern: string;
  readonly #listener: LogPatternListener;
  readonly #splitter: LineSplitter;
  readonly #matches: (lines: readonly string[]) => boolean;
  #lines: string[] = [];
  #bytes = 0;
  #spentMs = 0;
  #isOver = false;

  constructor(pattern: string, listener: LogPatternListener) {
    this.#pattern = pattern;
    this.#listener = listener;
    this.#matches = matcherOf(pattern);
    this.#splitter = new LineSplitter((line) => this.#lines.push(line.toString('utf8', 0, LONGEST_BYTES)));
  }

  push(chunk: Buffer): void {
    if (this.#isOver) return;
    this.#splitter.push(chunk);
    if (this.#lines.length === 0) return;
    const lines = this.#lines;
    this.#lines = [];
    const began = performance.now();
    try {
      if (this.#matches(lines)) this.#end(() => this.#listener.matched());
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException;
      this.#fail(code === 'ERR_SCRIPT_EXECUTION_TIMEOUT' ? `took more than ${MOST_MS}ms` : `failed: ${message}`);
    }
    this.#spentMs += performance.now() - began;
    this.#bytes += chunk.length;
    if (this.#spentMs > PATIENCE_MS && this.#bytes / this.#spentMs < LEAST_BYTES_PER_MS)
      this.#fail(`took ${Math.round(this.#spentMs)}ms for ${this.#bytes} bytes`);
  }

  #fail(what: string): void {
    this.#end(() =>
      this.#listener.failed(
        `matching its output with ${this.#pattern} ${what} and was given up; use a simpler expression`,
      ),
    );
  }

  #end(tell: () => void): void {
    if (this.#isOver) return;
    this.#isOver = true;
    tell();
  }
}

function matcherOf(text: string): (lines: readonly string[]) => boolean {
  if (PLAIN.test(text)) return (lines) => lines.some((line) => line.includes(text));
  const pattern = new RegExp(text);
  return (lines) => {
    matching ??= openMatching();
    matching.asked.pattern = pattern;
    matching.asked.lines = lines;
    return matching.script.runInContext(matching.context, { timeout: MOST_MS }) === true;
  };
}

/** Shared by all: a context takes a millisecond to make. */
let matching: ReturnType<typeof openMatching> | null = null;

/** The time limit of `vm` interrupts an expression that backtracks; nothing else on this thread does. */
function openMatching() {
  const asked: { pattern: RegExp; lines: readonly string[] } = { pattern: /^/, lines: [] };
  return { asked, context: createContext(asked), script: new Script('lines.some((line) => pattern.test(line))') };
}
