/** Streams of the control socket: log lines of instances, merged by time, and records of the journal. */
import { statSync } from 'node:fs';
import type { InputOf } from '../api/inputs.ts';
import type { EndOfPast, LogEntry, Told } from '../api/types.ts';
import type { InstanceRef } from '../core/event.ts';
import { instanceName } from '../core/name.ts';
import { parseRecorded } from '../core/recorded.ts';
import { withoutSecrets } from '../core/secrets.ts';
import { LogFollower } from '../logs/follower.ts';
import { type EndOfLog, type LogLine, lastLines, type parseLine, readLines } from '../logs/reader.ts';
import { momentsOf, systemClock } from '../supervisor/clock.ts';
import type { Daemon } from './daemon.ts';

const DEFAULT_LINES = 15;
const DEFAULT_RECORDS = 50;
/** Lines that wait for a slow reader; then the file is read no further until it has taken them. */
const MOST_WAITING = 1_000;

/** The last lines, or all of a time, then those that come. @throws {GsupError} at once, for a name that is wrong. */
export function logStream(
  daemon: Daemon,
  query: InputOf<'logs'>,
  signal: AbortSignal,
): AsyncGenerator<LogEntry | EndOfPast> {
  const refs = daemon.refsOf(query.names === undefined || query.names.length === 0 ? ['all'] : query.names);
  const wants = wantsOf(query);
  const sources = refs.map((of) => sourceOf(daemon, of));
  const following = query.follow === true ? new Following(sources, wants) : null;
  return logEntries(sources, { query, wants, following, signal });
}

type Reading = {
  readonly query: InputOf<'logs'>;
  readonly wants: Wants;
  readonly following: Following | null;
  readonly signal: AbortSignal;
};

async function* logEntries(
  sources: readonly Source[],
  { query, wants, following, signal }: Reading,
): AsyncGenerator<LogEntry | EndOfPast> {
  const lines = query.lines ?? (isRange(query) ? undefined : DEFAULT_LINES);
  try {
    if (lines === undefined) {
      const range = {
        ...(query.since === undefined ? {} : { sinceMs: query.since }),
        ...(query.until === undefined ? {} : { untilMs: query.until }),
      };
      const read = (source: Source) =>
        entriesOf(source, readLines(source.files, source.format, range, { signal, upTo: source.end }), wants);
      yield* mergeByTime(sources.map(read));
    } else {
      const tails = await Promise.all(
        sources.map(async (source) => {
          const tail = await lastLines(source.files, source.format, lines, wants, source.end);
          return tail.map((line) => entryOf(source, line));
        }),
      );
      yield* tails.flat().sort((a, b) => (a.at ?? 0) - (b.at ?? 0));
    }
    if (query.marksEnd) yield { isEndOfPast: true };
    if (following !== null) yield* following.entries(signal);
  } finally {
    following?.close();
  }
}

/** Records of the past (their last lines, or those since a moment), then those that come. */
export async function* eventStream(
  daemon: Daemon,
  query: InputOf<'events'>,
  signal: AbortSignal,
): AsyncGenerator<Told> {
  const names = new Set(query.names ?? []);
  const phases = new Set<string>(query.phases ?? []);
  const wants = (record: Told) =>
    (names.size === 0 || names.has(record.service ?? '') || names.has(record.instance ?? '')) &&
    (phases.size === 0 || phases.has(record.phase)) &&
    (query.since === undefined || record.at >= query.since) &&
    (query.until === undefined || record.at <= query.until);
  const waiting: Told[] = [];
  let dropped = 0;
  let wake = () => {};
  const end = daemon.onRecord((record) => {
    if (!wants(record)) return;
    if (waiting.length < MOST_WAITING) waiting.push(record);
    else dropped++;
    wake();
  });
  try {
    const count =
      query.lines ??
      (query.since === undefined && query.until === undefined ? DEFAULT_RECORDS : Number.POSITIVE_INFINITY);
    const began = momentsOf(systemClock.now()).time;
    const old = await lastLines(daemon.eventFiles(), 'raw', count, ({ line }) => {
      const record = parseRecorded(line);
      return record !== null && wants(record) && record.at <= began;
    });
    for (const { line } of old) {
      const record = parseRecorded(line);
      if (record !== null) yield record;
    }
    if (query.follow !== true) return;
    signal.addEventListener('abort', () => wake());
    while (!signal.aborted) {
      const next = waiting.shift();
      if (next !== undefined) yield next;
      else if (dropped > 0) {
        const reason = `${dropped} records were dropped here: they were not read fast enough`;
        dropped = 0;
        yield { phase: 'notice', level: 'warn', reason, at: momentsOf(systemClock.now()).time };
      } else
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
    }
  } finally {
    end();
  }
}

type Source = {
  readonly of: InstanceRef;
  readonly files: readonly string[];
  readonly path: string;
  /** Where the log ended when it was asked for: what comes later is the follower's. */
  readonly end: EndOfLog | null;
  readonly format: Parameters<typeof parseLine>[1];
  readonly secrets: readonly string[];
  follow(callback: () => void): () => void;
};
type Wants = (line: LogLine) => boolean;

function sourceOf(daemon: Daemon, of: InstanceRef): Source {
  const log = daemon.logOf(of);
  const { files, path } = log;
  const stat = statSync(path, { throwIfNoEntry: false });
  const end = stat === undefined ? null : { ino: stat.ino, size: stat.size };
  const secrets = daemon.masking.valuesOf(of.service);
  return {
    of,
    files,
    path,
    end,
    format: log.policy.format,
    secrets,
    follow: (callback) => log.follow(callback),
  };
}

function isRange({ since, until }: InputOf<'logs'>): boolean {
  return since !== undefined || until !== undefined;
}

function wantsOf({ since, until, search, stderr }: InputOf<'logs'>): Wants {
  const wanted = search?.toLowerCase() ?? '';
  return ({ at, stream, line }) => {
    if (stderr === true && stream !== 'stderr') return false;
    if (at !== null && ((since !== undefined && at < since) || (until !== undefined && at > until))) return false;
    return wanted === '' || line.toLowerCase().includes(wanted);
  };
}

function entryOf({ of, secrets }: Source, { at, stream, line }: LogLine): LogEntry {
  return { instance: instanceName(of.service, of.index), at, stream, line: withoutSecrets(line, secrets) };
}

async function* entriesOf(source: Source, lines: AsyncIterable<LogLine>, wants: Wants): AsyncGenerator<LogEntry> {
  for await (const line of lines) if (wants(line)) yield entryOf(source, line);
}

/** Each source is in order; the oldest next line of all comes next. */
async function* mergeByTime(sources: readonly AsyncGenerator<LogEntry>[]): AsyncGenerator<LogEntry> {
  const heads = await Promise.all(sources.map((source) => source.next()));
  for (;;) {
    let best = -1;
    for (const [index, head] of heads.entries()) {
      const oldest = heads[best];
      if (head.done) continue;
      if (oldest === undefined || oldest.done || (head.value.at ?? 0) < (oldest.value.at ?? 0)) best = index;
    }
    const chosen = heads[best];
    const source = sources[best];
    if (chosen === undefined || chosen.done || source === undefined) return;
    yield chosen.value;
    heads[best] = await source.next();
  }
}

/** Log files that grow: their new lines, as fast as they are taken. */
class Following {
  readonly #waiting: LogEntry[] = [];
  readonly #followers: readonly { readonly follower: LogFollower; readonly end: () => void }[];
  #wake = () => {};
  #hasGrown = true;

  constructor(sources: readonly Source[], wants: Wants) {
    this.#followers = sources.map((source) => ({
      follower: new LogFollower(source.path, source.format, source.end?.size ?? 0, (line) => {
        if (wants(line)) this.#waiting.push(entryOf(source, line));
      }),
      end: source.follow(() => {
        this.#hasGrown = true;
        this.#wake();
      }),
    }));
  }

  async *entries(signal: AbortSignal): AsyncGenerator<LogEntry> {
    signal.addEventListener('abort', () => this.#wake());
    while (!signal.aborted) {
      const next = this.#waiting.shift();
      if (next !== undefined) yield next;
      else if (this.#hasGrown) {
        this.#hasGrown = false;
        for (const { follower } of this.#followers) await follower.advance();
      } else
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
    }
  }

  close(): void {
    for (const { follower, end } of this.#followers) {
      end();
      follower.close();
    }
  }
}
