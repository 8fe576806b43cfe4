/** Log files → lines: all of them, or the last ones. */
import type { Stats } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { pipeline } from 'node:stream';
import { createGunzip } from 'node:zlib';
import { LineCollector } from './collector.ts';
import type { LogFormat, LogLine, StreamName } from './format.ts';
import { isAbsence, isSame, statIfAny } from './stat.ts';

export { type LogLine, parseLine } from './format.ts';

export type TimeRange = { readonly sinceMs?: number; readonly untilMs?: number };

/** Where a file stood at a moment: what came later, in it or in newer ones, is not read. */
export type EndOfLog = { readonly ino: number; readonly size: number };

const NEWLINE = 0x0a;
const BLOCK_BYTES = 256 * 1024;
/** How much of the end is read first, and by what it grows when that is not enough. */
const FIRST_WINDOW_BYTES = 64 * 1024;
const WINDOW_GROWTH = 4;
/** From so many bytes on the begin of a line in pieces is not searched further. */
const FAR_ENOUGH_BYTES = 4 * 1024 * 1024;
/** A file's time lags behind the clock by a tick of the kernel (4 ms), on some file systems by 2 s. */
const MTIME_LAG_MS = 2_000;

/** All lines of `files` (oldest first, .gz too) within the range; ends early, without an error, when aborted. */
export async function* readLines(
  files: readonly string[],
  format: LogFormat,
  { sinceMs = Number.NEGATIVE_INFINITY, untilMs = Number.POSITIVE_INFINITY }: TimeRange = {},
  { signal, upTo }: { readonly signal?: AbortSignal; readonly upTo?: EndOfLog | null } = {},
): AsyncGenerator<LogLine> {
  const sources = await openAll(files, upTo ?? null);
  try {
    // What was last written before the range holds nothing of it; raw logs have no other time.
    const recent = sources.filter(({ stat }) => stat.mtimeMs + MTIME_LAG_MS >= sinceMs);
    let isWithin = true;
    for await (const lines of batches(recent, 0, format)) {
      if (signal?.aborted) return;
      for (const line of lines) {
        // A line without time goes with the one before.
        if (line.at !== null) isWithin = line.at >= sinceMs && line.at <= untilMs;
        if (isWithin) yield line;
      }
    }
  } finally {
    await closeAll(sources);
  }
}

/** The last `count` lines that `filter` takes, in order; reads as little of the end of `files` (oldest first) as that needs. */
export async function lastLines(
  files: readonly string[],
  format: LogFormat,
  count: number,
  filter: (line: LogLine) => boolean = () => true,
  upTo: EndOfLog | null = null,
): Promise<readonly LogLine[]> {
  if (count <= 0) return [];
  const sources = await openAll(files, upTo);
  try {
    for (let bytes = FIRST_WINDOW_BYTES; ; bytes *= WINDOW_GROWTH) {
      const window = windowOf(sources, bytes);
      const tail = await readTail(window, { format, count, filter });
      const isEnough = tail.length === count && (bytes >= FAR_ENOUGH_BYTES || tail.every(({ isWhole }) => isWhole));
      if (isEnough || window.isAll) return tail.map(({ line }) => line);
    }
  } finally {
    await closeAll(sources);
  }
}

type Window = { readonly sources: readonly Source[]; readonly offset: number; readonly isAll: boolean };

/** The last `bytes` of all; a gzipped file can only be read as a whole. */
function windowOf(sources: readonly Source[], bytes: number): Window {
  let missing = bytes;
  for (const [index, { size, isGzipped }] of [...sources.entries()].reverse()) {
    if (size >= missing) {
      const offset = isGzipped ? 0 : size - missing;
      return { sources: sources.slice(index), offset, isAll: index === 0 && offset === 0 };
    }
    missing -= size;
  }
  return { sources, offset: 0, isAll: true };
}

type Wanted = {
  readonly format: LogFormat;
  readonly count: number;
  readonly filter: (line: LogLine) => boolean;
};

/** `isWhole` is false when pieces of the line may lie before the window. */
type TailLine = { readonly line: LogLine; readonly isWhole: boolean };

async function readTail(window: Window, { format, count, filter }: Wanted): Promise<readonly TailLine[]> {
  const seen = new Set<StreamName | null>(window.isAll ? ['stdout', 'stderr', null] : [null]);
  const tail: TailLine[] = [];
  for await (const lines of batches(window.sources, window.offset, format)) {
    for (const line of lines) {
      if (filter(line)) tail.push({ line: detached(line), isWhole: seen.has(line.stream) });
      seen.add(line.stream);
    }
    if (tail.length > count) tail.splice(0, tail.length - count);
  }
  return tail;
}

/** A line of its own: V8 keeps a string in memory as long as a part of it lives, here a whole block for a line. */
function detached(line: LogLine): LogLine {
  return { ...line, line: Buffer.from(line.line).toString() };
}

/** The lines of the sources, a block's worth at a time; from `offset` of the first on without the line there, whose begin is unknown. */
async function* batches(
  sources: readonly Source[],
  offset: number,
  format: LogFormat,
): AsyncGenerator<readonly LogLine[]> {
  const lines = new LineCollector(format);
  let skip = offset > 0;
  for (const [index, source] of sources.entries()) {
    for await (const block of blocks(source, index === 0 ? offset : 0)) {
      const first = skip ? block.indexOf(NEWLINE) : -1;
      if (skip && first < 0) continue;
      skip = false;
      yield lines.push(block.subarray(first + 1));
    }
    yield lines.endOfFile();
  }
  yield lines.end();
}

type Source = {
  readonly handle: FileHandle;
  readonly stat: Stats;
  /** How much of it is read. */
  readonly size: number;
  readonly isGzipped: boolean;
};

/** Opens the newest first: a file that is rotated meanwhile is met again under its next name, never missed. */
async function openAll(files: readonly string[], upTo: EndOfLog | null): Promise<readonly Source[]> {
  const sources: Source[] = [];
  try {
    for (const file of files.toReversed()) {
      const source = (await openSource(file)) ?? (await openSource(`${file}.gz`));
      if (source === null) continue;
      if (sources.some(({ stat }) => isSame(stat, source.stat))) await source.handle.close();
      else sources.unshift(source);
    }
  } catch (error) {
    await closeAll(sources);
    throw error;
  }
  if (upTo === null || sources.some(({ stat }) => stat.ino === upTo.ino))
    return upTo === null ? sources : cutAt(sources, upTo);
  // Rotated since its end was noted: it has a name now that the list doesn't know.
  await closeAll(sources);
  return openRotated(files.at(-1) ?? '', upTo);
}

async function openRotated(path: string, upTo: EndOfLog): Promise<readonly Source[]> {
  const names = [path];
  for (let index = 1; isThere(`${path}.${index}`) || isThere(`${path}.${index}.gz`); index++)
    names.unshift(`${path}.${index}`);
  return cutAt(await openAll(names, null), upTo);
}

/** Newer ones are closed unread. */
async function cutAt(sources: readonly Source[], { ino, size }: EndOfLog): Promise<readonly Source[]> {
  const last = sources.findIndex(({ stat }) => stat.ino === ino);
  if (last < 0) return sources;
  await closeAll(sources.slice(last + 1));
  return sources.slice(0, last + 1).map((source, index) => (index === last ? { ...source, size } : source));
}

/** `null`: there is no such file. */
async function openSource(file: string): Promise<Source | null> {
  try {
    const handle = await open(file, 'r');
    const stat = await handle.stat();
    return { handle, stat, size: stat.size, isGzipped: file.endsWith('.gz') };
  } catch (error) {
    if (isAbsence(error)) return null;
    throw error;
  }
}

async function closeAll(sources: readonly Source[]): Promise<void> {
  for (const { handle } of sources) await handle.close();
}

/** What was in the file when it was opened; a block is only good until the next. */
async function* blocks({ handle, size, isGzipped }: Source, offset: number): AsyncGenerator<Buffer> {
  if (isGzipped) {
    yield* unzipped(handle);
    return;
  }
  const buffer = Buffer.allocUnsafe(Math.min(BLOCK_BYTES, Math.max(1, size - offset)));
  for (let at = offset; at < size; ) {
    const { bytesRead } = await handle.read(buffer, 0, Math.min(buffer.length, size - at), at);
    if (bytesRead === 0) return;
    at += bytesRead;
    yield buffer.subarray(0, bytesRead);
  }
}

/** Of a damaged file: what is before the damage. */
async function* unzipped(handle: FileHandle): AsyncGenerator<Buffer> {
  const compressed = handle.createReadStream({ start: 0, autoClose: false });
  const chunks: AsyncIterable<Buffer> = pipeline(compressed, createGunzip(), () => {});
  try {
    yield* chunks;
  } catch (error) {
    if (!isDamage(error)) throw error;
  }
}

/** Z_DATA_ERROR, Z_BUF_ERROR and their like. */
function isDamage(error: unknown): boolean {
  return error instanceof Error && 'code' in error && String(error.code).startsWith('Z_');
}

function isThere(path: string): boolean {
  return statIfAny(path) !== null;
}
