/** What the page knows: the rows in their order, the phrase of the whole, how the connection is. */
import type { FeedChange, FeedEvent, FeedRow, FeedSnapshot } from '../http/feed-message.ts';
import { connect, type Link } from './connection.ts';

export type Known = {
  readonly link: Link;
  /** `null`: nothing has come yet. */
  readonly about: Omit<FeedSnapshot, 'rows' | 'status' | 'isStopping'> | null;
  readonly status: string;
  readonly isStopping: boolean;
  readonly rows: readonly FeedRow[];
  /** What has to be added to our clock to get that of gsup, in ms. */
  readonly skewMs: number;
};

export class Store {
  #known: Known = { link: 'connecting', about: null, status: '', isStopping: false, rows: [], skewMs: 0 };
  #byKey = new Map<string, FeedRow>();
  #abort = new AbortController();
  readonly #listeners = new Set<() => void>();

  get known(): Known {
    return this.#known;
  }

  /** Calls back when something has changed; the result ends it. */
  listen(callback: () => void): () => void {
    this.#listeners.add(callback);
    return () => this.#listeners.delete(callback);
  }

  /** From the beginning, with another token for example. */
  begin(): void {
    this.#abort.abort();
    this.#abort = new AbortController();
    this.#set({ link: 'connecting' });
    const listener = {
      snapshot: (snapshot: FeedSnapshot) => this.#begin(snapshot),
      change: (event: FeedEvent) => this.#change(event),
      link: (link: Link) => this.#set({ link }),
    };
    void connect(listener, this.#abort.signal);
  }

  #begin({ rows, status, isStopping, ...about }: FeedSnapshot): void {
    this.#byKey = new Map(rows.map((row) => [row.key, row]));
    this.#set({ about, rows, status, isStopping, skewMs: about.at - Date.now() });
  }

  #change({ at, status, isStopping, ...change }: FeedEvent): void {
    this.#byKey = applied(this.#byKey, change);
    this.#set({ rows: [...this.#byKey.values()], status, isStopping, skewMs: at - Date.now() });
  }

  #set(changed: Partial<Known>): void {
    this.#known = { ...this.#known, ...changed };
    for (const listener of this.#listeners) listener();
  }
}

/** Rows that are as they were stay the same objects. */
function applied(before: ReadonlyMap<string, FeedRow>, { rows = [], order }: FeedChange): Map<string, FeedRow> {
  const all = new Map(before);
  // What is new comes with all its fields.
  for (const row of rows) all.set(row.key, { ...all.get(row.key), ...row } as FeedRow);
  if (order === undefined) return all;
  return new Map(
    order.flatMap((key): [string, FeedRow][] => {
      const row = all.get(key);
      return row === undefined ? [] : [[key, row]];
    }),
  );
}
