/** `gsup logs --grep`: lines are matched here, where Ctrl-C ends an expression that takes for ever, and not in the daemon. */
import type { CallOf } from '../api/inputs.ts';
import type { EndOfPast, LogEntry } from '../api/types.ts';
import { usageError } from '../core/error.ts';

type Query = CallOf<'logs'>;
type Ask = (query: Query, signal: AbortSignal) => AsyncIterable<LogEntry | EndOfPast>;

/** The first window of the past in which so many matching lines are looked for, and by what it grows when it has too few. */
const LEAST_WINDOW = 1_000;
const WINDOW_PER_LINE = 10;
const WINDOW_GROWTH = 8;
const MOST_LINES = 999_999_999;

/** The lines that `query` asks for; with an expression only those that match, and `lines` is how many of these. @throws {GsupError} for an expression that is none. */
export async function* matchingLines(ask: Ask, query: Query, grep: string | undefined): AsyncGenerator<LogEntry> {
  const pattern = grep === undefined ? null : patternOf(grep);
  const wants = ({ line }: LogEntry) => pattern === null || pattern.test(line);
  const count = Number(query.lines ?? 0);
  if (pattern !== null && count > 0) yield* lastMatching(ask, query, { count, wants });
  else {
    const wanted = pattern !== null && query.lines === undefined ? { since: '0', ...query } : query;
    const found = ask(wanted, new AbortController().signal);
    for await (const entry of found) if ('line' in entry && wants(entry)) yield entry;
  }
}

type Wanted = { readonly count: number; readonly wants: (entry: LogEntry) => boolean };

/** The last `count` of each instance, then those that come; as little of the past is asked for as that needs. */
async function* lastMatching(ask: Ask, query: Query, { count, wants }: Wanted): AsyncGenerator<LogEntry> {
  for (let window = Math.max(LEAST_WINDOW, count * WINDOW_PER_LINE); ; window *= WINDOW_GROWTH) {
    const lines = Math.min(window, MOST_LINES);
    const asking = new AbortController();
    const past = new Past(count, lines);
    let isPast = true;
    for await (const entry of ask({ ...query, lines: String(lines), marksEnd: 'true' }, asking.signal)) {
      if (!('line' in entry)) {
        if (past.isCut && lines < MOST_LINES) break;
        yield* past.matching;
        isPast = false;
      } else if (isPast) past.take(entry, wants(entry));
      else if (wants(entry)) yield entry;
    }
    asking.abort();
    if (!isPast) return;
  }
}

/** The last lines of instances, as they come. */
class Past {
  readonly #count: number;
  readonly #window: number;
  readonly #seen = new Map<string, { all: number; matching: LogEntry[] }>();
  #order: LogEntry[] = [];

  constructor(count: number, window: number) {
    this.#count = count;
    this.#window = window;
  }

  take(entry: LogEntry, isMatching: boolean): void {
    const seen = this.#seen.get(entry.instance) ?? { all: 0, matching: [] };
    this.#seen.set(entry.instance, seen);
    seen.all++;
    if (!isMatching) return;
    seen.matching.push(entry);
    this.#order.push(entry);
    if (seen.matching.length > this.#count) seen.matching.shift();
    if (this.#order.length > 2 * this.#count * this.#seen.size + 1_000) this.#order = [...this.matching];
  }

  /** Whether lines before those that were sent could be among the last that match. */
  get isCut(): boolean {
    return [...this.#seen.values()].some(({ all, matching }) => all >= this.#window && matching.length < this.#count);
  }

  get matching(): readonly LogEntry[] {
    const kept = new Set([...this.#seen.values()].flatMap(({ matching }) => matching));
    return this.#order.filter((entry) => kept.has(entry));
  }
}

function patternOf(text: string): RegExp {
  try {
    return new RegExp(text);
  } catch (error) {
    throw usageError(`--grep "${text}" is not a regular expression: ${(error as Error).message}`);
  }
}
