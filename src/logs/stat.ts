/** Files that may be gone: what is known of one, and whether two are the same. */
import { type Stats, statSync } from 'node:fs';

/** Whether a file was not there. */
export function isAbsence(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ENOENT';
}

/** Whether two are the same file. */
export function isSame(a: Stats, b: Stats): boolean {
  return a.ino === b.ino && a.dev === b.dev;
}

/** `null`: there is none. */
export function statIfAny(path: string): Stats | null {
  return statSync(path, { throwIfNoEntry: false }) ?? null;
}
