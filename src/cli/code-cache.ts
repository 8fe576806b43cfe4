/** What V8 has compiled of our own files, kept beside them from run to run: a third of a short command's time. */
import {
  closeSync,
  constants,
  fchmodSync,
  fstatSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  type Stats,
  statSync,
  writeSync,
} from 'node:fs';
import Module from 'node:module';
import { basename, dirname, join } from 'node:path';
import { Script } from 'node:vm';

type Loader = (module: { exports: unknown }, filename: string) => void;
/** Newer ones do all of it themselves: module.enableCompileCache() from 22.8 on, flushCompileCache() from 22.10. */
type NodeModule = {
  readonly wrap: (source: string) => string;
  readonly _extensions: Record<string, Loader>;
  readonly enableCompileCache?: (folder: string) => unknown;
  readonly flushCompileCache?: () => void;
};
const node = Module as unknown as NodeModule;

const { O_RDONLY, O_DIRECTORY, O_NOFOLLOW, O_NONBLOCK } = constants;
/** Everyone may read what is kept, and only its owner may write, whatever the umask is. */
const FOLDER_MODE = 0o755;
const FILE_MODE = 0o644;

/**
 * Of what is loaded from `folder` from now on. `flags`: what Node was started with, by a name; `null`: with others than
 * those that we start it with, of which nothing is kept. It is kept when the process exits, or when the answer is called, if the
 * folder is ours: nobody else's files come into it, and what they may not write they may read.
 */
export function cacheCode(folder: string, flags: string | null): () => void {
  const isUnwanted = flags === null || process.env['NODE_DISABLE_COMPILE_CACHE'] !== undefined;
  const caches = join(folder, '.code');
  if (isUnwanted) return () => {};
  if (node.enableCompileCache !== undefined) {
    if (isOurs(folder)) enableIn(caches, node.enableCompileCache);
    return () => node.flushCompileCache?.();
  }
  // V8 takes only what was compiled with the same version and flags.
  const cache = new CodeCache(join(caches, `${process.version}-${process.arch}-${flags}`));
  const usual = node._extensions['.js'];
  node._extensions['.cjs'] = (module, filename) => {
    if (dirname(filename) === folder) cache.load(module, filename);
    else usual?.(module, filename);
  };
  const keep = (): void => {
    if (isOurs(folder)) cache.keep();
  };
  process.once('exit', keep);
  return keep;
}

/** Node checks no owner of what it finds there, and makes the folder of its version with the umask of the process. */
function enableIn(caches: string, enable: (folder: string) => unknown): void {
  try {
    if (!makeFolder(caches)) return;
    if (!readdirSync(caches).every((name) => isTrusted(join(caches, name)))) return;
    const before = process.umask(0o022);
    try {
      enable(caches);
    } finally {
      process.umask(before);
    }
  } catch {
    // No room, no right: nothing is kept.
  }
}

class CodeCache {
  readonly #folder: string;
  /** Whether nobody else can have put files there. */
  readonly #isTrusted: boolean;
  /** What is to be kept; `null`: it has been, and what is loaded later may have been compiled with other flags. */
  #fresh: Map<string, { readonly key: string; readonly script: Script }> | null = new Map();

  constructor(folder: string) {
    this.#folder = folder;
    this.#isTrusted = isTrusted(dirname(folder)) && isTrusted(folder);
  }

  /** As require() does it. */
  load(module: { exports: unknown }, filename: string): void {
    const path = join(this.#folder, basename(filename));
    const key = keyOf(filename);
    const kept = this.#isTrusted ? read(path, key) : null;
    const script = new Script(node.wrap(readFileSync(filename, 'utf8')), {
      filename,
      ...(kept === null ? {} : { cachedData: kept }),
    });
    if (kept === null) this.#fresh?.set(path, { key, script });
    const run = script.runInThisContext() as (...its: unknown[]) => void;
    run.call(module.exports, module.exports, Module.createRequire(filename), module, filename, dirname(filename));
  }

  /** With all functions that were compiled up to now; once. */
  keep(): void {
    const fresh = this.#fresh ?? new Map();
    this.#fresh = null;
    try {
      if (fresh.size === 0 || !makeFolder(dirname(this.#folder)) || !makeFolder(this.#folder)) return;
      for (const [path, { key, script }] of fresh) {
        const code = script.createCachedData();
        write(path, Buffer.concat([Buffer.from(key), code, code]));
      }
    } catch {
      // No room, no right: the next run compiles again.
    }
  }
}

/** Another version of the file has another one: V8 compares the length alone. */
function keyOf(filename: string): string {
  const { size, ctimeMs, ino } = statSync(filename);
  return `${size} ${ctimeMs} ${ino} ${process.env['NODE_OPTIONS'] ?? ''}\n`;
}

/** It is there twice, for V8 believes what it is given: to compare is less than to load what computes a checksum. */
function read(path: string, key: string): Buffer | null {
  try {
    const fd = openSync(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
    let bytes: Buffer;
    try {
      const stat = fstatSync(fd);
      if (!stat.isFile() || !isClosed(stat)) return null;
      bytes = readFileSync(fd);
    } finally {
      closeSync(fd);
    }
    const begin = Buffer.byteLength(key);
    const middle = begin + (bytes.length - begin) / 2;
    const code = bytes.subarray(begin, middle);
    const isWhole = bytes.subarray(0, begin).equals(Buffer.from(key)) && code.equals(bytes.subarray(middle));
    return isWhole && code.length > 0 ? code : null;
  } catch {
    return null;
  }
}

/** Whole or not at all, also when the machine goes down. */
function write(path: string, bytes: Buffer): void {
  // Loading node:crypto for a name would cost a millisecond, and nobody else can make one in this folder.
  const next = `${path}.${process.pid}-${process.hrtime.bigint()}`;
  const fd = openSync(next, 'wx', FILE_MODE);
  try {
    try {
      fchmodSync(fd, FILE_MODE);
      writeSync(fd, bytes);
      fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
    renameSync(next, path);
  } catch (error) {
    rmSync(next, { force: true });
    throw error;
  }
}

/** Files of root in somebody's folder could not be removed by who the folder belongs to. */
function isOurs(folder: string): boolean {
  return statSync(folder).uid === process.geteuid?.();
}

/** Makes it, or finds it; whether it is one to write to. */
function makeFolder(folder: string): boolean {
  try {
    mkdirSync(folder, { mode: FOLDER_MODE });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    return isTrusted(folder);
  }
  return isTrusted(folder, (fd) => fchmodSync(fd, FOLDER_MODE));
}

/** Whether a folder is root's or ours, no link, and closed to others; then `act` gets its descriptor. */
function isTrusted(folder: string, act: (fd: number) => void = () => {}): boolean {
  let fd: number;
  try {
    fd = openSync(folder, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
  } catch {
    return false;
  }
  try {
    const isOne = isClosed(fstatSync(fd));
    if (isOne) act(fd);
    return isOne;
  } finally {
    closeSync(fd);
  }
}

function isClosed({ uid, mode }: Stats): boolean {
  return (uid === 0 || uid === process.geteuid?.()) && (mode & 0o022) === 0;
}
