/** How lines stand in a log file, written and read: raw, or each with its time and stream as CRI or JSON. */
import type { LogPolicy } from '../core/service.ts';
import { asCri, asJson, type StreamName, type Written } from './written.ts';

export type LogFormat = LogPolicy['format'];
export type { StreamName };

export type LogLine = {
  /** Epoch ms, as exact as it was written; `null` in raw logs, and when the line is none of gsup's. */
  readonly at: number | null;
  readonly stream: StreamName | null;
  readonly line: string;
  /** It goes on with the next line of its stream: it is longer than 1 MiB, or its last piece is missing. */
  readonly isPartial: boolean;
};

const NEWLINE = 0x0a;
const EMPTY = Buffer.alloc(0);
/** A longer line is written in pieces of at most so many bytes, as the container runtimes of Kubernetes do. */
const LONGEST_PIECE = 16 * 1024;
/** `2026-11-21T04:41:00.123456000Z`. */
const STAMP_LENGTH = 30;

/** Formats the output of one stream of one instance; of a line without end it holds at most 16 KiB. */
export class LineFormatter {
  readonly #format: LogFormat;
  readonly #stream: StreamName;
  #rest: Buffer = EMPTY;

  constructor(format: LogFormat, stream: StreamName) {
    this.#format = format;
    this.#stream = stream;
  }

  /** The begin of a line whose end has not come: at most 16 KiB, and never empty between the pieces of a line. */
  get rest(): Buffer {
    return this.#rest;
  }

  /** Takes over what another formatter of this stream had as its `rest`. */
  restore(rest: Buffer): void {
    this.#rest = rest;
  }

  /** What is to be appended to the file for `chunk`, stamped with `atMs` (epoch, parts of a ms kept); good until the next call of any. */
  push(chunk: Buffer, atMs: number): Buffer {
    if (this.#format === 'raw') return chunk;
    const out = this.#begin(atMs, this.#rest.length + chunk.length);
    const bytes = this.#endBegunLine(chunk, out);
    let written = 0;
    for (let begin = 0; bytes.length - begin > LONGEST_PIECE; ) {
      const newline = bytes.subarray(begin, begin + LONGEST_PIECE + 1).lastIndexOf(NEWLINE);
      if (newline >= 0) {
        begin += newline + 1;
        continue;
      }
      if (begin > written) out.lines(bytes.subarray(written, begin));
      written = cutBefore(bytes, begin + LONGEST_PIECE);
      out.line(bytes.subarray(begin, written), true);
      begin = written;
    }
    const end = Math.max(written, bytes.lastIndexOf(NEWLINE) + 1);
    if (end > written) out.lines(bytes.subarray(written, end));
    // A copy: the chunk is the caller's, and a part of it would keep all of it in memory.
    this.#rest = Buffer.from(bytes.subarray(end));
    return out.end();
  }

  /** What is left as a last line, with a newline of its own; empty when nothing is left. */
  end(atMs: number): Buffer {
    const line = this.#rest;
    this.#rest = EMPTY;
    if (line.length === 0) return EMPTY;
    const out = this.#begin(atMs, line.length);
    out.line(line, false);
    return out.end();
  }

  #begin(atMs: number, bytes: number): Written {
    return this.#format === 'json' ? asJson(this.#stream, atMs) : asCri(this.#stream, atMs, bytes);
  }

  /** Adds the line that `rest` began, when it ends in `chunk` and is not too long; what is to be looked at then. */
  #endBegunLine(chunk: Buffer, out: Written): Buffer {
    if (this.#rest.length === 0) return chunk;
    const newline = chunk.indexOf(NEWLINE);
    if (newline < 0 || this.#rest.length + newline > LONGEST_PIECE) return Buffer.concat([this.#rest, chunk]);
    out.lines(Buffer.concat([this.#rest, chunk.subarray(0, newline + 1)]));
    return chunk.subarray(newline + 1);
  }
}

/** The nearest place up to `at` that is not within a UTF-8 character; `at` itself when the bytes are no UTF-8. */
export function cutBefore(bytes: Buffer, at: number): number {
  for (let place = at; place > at - 4; place--) {
    // Bytes 10xxxxxx go on with a character that began before (RFC 3629).
    if (((bytes[place] ?? 0) & 0xc0) !== 0x80) return place;
  }
  return at;
}

/** One line as it stands in a file, without its newline; whatever is not of `format` is taken as it is, without time. */
export function parseLine(written: Buffer | string, format: LogFormat): LogLine {
  const text = written.toString();
  const parsed = format === 'cri' ? parseCri(text) : format === 'json' ? parseJson(text) : null;
  return parsed ?? { at: null, stream: null, line: text, isPartial: false };
}

function parseCri(text: string): LogLine | null {
  const stream = text.startsWith(' stdout ', STAMP_LENGTH) ? 'stdout' : 'stderr';
  if (stream === 'stderr' && !text.startsWith(' stderr ', STAMP_LENGTH)) return null;
  const tag = text[STAMP_LENGTH + 8];
  if ((tag !== 'F' && tag !== 'P') || text[STAMP_LENGTH + 9] !== ' ') return null;
  const at = parseStamp(text.slice(0, STAMP_LENGTH));
  return at === null ? null : { at, stream, line: text.slice(STAMP_LENGTH + 10), isPartial: tag === 'P' };
}

function parseJson(text: string): LogLine | null {
  const record = parseObject(text);
  if (record === null || !('time' in record && 'stream' in record && 'line' in record)) return null;
  const { time, stream, line } = record;
  if (typeof time !== 'string' || typeof line !== 'string' || (stream !== 'stdout' && stream !== 'stderr')) return null;
  const at = parseStamp(time);
  return at === null ? null : { at, stream, line, isPartial: 'partial' in record && record.partial === true };
}

function parseObject(text: string): object | null {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' ? value : null;
  } catch {
    return null;
  }
}

/** Lines that were printed together have one time; to parse it once makes reading twice as fast. */
let lastStamp: { readonly text: string; readonly at: number | null } = { text: '', at: null };

function parseStamp(text: string): number | null {
  if (text !== lastStamp.text) lastStamp = { text, at: momentOf(text) };
  return lastStamp.at;
}

/** Date knows ms only: the 6 digits after those are added. */
function momentOf(stamp: string): number | null {
  if (stamp.length !== STAMP_LENGTH || !stamp.endsWith('Z')) return null;
  const at = Date.parse(`${stamp.slice(0, 23)}Z`) + Number(stamp.slice(23, 29)) / 1e6;
  return Number.isNaN(at) ? null : at;
}
