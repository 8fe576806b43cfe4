/**
 * Files under /proc, read into one buffer that is kept. readFileSync takes 64 KiB anew for each file whose size it does
 * not know, which is each of these: a look at all processes took three to six times as long, most of it for memory.
 */
import { closeSync, openSync, readdirSync, readSync } from 'node:fs';
import { isShortage } from '../core/error.ts';

const FIRST_BYTES = 16 * 1024;
let shared: Buffer = Buffer.allocUnsafeSlow(FIRST_BYTES);

/** The whole of it. @throws when it is not there, or its process has ended meanwhile. */
export function readProcFile(path: string, encoding: 'latin1' | 'utf8' = 'latin1'): string {
  return readAll(path, encoding, (count) => count === 0);
}

/** The same of what the kernel gives in one piece, as far as there is room for it: stat, environ. */
export function readProcRecord(path: string): string {
  return readAll(path, 'latin1', (count, room) => count < room);
}

/** What stands in /proc itself. */
export function listProc(): readonly string[] {
  return withDescriptor(() => readdirSync('/proc'));
}

/** Memory of this process, 0 where it can't be read. Node's own call opens a file too, without a reserve. */
export function residentBytes(): number {
  try {
    return Number(/^VmRSS:\s+(\d+) kB$/m.exec(readProcFile('/proc/self/status'))?.[1] ?? 0) * 1_024;
  } catch {
    return 0;
  }
}

let reserve: number | null = null;

/**
 * When all descriptors are taken (many instances under a low "ulimit -n") this one is given up for the moment: what can't
 * be looked at would count as gone.
 */
function withDescriptor<T>(read: () => T): T {
  reserve ??= openReserve();
  try {
    return read();
  } catch (error) {
    if (!isShortage(error) || reserve === null) throw error;
    closeSync(reserve);
    try {
      return read();
    } finally {
      // In the same turn, before anybody else takes it.
      reserve = openReserve();
    }
  }
}

/** Whether no descriptor is left at this moment. */
export function isShort(): boolean {
  try {
    closeSync(openSync('/dev/null', 'r'));
    return false;
  } catch (error) {
    return isShortage(error);
  }
}

function openReserve(): number | null {
  try {
    return openSync('/dev/null', 'r');
  } catch {
    return null;
  }
}

function readAll(path: string, encoding: 'latin1' | 'utf8', isEnd: (count: number, room: number) => boolean): string {
  return withDescriptor(() => readNow(path, encoding, isEnd));
}

function readNow(path: string, encoding: 'latin1' | 'utf8', isEnd: (count: number, room: number) => boolean): string {
  const fd = openSync(path, 'r');
  try {
    for (let length = 0; ; ) {
      const room = shared.length - length;
      const count = readSync(fd, shared, length, room, null);
      length += count;
      if (isEnd(count, room)) return shared.toString(encoding, 0, length);
      if (length === shared.length) shared = grown(shared);
    }
  } finally {
    closeSync(fd);
  }
}

function grown(buffer: Buffer): Buffer {
  const larger = Buffer.allocUnsafeSlow(buffer.length * 2);
  buffer.copy(larger);
  return larger;
}
