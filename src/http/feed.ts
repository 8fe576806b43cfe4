/** The open pages: each gets everything once and then what changes, made once for all of them and no faster than it is worth. */
import type { ServerResponse } from 'node:http';
import { managerNews } from '../core/manager.ts';
import type { FeedChange, FeedRow, FeedSnapshot } from './feed-message.ts';
import { beginStream } from './reply.ts';
import { rowsOf } from './rows.ts';
import type { HttpSource } from './source.ts';
import { cpuMs, type Usages } from './usages.ts';

/** Of one processor, for changes and again for what they use; whatever it costs, they wait no longer than this for it. */
const SHARE = 0.005;
const LONGEST_WAIT_MS = 5_000;
const LEAST_CHANGE_MS = 200;
const LEAST_USAGE_MS = 2_000;
const BEAT_MS = 15_000;
/** A page that has not taken so much is told everything anew when it has. */
const MOST_WAITING_BYTES = 256 * 1024;

type Reader = { readonly response: ServerResponse; isBehind: boolean };

export class Feed {
  readonly #source: HttpSource;
  readonly #usages: Usages;
  readonly #canAct: () => boolean;
  readonly #readers = new Set<Reader>();
  /** What the pages know. */
  #rows = new Map<string, FeedRow>();
  #status = '';
  #isStopping = false;
  #begins = new Map<string, number>();
  #endChanges: (() => void) | null = null;
  #timers: { change: NodeJS.Timeout | null; usage: NodeJS.Timeout | null; beat: NodeJS.Timeout | null } = {
    change: null,
    usage: null,
    beat: null,
  };
  #costMs = 0;
  /** When the next change is told; after a quiet time at once. */
  #notBefore = 0;

  constructor(source: HttpSource, usages: Usages, canAct: () => boolean) {
    this.#source = source;
    this.#usages = usages;
    this.#canAct = canAct;
  }

  /** Server-Sent Events until the page is closed. */
  async add(response: ServerResponse): Promise<void> {
    beginStream(response, 'text/event-stream');
    await this.#look();
    if (response.destroyed) return;
    const reader = { response, isBehind: false };
    this.#readers.add(reader);
    response.once('close', () => this.#remove(reader));
    response.write(this.#snapshot());
    if (this.#readers.size === 1) this.#begin();
  }

  /** Nobody is told any more. */
  close(): void {
    for (const { response } of this.#readers) response.destroy();
    this.#readers.clear();
    this.#end();
  }

  #begin(): void {
    this.#endChanges = this.#source.onChange(() => this.#changed());
    this.#timers.beat = setInterval(() => this.#send(': \n\n'), BEAT_MS).unref();
    this.#planUsage();
  }

  #end(): void {
    this.#endChanges?.();
    this.#endChanges = null;
    for (const timer of Object.values(this.#timers)) if (timer !== null) clearTimeout(timer);
    this.#timers = { change: null, usage: null, beat: null };
    this.#begins.clear();
  }

  #remove(reader: Reader): void {
    this.#readers.delete(reader);
    if (this.#readers.size === 0) this.#end();
  }

  #changed(): void {
    const waitMs = Math.max(LEAST_CHANGE_MS, this.#notBefore - performance.now());
    this.#timers.change ??= setTimeout(() => void this.#update(), waitMs);
  }

  #planUsage(): void {
    const waitMs = Math.max(LEAST_USAGE_MS, (this.#usages.costMs + this.#costMs) / SHARE);
    this.#timers.usage = setTimeout(() => {
      void this.#update().then(() => {
        if (this.#readers.size > 0) this.#planUsage();
      });
    }, waitMs).unref();
  }

  /** What has changed since the last time, to all. */
  async #update(): Promise<void> {
    if (this.#timers.change !== null) clearTimeout(this.#timers.change);
    this.#timers.change = null;
    const before = this.#rows;
    const [status, isStopping] = [this.#status, this.#isStopping];
    await this.#look();
    if (this.#readers.size === 0) return;
    const began = cpuMs();
    const change = changeOf(before, this.#rows);
    const isOther = change !== null || status !== this.#status || isStopping !== this.#isStopping;
    if (isOther) this.#tellAll(change);
    this.#costMs += cpuMs() - began;
    this.#notBefore = performance.now() + Math.min(LONGEST_WAIT_MS, this.#costMs / SHARE);
  }

  #tellAll(change: FeedChange | null): void {
    this.#send(eventOf('change', { ...change, at: Date.now(), status: this.#status, isStopping: this.#isStopping }));
  }

  async #look(): Promise<void> {
    const usage = await this.#usages.get(Math.max(LEAST_USAGE_MS - 100, this.#usages.costMs / SHARE));
    const began = cpuMs();
    const now = Date.now();
    const state = this.#source.state();
    this.#rows = new Map(
      rowsOf(this.#source, usage).map(({ view }): [string, FeedRow] => {
        const { uptimeMs, ...rest } = view;
        const key = `${view.instance}${view.spare === null ? '' : '+'}`;
        return [
          key,
          { ...rest, key, startedAt: uptimeMs === null ? null : this.#beginOf(key, view.id, now - uptimeMs) },
        ];
      }),
    );
    this.#status = managerNews(state, this.#source.now(), false).status;
    this.#isStopping = state.shutdown !== null;
    this.#costMs = cpuMs() - began;
  }

  /** The same for the whole run, though it is counted back from now each time. */
  #beginOf(key: string, id: string | null, startedAt: number): number {
    const known = this.#begins.get(`${key} ${id}`);
    if (known !== undefined && Math.abs(known - startedAt) < 1_000) return known;
    this.#begins.set(`${key} ${id}`, startedAt);
    return startedAt;
  }

  #snapshot(): string {
    const { version, place, startedAt, timeline, why } = this.#source;
    const snapshot: FeedSnapshot = {
      at: Date.now(),
      version,
      place,
      startedAt: Math.round(startedAt),
      canAct: this.#canAct(),
      hasTimeline: timeline !== undefined,
      hasWhy: why !== undefined,
      status: this.#status,
      isStopping: this.#isStopping,
      rows: [...this.#rows.values()],
    };
    return eventOf('snapshot', snapshot);
  }

  #send(text: string): void {
    for (const reader of this.#readers) {
      if (reader.isBehind) continue;
      if (reader.response.writableLength <= MOST_WAITING_BYTES) reader.response.write(text);
      else this.#leaveBehind(reader);
    }
  }

  #leaveBehind(reader: Reader): void {
    const { response } = reader;
    reader.isBehind = true;
    response.once('drain', () => {
      reader.isBehind = false;
      if (!response.destroyed) response.write(this.#snapshot());
    });
  }
}

/** Only the fields that differ; `null`: nothing does. */
function changeOf(before: ReadonlyMap<string, FeedRow>, after: ReadonlyMap<string, FeedRow>): FeedChange | null {
  const rows = [...after].flatMap(([key, row]) => {
    const was = before.get(key);
    if (was === undefined) return [row];
    const fields = Object.entries(row).filter(([name, value]) => !isEqual(value, was[name as keyof FeedRow]));
    return fields.length === 0 ? [] : [{ ...Object.fromEntries(fields), key }];
  });
  const keys = [...after.keys()];
  const isSameOrder = before.size === after.size && [...before.keys()].every((key, index) => key === keys[index]);
  if (rows.length === 0 && isSameOrder) return null;
  return { rows, ...(isSameOrder ? {} : { order: keys }) };
}

/** Of values in rows: nothing in them is deeper than one level. */
function isEqual(a: unknown, b: unknown): boolean {
  if (a === b) return true;
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return false;
  const [ours, theirs] = [Object.entries(a), Object.entries(b)];
  return ours.length === theirs.length && ours.every(([key, value]) => value === (b as Record<string, unknown>)[key]);
}

function eventOf(name: string, value: object): string {
  return `event: ${name}\ndata: ${JSON.stringify(value)}\n\n`;
}
