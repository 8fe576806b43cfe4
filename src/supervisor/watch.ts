/** Changes of files, told once they have settled. */
import { isAbsolute, relative, sep } from 'node:path';
import { watch as watchFiles } from 'chokidar';
import picomatch from 'picomatch';
import type { WatchPolicy } from '../core/service.ts';
import type { Clock } from './clock.ts';

/** Names that change all the time and belong to no program. */
const ALWAYS_IGNORED = ['node_modules', '.git', '.hg', '.svn'];
const GLOB = /[*?[\]{}!]/;

export type Watching = {
  readonly policy: WatchPolicy;
  /** Where relative ignores begin. */
  readonly folder: string;
  readonly clock: Clock;
  /** Hears of the last file that has changed, from the folder. */
  changed(file: string): void;
  /** Hears why something can't be watched. */
  problem(text: string): void;
};

/** Watches until the result is called. */
export function onChange({ policy, folder, clock, changed, problem }: Watching): () => void {
  const isIgnored = ignoring(policy, folder);
  let cancel = () => {};
  const watcher = watchFiles([...policy.paths], { ignoreInitial: true, ignored: isIgnored });
  watcher.on('all', (_, path) => {
    cancel();
    cancel = clock.after(policy.debounceMs, () => changed(relative(folder, path) || path));
  });
  watcher.on('error', (error) => problem(`cannot watch: ${error instanceof Error ? error.message : String(error)}`));
  return () => {
    cancel();
    void watcher.close();
  };
}

/** By a name anywhere, a path, or a glob from the folder. */
function ignoring({ ignore, paths }: WatchPolicy, folder: string): (path: string) => boolean {
  const names = new Set([...ALWAYS_IGNORED, ...ignore.filter((one) => !GLOB.test(one) && !one.includes(sep))]);
  const below = ignore.filter((one) => !GLOB.test(one)).map((one) => one.replace(/^\.\//, '').replace(/\/$/, ''));
  const globs = ignore.filter((one) => GLOB.test(one));
  const matches = globs.length === 0 ? () => false : picomatch(globs, { dot: true });
  return (path) => {
    // What was named is watched, wherever it is.
    if (paths.includes(path)) return false;
    const from = isAbsolute(path) ? relative(folder, path) : path;
    const parts = from.split(sep);
    return (
      parts.some((part) => names.has(part)) ||
      below.some((one) => from === one || from.startsWith(`${one}/`) || path === one || path.startsWith(`${one}/`)) ||
      matches(from) ||
      matches(parts.at(-1) ?? '')
    );
  };
}
