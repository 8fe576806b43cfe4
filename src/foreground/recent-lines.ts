/** The last lines of each instance of `gsup run`, for the page: kept in memory only while something is served. */
import type { LogEntry } from '../api/types.ts';
import { EXIT, GsupError } from '../core/error.ts';
import type { InstanceRef } from '../core/event.ts';
import { type InstanceName, instanceName } from '../core/name.ts';
import type { StreamName } from '../host/host.ts';
import type { LogQuery } from '../http/source.ts';

/** Of an instance. */
const MOST_LINES = 500;
const LONGEST_LINE = 4_096;
/** For a reader that is slow: what it has not taken then is left out. */
const MOST_WAITING = 2_000;

export class RecentLines {
  readonly #lines = new Map<InstanceName, LogEntry[]>();
  readonly #bytes = new Map<InstanceName, number>();
  readonly #followers = new Set<(entry: LogEntry) => void>();

  push({ service, index }: InstanceRef, stream: StreamName, line: Buffer): void {
    const instance = instanceName(service, index);
    this.#bytes.set(instance, (this.#bytes.get(instance) ?? 0) + line.length + 1);
    const text = line.subarray(0, LONGEST_LINE).toString('utf8');
    const entry: LogEntry = { instance, at: Date.now(), stream, line: text };
    const lines = this.#lines.get(instance) ?? [];
    lines.push(entry);
    if (lines.length > MOST_LINES) lines.shift();
    this.#lines.set(instance, lines);
    for (const follower of this.#followers) follower(entry);
  }

  /** Nothing is ever dropped: a slow reader of our stdout holds everything up. */
  logged(): ReadonlyMap<string, { readonly bytes: number; readonly droppedBytes: number }> {
    return new Map([...this.#bytes].map(([instance, bytes]) => [instance, { bytes, droppedBytes: 0 }]));
  }

  /** @throws {GsupError} 4 for a name that is not among `known`. */
  read({ name, lines, search, isFollowed }: LogQuery, known: readonly string[], signal: AbortSignal) {
    const names = new Set(known.filter((one) => one === name || one.startsWith(`${name}:`)));
    if (names.size === 0) throw new GsupError(`no service ${name}`, { exitStatus: EXIT.noSuchService });
    const wanted = search?.toLowerCase() ?? '';
    const wants = ({ instance, line }: LogEntry) => names.has(instance) && line.toLowerCase().includes(wanted);
    const past = [...this.#lines.values()].flat().filter(wants);
    past.sort((a, b) => (a.at ?? 0) - (b.at ?? 0));
    const last = lines === 0 ? [] : past.slice(-lines);
    return isFollowed ? this.#follow(last, wants, signal) : asyncOf(last);
  }

  async *#follow(waiting: LogEntry[], wants: (entry: LogEntry) => boolean, signal: AbortSignal) {
    let wake = () => {};
    const follower = (entry: LogEntry): void => {
      if (wants(entry) && waiting.length < MOST_WAITING) waiting.push(entry);
      wake();
    };
    this.#followers.add(follower);
    const onAbort = (): void => wake();
    signal.addEventListener('abort', onAbort);
    try {
      while (!signal.aborted) {
        const next = waiting.shift();
        if (next !== undefined) yield next;
        else
          await new Promise<void>((resolve) => {
            wake = resolve;
          });
      }
    } finally {
      signal.removeEventListener('abort', onAbort);
      this.#followers.delete(follower);
    }
  }
}

async function* asyncOf(entries: readonly LogEntry[]): AsyncGenerator<LogEntry> {
  yield* entries;
}
