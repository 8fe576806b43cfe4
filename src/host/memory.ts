/**
 * Memory that this process does not need any more, given back to the kernel: V8's garbage, what malloc keeps, and pages
 * of the program file that only its start has used (they stay in the page cache, and come back when they are wanted).
 */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import type { Native } from './native.ts';
import { readProcFile } from './proc-file.ts';

let collect: (() => void) | null = null;

/** Takes some 10 ms of a daemon with 100 instances. */
export function giveBackMemory(native: Native | null): void {
  collect ??= collector();
  collect();
  native?.trimHeap();
  for (const { from, length } of cleanFilePages()) native?.forgetPages(from, length);
}

/** One collection that compacts; V8's own way to the same (its memory reducer) begins 8 s later and does it two or three times. */
function collector(): () => void {
  setFlagsFromString('--compact-on-every-full-gc');
  setFlagsFromString('--no-memory-reducer');
  // There where the process was started with --expose-gc, else made now.
  if (typeof globalThis.gc === 'function') return globalThis.gc;
  setFlagsFromString('--expose-gc');
  const made: unknown = runInNewContext('gc');
  return typeof made === 'function' ? () => void made() : () => {};
}

/** Mappings of files that nobody has written to: proc_pid_smaps(5). */
function cleanFilePages(): readonly { readonly from: bigint; readonly length: number }[] {
  const mappings = readProcFile('/proc/self/smaps').split(/^(?=[0-9a-f]+-[0-9a-f]+ )/m);
  return mappings.flatMap((text) => {
    const [, from, to] = /^([0-9a-f]+)-([0-9a-f]+) r-[x-]p \S+ \S+ [1-9]\d* +\//.exec(text) ?? [];
    if (from === undefined || to === undefined || !/^Private_Dirty: +0 kB$/m.test(text)) return [];
    return [{ from: BigInt(`0x${from}`), length: Number(BigInt(`0x${to}`) - BigInt(`0x${from}`)) }];
  });
}
