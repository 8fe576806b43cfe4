/** One growing log file and the rotated ones beside it; what was handed in is with the kernel when `write` returns. */
import {
  closeSync,
  createReadStream,
  createWriteStream,
  fstatSync,
  ftruncateSync,
  openSync,
  readdirSync,
  renameSync,
  type Stats,
  statSync,
  unlinkSync,
  utimesSync,
  writeSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import type { LogPolicy } from '../core/service.ts';

export type LogFileOptions = {
  /** Its folder exists. */
  readonly path: string;
  readonly policy: LogPolicy;
  /** Default 0o600. */
  readonly mode?: number;
  /** Epoch ms. */
  readonly now: () => number;
};

/** What could not be written, and the code of the error (`ENOSPC`) that it began with. */
type Place = { readonly size: number; readonly ino: number; readonly dev: number };

export type Dropped = { readonly bytes: number; readonly error: string };

type Part = { readonly index: number; readonly path: string; readonly isGzipped: boolean };

/** Appends to PATH, rotates it to PATH.1, PATH.2 …, gzipped on request; no error of the file system is thrown. */
export class LogFile {
  readonly #path: string;
  readonly #policy: LogPolicy;
  readonly #mode: number;
  readonly #now: () => number;
  #fd: number | null = null;
  #place: Place | null = null;
  /** When the first byte of PATH was written (epoch); `null`: it is empty. */
  #begunAt: number | null = null;
  #failing: string | null = null;
  #rotationError: string | null = null;
  #dropped: Dropped | null = null;
  #compression: { readonly done: Promise<void>; readonly abort: AbortController } | null = null;

  constructor({ path, policy, mode = 0o600, now }: LogFileOptions) {
    this.#path = path;
    this.#policy = policy;
    this.#mode = mode;
    this.#now = now;
  }

  /** The code of the error for which bytes are dropped at present; `null`: the last write succeeded. */
  get isFailing(): string | null {
    return this.#failing;
  }

  /** The code of the error for which the last rotation or gzip was not done; the file grows on until the next. */
  get rotationError(): string | null {
    return this.#rotationError;
  }

  /** False while there is no descriptor to open it with: what comes may wait where it is. */
  isReachable(): boolean {
    return this.#open() !== null || (this.#failing !== 'EMFILE' && this.#failing !== 'ENFILE');
  }

  /** What was dropped, told once, as soon as writing works again. */
  takeDropped(): Dropped | null {
    if (this.#failing !== null) return null;
    const dropped = this.#dropped;
    this.#dropped = null;
    return dropped;
  }

  /** Of the open file, opened if need be; zeros when it can't be. */
  position(): { readonly size: number; readonly ino: number } {
    const place = this.#whereNow();
    return { size: place?.size ?? 0, ino: place?.ino ?? 0 };
  }

  /** Writes all of `bytes` or nothing: after an error the file is as it was, and they count as dropped. */
  write(bytes: Buffer): void {
    if (bytes.length === 0) return;
    const fd = this.#open();
    if (fd === null) {
      this.#drop(bytes.length);
      return;
    }
    let written = 0;
    try {
      while (written < bytes.length) written += writeSync(fd, bytes, written);
    } catch (error) {
      this.#failing = codeOf(error);
      this.#drop(bytes.length);
      if (written > 0) attempt(() => ftruncateSync(fd, fstatSync(fd).size - written));
      // A descriptor can be of no use any more (ESTALE); the next write opens PATH anew.
      this.#closeFile();
      return;
    }
    if (this.#place !== null) this.#place = { ...this.#place, size: this.#place.size + bytes.length };
    this.#begunAt ??= this.#now();
    this.#failing = null;
  }

  /** Cuts off what comes after `size` bytes; false when that was impossible. */
  truncateTo(size: number): boolean {
    const fd = this.#open();
    if (fd === null) return false;
    this.#place = null;
    const code = attempt(() => {
      if (fstatSync(fd).size > size) ftruncateSync(fd, size);
    });
    if (code === null && size === 0) this.#begunAt = null;
    return code === null;
  }

  /** To be called between writes: rotates the file when it has its full size or age; whether PATH is a new file now. */
  rotateIfDue(): boolean {
    if (this.#fd === null && statOf(this.#path) === null) return false;
    const place = this.#whereNow();
    if (place === null || !this.#isDue(place.size)) return false;
    const present = statOf(this.#path);
    // Moved or deleted from outside meanwhile: what is at PATH now, if anything, is not ours to move.
    const isOurs = present?.ino === place.ino && present.dev === place.dev;
    this.#rotationError = attempt(() => (isOurs ? this.#rotate() : this.reopen()));
    if (this.#rotationError === null) this.#compress();
    return this.#rotationError === null;
  }

  /** Closes the file and opens PATH anew, after something outside has moved it. */
  reopen(): void {
    this.#closeFile();
    this.#open();
  }

  /** All parts that exist, oldest first, PATH as the last. */
  files(): readonly string[] {
    const parts = this.#partsIfAny();
    const paths = parts.filter((part) => !isDouble(part, parts)).map(({ path }) => path);
    return statOf(this.#path) === null ? paths : [...paths, this.#path];
  }

  /** Resolves when no rotated file is being gzipped. */
  async compressed(): Promise<void> {
    while (this.#compression !== null) await this.#compression.done;
  }

  /** Closes the file; a gzip under way is given up and made good by the next rotation. */
  close(): void {
    this.#compression?.abort.abort();
    this.#closeFile();
  }

  /** Closes the file and deletes all parts. */
  remove(): void {
    this.close();
    const rotated = this.#partsIfAny().map(({ path }) => path);
    for (const path of [...rotated, this.#partial, this.#path]) attempt(() => removeFile(path));
  }

  /** Where a gzip is written until it is whole. */
  get #partial(): string {
    return `${this.#path}.gz-partial`;
  }

  #open(): number | null {
    if (this.#fd !== null) return this.#fd;
    try {
      this.#fd = openSync(this.#path, 'a', this.#mode);
      const { size, birthtimeMs, mtimeMs } = fstatSync(this.#fd);
      // Some file systems know no birth time: Node says 0 or the ctime, which is never before the last write.
      const begunAt = birthtimeMs > 0 ? Math.min(birthtimeMs, mtimeMs) : mtimeMs;
      this.#begunAt = size === 0 ? null : begunAt;
    } catch (error) {
      this.#failing = codeOf(error);
    }
    return this.#fd;
  }

  #closeFile(): void {
    const fd = this.#fd;
    this.#fd = null;
    this.#place = null;
    this.#begunAt = null;
    // Some file systems tell only here that bytes are lost (NFS, EDQUOT); there is no descriptor to try again with.
    if (fd !== null) this.#failing = attempt(() => closeSync(fd)) ?? this.#failing;
  }

  /** Asked of the system once: from then on only our own writes change it. */
  #whereNow(): Place | null {
    const fd = this.#open();
    if (fd === null) return null;
    if (this.#place === null) {
      const { size, ino, dev } = fstatSync(fd);
      this.#place = { size, ino, dev };
    }
    return this.#place;
  }

  #drop(bytes: number): void {
    const { bytes: before, error } = this.#dropped ?? { bytes: 0, error: this.#failing ?? 'unknown error' };
    this.#dropped = { bytes: before + bytes, error };
  }

  #isDue(size: number): boolean {
    if (size === 0) return false;
    const { maxSizeBytes, maxAgeMs } = this.#policy;
    const ageMs = this.#begunAt === null ? 0 : this.#now() - this.#begunAt;
    return size >= maxSizeBytes || (maxAgeMs !== null && ageMs >= maxAgeMs);
  }

  /** Oldest first, so that no part is ever renamed onto another; what fails leaves the rest as it is. */
  #rotate(): void {
    this.#mend();
    for (const part of this.#parts()) {
      const index = part.index + 1;
      const isKept = index < this.#policy.maxFiles && !this.#isTooOld(part);
      if (isKept) moveFile(part.path, this.#partPath(index, part.isGzipped));
      else removeFile(part.path);
    }
    if (this.#policy.maxFiles > 1) moveFile(this.#path, this.#partPath(1, false));
    else removeFile(this.#path);
    this.reopen();
  }

  /** Clears away what a crash in the middle of a gzip left: an unfinished one, or the original beside a whole one. */
  #mend(): void {
    if (this.#compression !== null) return;
    removeFile(this.#partial);
    const parts = this.#parts();
    for (const part of parts) if (isDouble(part, parts)) removeFile(part.path);
  }

  #isTooOld({ path }: Part): boolean {
    const { maxAgeMs } = this.#policy;
    const stat = statOf(path);
    return maxAgeMs !== null && stat !== null && this.#now() - stat.mtimeMs >= maxAgeMs;
  }

  /** The rotated files, oldest first, also those beyond a `maxFiles` that was greater once. */
  #parts(): readonly Part[] {
    const prefix = `${basename(this.#path)}.`;
    const parts = readdirSync(dirname(this.#path)).flatMap((name) => {
      const match = name.startsWith(prefix) ? /^([1-9]\d*)(\.gz)?$/.exec(name.slice(prefix.length)) : null;
      if (!match) return [];
      return [{ index: Number(match[1]), path: join(dirname(this.#path), name), isGzipped: match[2] !== undefined }];
    });
    return parts.sort((a, b) => b.index - a.index);
  }

  #partsIfAny(): readonly Part[] {
    let parts: readonly Part[] = [];
    attempt(() => {
      parts = this.#parts();
    });
    return parts;
  }

  #partPath(index: number, isGzipped: boolean): string {
    return `${this.#path}.${index}${isGzipped ? '.gz' : ''}`;
  }

  #compress(): void {
    if (!this.#policy.compress || this.#compression !== null) return;
    const abort = new AbortController();
    const done = this.#gzipAll(abort.signal).finally(() => {
      this.#compression = null;
    });
    this.#compression = { done, abort };
  }

  /** One after the other, until none is left or one fails. */
  async #gzipAll(signal: AbortSignal): Promise<void> {
    try {
      for (let part = this.#nextPlain(); part && !signal.aborted; part = this.#nextPlain()) {
        await this.#gzip(part.path, signal);
      }
    } catch (error) {
      if (!signal.aborted) this.#rotationError = codeOf(error);
      attempt(() => removeFile(this.#partial));
    }
  }

  #nextPlain(): Part | undefined {
    return this.#parts().find(({ isGzipped }) => !isGzipped);
  }

  async #gzip(path: string, signal: AbortSignal): Promise<void> {
    // Opened here and now: a rotation may give the name to another file before a stream would have opened it.
    const source = openSync(path, 'r');
    const original = fstatSync(source);
    const target = openFor(this.#partial, this.#mode, source);
    const to = createWriteStream(this.#partial, { fd: target, flush: true });
    const { createGzip } = await import('node:zlib');
    await pipeline(createReadStream(path, { fd: source }), createGzip(), to, { signal });
    // From here on nothing is awaited, so no rotation can come between.
    const now = this.#parts().find((part) => !part.isGzipped && isSame(statOf(part.path), original));
    if (now === undefined) return removeFile(this.#partial);
    utimesSync(this.#partial, original.atime, original.mtime);
    moveFile(this.#partial, this.#partPath(now.index, true));
    removeFile(now.path);
  }
}

/** Opens `path` for writing; when it can't be, closes `other` too. */
function openFor(path: string, mode: number, other: number): number {
  try {
    return openSync(path, 'w', mode);
  } catch (error) {
    closeSync(other);
    throw error;
  }
}

function isDouble(part: Part, parts: readonly Part[]): boolean {
  return !part.isGzipped && parts.some((other) => other.isGzipped && other.index === part.index);
}

/** An inode's number is given away anew when the file is gone, hence the rest. */
function isSame(a: Stats | null, b: Stats): boolean {
  return a !== null && a.ino === b.ino && a.dev === b.dev && a.size === b.size && a.mtimeMs === b.mtimeMs;
}

function moveFile(from: string, to: string): void {
  unlessAbsent(() => renameSync(from, to));
}

function removeFile(path: string): void {
  unlessAbsent(() => unlinkSync(path));
}

function statOf(file: string): Stats | null {
  try {
    return statSync(file);
  } catch (error) {
    codeOf(error);
    return null;
  }
}

function unlessAbsent(action: () => void): void {
  try {
    action();
  } catch (error) {
    if (codeOf(error) !== 'ENOENT') throw error;
  }
}

/** The code of the system's error that `action` failed with; anything else is a bug and goes on its way. */
function attempt(action: () => void): string | null {
  try {
    action();
    return null;
  } catch (error) {
    return codeOf(error);
  }
}

function codeOf(error: unknown): string {
  if (error instanceof Error && 'code' in error && typeof error.code === 'string') return error.code;
  throw error;
}
