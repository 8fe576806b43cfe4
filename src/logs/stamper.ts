/** Heads before lines by WebAssembly, several times as fast as by strings (docs/BENCHMARKS.md), in memory that is used again. */
import { STAMPER } from './stamper-module.ts';

/** What the module's function copies behind each newline. */
const HEAD_BYTES = 40;
/** Where in its memory a head lies, then what is copied, then what has come of it. */
const HEAD_AT = 0;
const IN_AT = 64;
/** So much at once stays in the fastest cache of the processor. */
const SLICE_BYTES = 16 * 1024;
const OUT_AT = IN_AT + SLICE_BYTES + 64;
/** The function stores whole blocks. */
const SLACK_BYTES = 64;

type Stamp = (from: number, length: number, to: number, head: number) => number;
/** Every Node has it; the types that say so are those of browsers. */
declare const WebAssembly: {
  readonly Module: new (bytes: Uint8Array) => object;
  readonly Instance: new (module: object) => { readonly exports: StamperExports };
};
type StamperExports = { readonly stamp: Stamp; readonly memory: { readonly buffer: ArrayBuffer } };

/** Collects in one place what is to be written. */
export class Stamper {
  readonly #stamp: Stamp;
  readonly #memory: Buffer;
  #end = OUT_AT;

  private constructor(stamp: Stamp, memory: Buffer) {
    this.#stamp = stamp;
    this.#memory = memory;
  }

  /** `null` where there is no WebAssembly (`--jitless`), no SIMD, or too little address space for it (`ulimit -v`). */
  static open(): Stamper | null {
    try {
      const { exports } = new WebAssembly.Instance(new WebAssembly.Module(Buffer.from(STAMPER, 'base64')));
      return new Stamper(exports.stamp, Buffer.from(exports.memory.buffer));
    } catch {
      return null;
    }
  }

  /** Whether there is room for so many bytes of whichever lines and pieces. */
  hasRoomFor(bytes: number): boolean {
    return OUT_AT + (bytes + 1) * (1 + HEAD_BYTES) + SLACK_BYTES <= this.#memory.length;
  }

  /** Begins anew; what `end` gave is good no more. */
  begin(): void {
    this.#end = OUT_AT;
  }

  /** Adds whole lines, the last newline included, each behind `head` of 40 characters. */
  lines(bytes: Buffer, head: string): void {
    this.#memory.write(head, HEAD_AT, 'latin1');
    this.#end += this.#memory.write(head, this.#end, 'latin1');
    for (let from = 0; from < bytes.length; from += SLICE_BYTES) {
      const slice = bytes.subarray(from, from + SLICE_BYTES);
      this.#memory.set(slice, IN_AT);
      this.#end = this.#stamp(IN_AT, slice.length, this.#end, HEAD_AT);
    }
    // There is one behind the last newline too.
    this.#end -= HEAD_BYTES;
  }

  /** Adds one line, whatever is in it. */
  line(bytes: Buffer, head: string): void {
    this.#end += this.#memory.write(head, this.#end, 'latin1');
    this.#memory.set(bytes, this.#end);
    this.#end += bytes.length;
    this.#memory.writeUInt8(0x0a, this.#end++);
  }

  /** All of it. */
  end(): Buffer {
    return this.#memory.subarray(OUT_AT, this.#end);
  }
}
