/** The journal's files → episodes and occasions; loaded and read only when somebody asks. */
import type { Episode } from '../core/episode.ts';
import { episodesOf } from '../core/history.ts';
import { type AskedKind, lastOccasions, type Occasion, occasionsOf } from '../core/occasion.ts';
import { parseRecorded, type Recorded } from '../core/recorded.ts';
import { lastLines } from '../logs/reader.ts';

/** Of the end of the journal so much is read first, then more, until there is enough or this is it. */
const FIRST_RECORDS = 4_000;
const GROWTH = 4;
const MOST_RECORDS = 64_000;
/** Of all services together: as many as 3 MB or so of a busy journal have. */
const MOST_STOPS = 2_000;

export type HistoryQuery = {
  /** Services and instances; empty: all. */
  readonly names: readonly string[];
  /** Empty: all. */
  readonly kinds: readonly AskedKind[];
  readonly last: number;
};

/** The last occasions, oldest first; of `files`, oldest first, no more is read than that needs. */
export async function readOccasions(files: readonly string[], query: HistoryQuery): Promise<readonly Occasion[]> {
  for (let count = FIRST_RECORDS; ; count *= GROWTH) {
    const records = await lastRecords(files, query.names, count);
    // One more than is wanted: the first may lack its beginning.
    const found = lastOccasions(occasionsOf(episodesOf(records)), { ...query, last: query.last + 1 });
    if (found.length > query.last || records.length < count || count >= MOST_RECORDS) return found.slice(-query.last);
  }
}

/** Episodes of the last `count` records of these services or instances (none: of all). @public (for `why`) */
export async function readEpisodes(
  files: readonly string[],
  names: readonly string[],
  count = FIRST_RECORDS,
): Promise<readonly Episode[]> {
  return episodesOf(await lastRecords(files, names, count));
}

/** The last `stopped` records of the newest two files. */
export async function readStops(files: readonly string[]): Promise<readonly Recorded[]> {
  const isStop = (line: string) => line.includes('"phase":"stopped"');
  const lines = await lastLines(files.slice(-2), 'raw', MOST_STOPS, ({ line }) => isStop(line));
  return lines.flatMap(({ line }) => parseRecorded(line) ?? []);
}

/** The last `count` records of the services of these names, and of the whole. */
async function lastRecords(
  files: readonly string[],
  names: readonly string[],
  count: number,
): Promise<readonly Recorded[]> {
  const services = names.map((name) => `"service":"${name.split(':')[0]}"`);
  const isOfThem = (line: string) => !line.includes('"service":') || services.some((word) => line.includes(word));
  const lines = await lastLines(files, 'raw', count, ({ line }) => services.length === 0 || isOfThem(line));
  return lines.flatMap(({ line }) => parseRecorded(line) ?? []);
}
