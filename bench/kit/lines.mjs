// The lines of programs/writer.mjs in a file: every one is there, once, in order, whole.
import { closeSync, openSync, readSync, statSync } from 'node:fs';

export const LINE_BYTES = 100;
/** `2026-11-21T04:41:00.123456000Z stdout F ` */
const CRI_HEAD = 40;

export function bytesOf(lines, format) {
  return lines * (LINE_BYTES + (format === 'CRI' ? CRI_HEAD : 0));
}

export function sizeOf(file) {
  return statSync(file, { throwIfNoEntry: false })?.size ?? 0;
}

export function checkLines(file, lines, format) {
  const head = format === 'CRI' ? CRI_HEAD : 0;
  const length = head + LINE_BYTES;
  const buffer = Buffer.alloc(length * 20_000);
  const rest = ` ${'x'.repeat(LINE_BYTES - 12)}\n`;
  const fd = openSync(file, 'r');
  let n = 0;
  for (let size = fill(fd, buffer); size > 0; size = fill(fd, buffer)) {
    for (let at = 0; at < size; at += length) {
      n++;
      const line = buffer.latin1Slice(at, Math.min(at + length, size));
      const isRight =
        Number(line.slice(head, head + 10)) === n && line.slice(head + 10) === rest && hasHead(line, head);
      if (!isRight) throw new Error(`${file}: line ${n} is not in its place: ${JSON.stringify(line)}`);
    }
  }
  closeSync(fd);
  if (n !== lines) throw new Error(`${file}: ${n} lines instead of ${lines}`);
}

function hasHead(line, head) {
  return head === 0 || /^\d{4}-\d\d-\d\dT[\d:.]{18}Z stdout F $/.test(line.slice(0, head));
}

/** A read may give less than is there. */
function fill(fd, buffer) {
  let size = 0;
  for (let more = -1; more !== 0 && size < buffer.length; size += more)
    more = readSync(fd, buffer, size, buffer.length - size, null);
  return size;
}
