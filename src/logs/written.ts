/** Lines → how they are written, as CRI or JSON; a chunk's worth at a time, all with the same time. */
import { Stamper } from './stamper.ts';

export type StreamName = 'stdout' | 'stderr';

/** Puts lines together. */
export type Written = {
  /** Whole lines, the last newline included. */
  lines(bytes: Buffer): void;
  /** A line without its newline, or a piece of one. */
  line(bytes: Buffer, isPartial: boolean): void;
  /** All of it, good until the next is begun. */
  end(): Buffer;
};

/** Below it the fewer calls of the plain way make up for what it costs a byte, and the daemon is spared the memory. */
const WORTH_STAMPING_BYTES = 4096;

/** What is made into strings at once. */
const MANY_BYTES = 64 * 1024;
const NEWLINE = 0x0a;

let stamper: Stamper | null | undefined;

/** `bytes`: at most so many will come. */
export function asCri(stream: StreamName, atMs: number, bytes: number): Written {
  if (bytes < WORTH_STAMPING_BYTES) return asPlainCri(stream, atMs);
  stamper = stamper === undefined ? Stamper.open() : stamper;
  return stamper?.hasRoomFor(bytes) ? asStampedCri(stamper, stream, atMs) : asPlainCri(stream, atMs);
}

function asStampedCri(out: Stamper, stream: StreamName, atMs: number): Written {
  const head = `${timestamp(atMs)} ${stream} `;
  out.begin();
  return {
    lines: (bytes) => out.lines(bytes, `${head}F `),
    line: (bytes, isPartial) => out.line(bytes, `${head}${isPartial ? 'P' : 'F'} `),
    end: () => out.end(),
  };
}

/** Once decoded, replaced and encoded: twice as fast as Buffer.copy line by line. */
export function asPlainCri(stream: StreamName, atMs: number): Written {
  const head = `${timestamp(atMs)} ${stream} `;
  let text = '';
  return {
    lines: (bytes) => {
      const lines = bytes.toString('latin1', 0, bytes.length - 1).replaceAll('\n', `\n${head}F `);
      text += `${head}F ${lines}\n`;
    },
    line: (bytes, isPartial) => {
      text += `${head}${isPartial ? 'P' : 'F'} ${bytes.toString('latin1')}\n`;
    },
    end: () => Buffer.from(text, 'latin1'),
  };
}

export function asJson(stream: StreamName, atMs: number): Written {
  const head = `{"time":"${timestamp(atMs)}","stream":"${stream}","line":`;
  const out: Buffer[] = [];
  const add = (bytes: Buffer) => {
    const written = bytes
      .toString()
      .split('\n')
      .map((line) => `${head}${JSON.stringify(line)}}\n`);
    out.push(Buffer.from(written.join('')));
  };
  return {
    lines: (bytes) => {
      for (let from = 0; from < bytes.length; ) {
        const to = endOfLines(bytes, from);
        add(bytes.subarray(from, to - 1));
        from = to;
      }
    },
    line: (bytes, isPartial) => {
      const tail = isPartial ? ',"partial":true}\n' : '}\n';
      out.push(Buffer.from(`${head}${JSON.stringify(bytes.toString())}${tail}`));
    },
    end: () => Buffer.concat(out),
  };
}

/** Where a good number of whole lines ends, which bounds how many strings are alive at once. */
function endOfLines(bytes: Buffer, from: number): number {
  const newline = bytes.subarray(from, from + MANY_BYTES).lastIndexOf(NEWLINE);
  return 1 + (newline >= 0 ? from + newline : bytes.indexOf(NEWLINE, from));
}

/** RFC 3339 in UTC with 9 digits, of which epoch ms as a double know 6. */
function timestamp(atMs: number): string {
  const micros = Math.round(atMs * 1000);
  const ms = Math.floor(micros / 1000);
  return `${new Date(ms).toISOString().slice(0, 23)}${String(micros - ms * 1000).padStart(3, '0')}000Z`;
}
