/** Blocks of a log file → its lines, those in pieces joined. */
import { cutBefore, type LogFormat, type LogLine, parseLine, type StreamName } from './format.ts';

const NEWLINE = 0x0a;
const LONGEST_LINE = 1024 * 1024;

/** Blocks of a file → its lines; pieces of a line are joined, up to 1 MiB. */
export class LineCollector {
  readonly #format: LogFormat;
  #rest: Buffer[] = [];
  #restLength = 0;
  readonly #pieces = new Map<StreamName, LogLine[]>();

  constructor(format: LogFormat) {
    this.#format = format;
  }

  /** The lines that end in `block`, which is not longer than 1 MiB and may be reused. */
  push(block: Buffer): readonly LogLine[] {
    const lines: LogLine[] = [];
    const first = block.indexOf(NEWLINE);
    this.#keep(first < 0 ? block : block.subarray(0, first));
    while (this.#restLength > LONGEST_LINE) lines.push(this.#cut());
    if (first < 0) return lines;
    this.#take(this.#takeRest().toString(), lines);
    const last = block.lastIndexOf(NEWLINE);
    // No character of UTF-8 contains a newline's byte, so all lines are decoded at once.
    if (last > first) {
      for (const text of block.toString('utf8', first + 1, last).split('\n')) this.#take(text, lines);
    }
    this.#keep(block.subarray(last + 1));
    return lines;
  }

  /** A raw line may go on in the next file; any other that has no end there is torn. */
  endOfFile(): readonly LogLine[] {
    const lines: LogLine[] = [];
    if (this.#format !== 'raw' && this.#restLength > 0) this.#take(this.#takeRest().toString(), lines);
    return lines;
  }

  /** What is left, be it whole or not. */
  end(): readonly LogLine[] {
    const lines: LogLine[] = [];
    if (this.#restLength > 0) this.#take(this.#takeRest().toString(), lines);
    for (const pieces of this.#pieces.values()) lines.push(joined(pieces));
    this.#pieces.clear();
    return lines;
  }

  /** Forgets a line that has only begun. */
  forget(): void {
    this.#takeRest();
    this.#pieces.clear();
  }

  #take(text: string, lines: LogLine[]): void {
    const line = parseLine(text, this.#format);
    const pieces = line.stream === null ? undefined : this.#pieces.get(line.stream);
    if (line.stream === null || (!line.isPartial && pieces === undefined)) {
      lines.push(line);
      return;
    }
    const isTooLong = pieces !== undefined && lengthOf(pieces) + line.line.length > LONGEST_LINE;
    if (isTooLong) lines.push(joined(pieces));
    const all = isTooLong || pieces === undefined ? [line] : [...pieces, line];
    if (line.isPartial) {
      this.#pieces.set(line.stream, all);
      return;
    }
    this.#pieces.delete(line.stream);
    lines.push(joined(all));
  }

  #keep(bytes: Buffer): void {
    if (bytes.length === 0) return;
    this.#rest.push(Buffer.from(bytes));
    this.#restLength += bytes.length;
  }

  #takeRest(): Buffer {
    const rest = Buffer.concat(this.#rest);
    this.#rest = [];
    this.#restLength = 0;
    return rest;
  }

  #cut(): LogLine {
    const rest = this.#takeRest();
    const at = cutBefore(rest, LONGEST_LINE);
    this.#keep(rest.subarray(at));
    return { at: null, stream: null, line: rest.toString('utf8', 0, at), isPartial: true };
  }
}

function lengthOf(pieces: readonly LogLine[]): number {
  return pieces.reduce((sum, { line }) => sum + line.length, 0);
}

/** A line has the time of its last piece, so that times grow from line to line. */
function joined(pieces: readonly LogLine[]): LogLine {
  const last = pieces.at(-1) ?? parseLine('', 'raw');
  return { ...last, line: pieces.map(({ line }) => line).join('') };
}
