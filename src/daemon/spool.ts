/**
 * The chunk on its way from a FIFO to a log file, kept in a mapped file: read(2) puts it there, so a kill -9 at any
 * moment finds it either still in the FIFO or here, and the next daemon writes it to the end.
 */
import { closeSync, openSync, readFileSync, statSync } from 'node:fs';
import type { StreamName } from '../host/host.ts';
import { loadNative, type Mapping } from '../host/native.ts';
import { replaceFile } from '../supervisor/store.ts';

/** As much as a FIFO holds: what is done for each is little beside its copying then. */
export const CHUNK_BYTES = 256 * 1024;
/** The begin of a line whose end has not come. */
const REST_BYTES = 16 * 1024 + 1;
const HEADER_BYTES = 4096;
const PAGE_BYTES = 4096;
const SIZE = HEADER_BYTES + REST_BYTES + CHUNK_BYTES;
/** Stands where a chunk is about to be read to: as long as it is there, nothing was read. */
const NOT_READ = Buffer.from([0, 1, 0xff, 0xfe, 0, 2, 0xfd, 0xfc, 0, 3, 0xfb, 0xfa, 0, 4, 0xf9, 0xf8]);

/** What is needed to write a chunk once more, from the same place. */
export type Pending = {
  /** Of the capture. */
  readonly place: string;
  readonly stream: StreamName;
  readonly at: number;
  /** The log file before it, which is cut back to there. */
  readonly file: { readonly size: number; readonly ino: number };
  readonly rest: Buffer;
};

/** One for the daemon: chunks are read and written one after the other. */
export class Spool {
  readonly #mapping: Mapping;

  private constructor(mapping: Mapping) {
    this.#mapping = mapping;
  }

  /** `null` where there is no koffi, or no room: then a chunk is lost when the daemon dies between reading and writing it. */
  static async open(path: string): Promise<Spool | null> {
    const native = await loadNative();
    if (native === null) return null;
    try {
      // Every block of it is on the disk before it is mapped: a page without one is a SIGBUS on a full disk.
      const size = statSync(path, { throwIfNoEntry: false })?.size ?? 0;
      if (size < SIZE) replaceFile(path, grown(path, size), true);
      const fd = openSync(path, 'r+');
      try {
        const mapping = native.mapFile(fd, SIZE);
        return mapping === null ? null : new Spool(mapping);
      } finally {
        closeSync(fd);
      }
    } catch {
      return null;
    }
  }

  /** Whether a FIFO has anything now. */
  isFilled(fd: number): boolean {
    return this.#mapping.available(fd) > 0;
  }

  /** Reads what a FIFO has now, at most a chunk; `null`: nothing, or its end has come. The result is good until the next call. */
  read(fd: number, pending: Pending): Buffer | null {
    const { bytes } = this.#mapping;
    const length = Math.min(CHUNK_BYTES, this.#mapping.available(fd));
    if (length === 0) return null;
    const from = HEADER_BYTES + pending.rest.length;
    // A fault within read(2) may be cut short by a kill, with half of the chunk taken out of the FIFO: here it does no harm.
    for (let at = from; at < from + length + PAGE_BYTES; at += PAGE_BYTES) bytes[Math.min(at, from + length - 1)] = 0;
    pending.rest.copy(bytes, HEADER_BYTES);
    NOT_READ.copy(bytes, from, 0, Math.min(length, NOT_READ.length));
    const header = JSON.stringify({ ...pending, rest: pending.rest.length, length });
    bytes.writeUInt32LE(bytes.write(header, 8), 4);
    bytes.writeUInt32LE(1, 0);
    const count = this.#mapping.read(fd, from, length);
    return count > 0 ? bytes.subarray(from, from + count) : null;
  }

  /** The chunk is where it belongs. */
  done(): void {
    this.#mapping.bytes.writeUInt32LE(0, 0);
  }

  /** The chunk that a daemon has read and perhaps not written; `null`: there is none. */
  leftover(): (Pending & { readonly chunk: Buffer }) | null {
    const { bytes } = this.#mapping;
    if (bytes.readUInt32LE(0) !== 1) return null;
    try {
      const header = JSON.parse(bytes.toString('utf8', 8, 8 + bytes.readUInt32LE(4)));
      const from = HEADER_BYTES + header.rest;
      const chunk = Buffer.from(bytes.subarray(from, from + header.length));
      const rest = Buffer.from(bytes.subarray(HEADER_BYTES, from));
      const wasRead =
        chunk.compare(
          NOT_READ,
          0,
          Math.min(chunk.length, NOT_READ.length),
          0,
          Math.min(chunk.length, NOT_READ.length),
        ) !== 0;
      return wasRead ? { ...header, rest, chunk } : null;
    } catch {
      // A header that is no JSON was being written: nothing had been read yet.
      return null;
    }
  }
}

/** What is in it stays: the daemon before may have left a chunk in a smaller one. */
function grown(path: string, size: number): Buffer {
  const bytes = Buffer.alloc(SIZE);
  if (size > 0) readFileSync(path).copy(bytes);
  return bytes;
}
