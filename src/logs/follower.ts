/** A log file that grows → the lines that come. */
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { isShortage } from '../core/error.ts';
import { LineCollector } from './collector.ts';
import type { LogFormat, LogLine } from './format.ts';
import { isAbsence, isSame, statIfAny } from './stat.ts';

const BLOCK_BYTES = 256 * 1024;

/** Hands out the lines that are added to a file, also across its rotation. */
export class LogFollower {
  readonly #path: string;
  readonly #onLine: (line: LogLine) => void;
  readonly #lines: LineCollector;
  readonly #block = Buffer.allocUnsafe(BLOCK_BYTES);
  #fd: number | null;
  #offset: number;
  #isClosed = false;

  /** Begins `from` bytes behind the begin of the file that is at `path` now; of one that comes later at its begin. */
  constructor(path: string, format: LogFormat, from: number, onLine: (line: LogLine) => void) {
    this.#path = path;
    this.#onLine = onLine;
    this.#lines = new LineCollector(format);
    this.#fd = openIfAny(path);
    this.#offset = this.#fd === null ? 0 : from;
  }

  /** To be called when the file has grown or was rotated: reads up to its present end. */
  advance(): void {
    if (this.#isClosed) return;
    this.#fd ??= openIfAny(this.#path);
    this.#readToEnd();
    for (let next = this.#next(); next !== null; next = this.#next()) {
      const fd = openIfAny(next);
      if (fd === null) return;
      // What was written between the first reading and the rotation.
      this.#readToEnd();
      this.#tell(this.#lines.endOfFile());
      if (this.#isClosed) closeSync(fd);
      else this.#switchTo(fd);
      this.#readToEnd();
    }
  }

  /** Ends it for good; `onLine` may do so too. */
  close(): void {
    this.#isClosed = true;
    this.#switchTo(null);
  }

  #switchTo(fd: number | null): void {
    if (this.#fd !== null) closeSync(this.#fd);
    this.#fd = fd;
    this.#offset = 0;
  }

  #readToEnd(): void {
    if (this.#fd === null) return;
    const { size } = fstatSync(this.#fd);
    if (size < this.#offset) {
      // A write that failed was taken back: what comes next stands where it began.
      this.#offset = size;
      this.#lines.forget();
    }
    while (this.#fd !== null) {
      const bytesRead = readSync(this.#fd, this.#block, 0, this.#block.length, this.#offset);
      if (bytesRead === 0) return;
      this.#offset += bytesRead;
      this.#tell(this.#lines.push(this.#block.subarray(0, bytesRead)));
    }
  }

  #tell(lines: readonly LogLine[]): void {
    for (const line of lines) if (!this.#isClosed) this.#onLine(line);
  }

  /** The file that was begun after the open one; `null`: there is none. Several rotations at once are followed while plain. */
  #next(): string | null {
    if (this.#fd === null) return null;
    const own = fstatSync(this.#fd);
    const present = statIfAny(this.#path);
    if (present === null || isSame(present, own)) return null;
    let newer = this.#path;
    for (let index = 1; ; index++) {
      const path = `${this.#path}.${index}`;
      const rotated = statIfAny(path);
      if (rotated === null) return this.#path;
      if (isSame(rotated, own)) return newer;
      newer = path;
    }
  }
}

function openIfAny(path: string): number | null {
  try {
    return openSync(path, 'r');
  } catch (error) {
    // Without a descriptor for it, it is read when it has grown further.
    if (isAbsence(error) || isShortage(error)) return null;
    throw error;
  }
}
