/** Chunks of bytes → whole lines, never splitting a line or a character; memory stays bounded. */

const NEWLINE = 0x0a;
/** A line without end is passed on in pieces of at most so many bytes, cut between characters. */
const LONGEST_LINE = 1024 * 1024;

/** Collects the bytes of one stream and hands out whole lines, without their newline. */
export class LineSplitter {
  readonly #onLine: (line: Buffer) => void;
  #rest: Buffer[] = [];
  #restLength = 0;

  constructor(onLine: (line: Buffer) => void) {
    this.#onLine = onLine;
  }

  push(chunk: Buffer): void {
    let from = 0;
    for (let end = chunk.indexOf(NEWLINE); end >= 0; end = chunk.indexOf(NEWLINE, from)) {
      this.#keep(chunk.subarray(from, end));
      this.end(true);
      from = end + 1;
    }
    this.#keep(chunk.subarray(from));
    while (this.#restLength > LONGEST_LINE) this.#cut();
  }

  /** Hands out what is left. `evenEmpty`: a newline was seen, so an empty line is one. */
  end(evenEmpty = false): void {
    if (this.#restLength === 0 && !evenEmpty) return;
    const line = this.#rest.length === 1 && this.#rest[0] ? this.#rest[0] : Buffer.concat(this.#rest);
    this.#rest = [];
    this.#restLength = 0;
    this.#onLine(line);
  }

  #keep(bytes: Buffer): void {
    if (bytes.length === 0) return;
    this.#rest.push(bytes);
    this.#restLength += bytes.length;
  }

  #cut(): void {
    const all = Buffer.concat(this.#rest);
    let at = LONGEST_LINE;
    // Bytes 10xxxxxx go on with a character that began before (RFC 3629).
    while (at > LONGEST_LINE - 4 && ((all[at] ?? 0) & 0xc0) === 0x80) at--;
    this.#onLine(all.subarray(0, at));
    this.#rest = [all.subarray(at)];
    this.#restLength = all.length - at;
  }
}
