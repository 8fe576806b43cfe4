/** Changes of files, told once they have settled. */
import { lstatSync, readlinkSync } from 'node:fs';
import { dirname, isAbsolute, relative, resolve, sep } from 'node:path';
import { watch as watchFiles } from 'chokidar';
import picomatch from 'picomatch';
import type { WatchPolicy } from '../core/service.ts';
import { isTrustedPath } from '../host/trusted-path.ts';
import type { Clock } from './clock.ts';

/** Names that change all the time and belong to no program. */
const ALWAYS_IGNORED = ['node_modules', '.git', '.hg', '.svn'];
const GLOB = /[*?[\]{}!]/;

export type Watching = {
  readonly policy: WatchPolicy;
  /** Where relative ignores begin. */
  readonly folder: string;
  /** Whether the service has a user of its own: links are not followed, as they could lead anywhere. */
  readonly isForeign: boolean;
  readonly clock: Clock;
  /** Hears of the last file that has changed, from the folder. */
  changed(file: string): void;
  /** Hears why something can't be watched. */
  problem(text: string): void;
};

/** Watches until the result is called. */
export function onChange({ policy, folder, isForeign, clock, changed, problem }: Watching): () => void {
  const isNamed = ignoring(policy, folder);
  // Not chokidar's followSymlinks: it reports each link that it does not follow as a change.
  const isIgnored = isForeign ? (path: string) => isNamed(path) || isLink(path) : isNamed;
  let cancel = () => {};
  const paths = isForeign ? policy.paths.flatMap((path) => targetOf(path) ?? []) : [...policy.paths];
  if (paths.length < policy.paths.length)
    problem('cannot watch a link that another user can change; name its target instead');
  const watcher = watchFiles(paths, { ignoreInitial: true, ignored: isIgnored });
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

/** The limit of the kernel (MAXSYMLINKS). */
const MOST_LINKS = 40;

/** Resolves links that root controls (`current -> releases/5`); `null` for a link that another user can change. */
function targetOf(path: string): string | null {
  let target = path;
  for (let links = 0; links < MOST_LINKS; links++) {
    const stats = lstatSync(target, { throwIfNoEntry: false });
    if (stats?.isSymbolicLink() !== true) return target;
    if (stats.uid !== 0 || !isTrustedPath(dirname(target))) return null;
    target = resolve(dirname(target), readlinkSync(target));
  }
  return null;
}

function isLink(path: string): boolean {
  try {
    return lstatSync(path).isSymbolicLink();
  } catch {
    // It has been removed meanwhile.
    return false;
  }
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
