/** Makes named pipes: by koffi, else by mkfifo(1), for Node has no call of its own. */
import { execFileSync } from 'node:child_process';
import { nativeNow } from './native.ts';

/** One of mode 0600. @throws when it can't be made. */
export function makeFifo(path: string): void {
  makeFifos([path]);
}

/** Several, by one call where that has to be a program. @throws when they can't be made. */
export function makeFifos(paths: readonly string[]): void {
  const native = nativeNow();
  const left = native === null ? paths : paths.filter((path) => !native.makeFifo(path));
  if (left.length > 0) execFileSync('mkfifo', ['-m', '600', ...left], { stdio: ['ignore', 'ignore', 'pipe'] });
}
