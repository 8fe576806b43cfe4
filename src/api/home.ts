/** The home of a daemon: where its socket, state, events and logs are, and whether it is safe to be used. */
import {
  closeSync,
  constants,
  existsSync,
  fchmodSync,
  fstatSync,
  lstatSync,
  mkdirSync,
  openSync,
  type Stats,
  statSync,
} from 'node:fs';
import { homedir, userInfo } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { EXIT, GsupError, isGsupError } from '../core/error.ts';
import { unsafePart } from './safe-folder.ts';
import { systemReason } from './system-error.ts';

/** sun_path of unix(7) has 108 bytes, the last of them NUL. */
const LONGEST_SOCKET_PATH = 107;

export type Home = {
  readonly folder: string;
  /** HTTP/1.1 and JSON. */
  readonly socket: string;
  readonly state: string;
  readonly events: string;
  readonly logs: string;
  /** FIFOs that are the stdout and stderr of instances. */
  readonly streams: string;
  /** The piece of output that is on its way from a stream to its log. */
  readonly spool: string;
  /** What commands had in their environment when they started services. */
  readonly environments: string;
  /** Where the last apply wants health, metrics and the page, and their token. */
  readonly http: string;
  /** What a daemon in the background says when it can't begin, or crashes. */
  readonly daemonLog: string;
};

/** The home that `GSUP_HOME` names, else `~/.gsup`. Nothing is created. @throws {GsupError} when the user has no home folder. */
export function homeOf(environment: Readonly<Record<string, string | undefined>>): Home {
  const folder = resolve(environment['GSUP_HOME'] || join(userHome(), '.gsup'));
  return {
    folder,
    socket: join(folder, 'gsup.sock'),
    state: join(folder, 'state.json'),
    events: join(folder, 'events.ndjson'),
    logs: join(folder, 'logs'),
    streams: join(folder, 'streams'),
    spool: join(folder, 'spool'),
    environments: join(folder, 'environments'),
    http: join(folder, 'http.json'),
    daemonLog: join(folder, 'daemon.log'),
  };
}

function userHome(): string {
  try {
    // An empty HOME would stand for the current folder.
    return homedir() || userInfo().homedir;
  } catch (cause) {
    throw new GsupError(`cannot find the home folder of the user ${process.getuid?.()}: HOME is not set`, {
      exitStatus: EXIT.failed,
      hint: 'set GSUP_HOME to a folder of your own',
      cause,
    });
  }
}

/** Whether the home is there; checks that it is ours alone. @throws {GsupError} when it is not safe to be used. */
export function checkHome({ folder }: Home): boolean {
  const uid = process.getuid?.() ?? 0;
  const link = linkOf(folder);
  if (link?.isSymbolicLink() === true && link.uid !== uid && link.uid !== 0)
    throw unsafe(folder, `is a symbolic link of the user ${link.uid}`, 'set GSUP_HOME to a folder of your own');
  const stat = statOf(folder);
  if (stat !== null) checkFolder(folder, stat, uid);
  if (uid === 0) checkWay(folder);
  return stat !== null;
}

function checkFolder(folder: string, stat: Stats, uid: number): void {
  if (!stat.isDirectory()) throw unsafe(folder, 'is not a folder', 'set GSUP_HOME to another path');
  if (stat.uid !== uid) {
    throw unsafe(folder, `belongs to the user ${stat.uid}, not to ${uid}`, 'set GSUP_HOME to a folder of your own');
  }
  if ((stat.mode & 0o022) !== 0) {
    const mode = (stat.mode & 0o777).toString(8);
    throw unsafe(folder, `is writable by others (mode ${mode})`, `chmod 700 ${folder}`);
  }
}

/**
 * A user who can replace the home while a daemon of root runs decides where that daemon writes. Folders that root itself
 * has left open to others are only warned of, by the daemon and `gsup doctor`.
 */
function checkWay(folder: string): void {
  const part = unsafePart(folder);
  if (part === null || lstatSync(part).uid === 0) return;
  const hint = `set GSUP_HOME to another folder, or close this one: chown root ${part} && chmod go-w ${part}`;
  throw unsafe(folder, `can be replaced by other users, who may change ${part}`, hint);
}

/** Creates what is missing, with mode 0700, and checks the rest. @throws {GsupError} when it can't be used. */
export function prepareHome(home: Home): void {
  try {
    if (!checkHome(home)) {
      makeFolder(home.folder);
      // Another user may have been faster.
      checkHome(home);
    }
    setMode(home.folder);
    for (const folder of [home.logs, home.streams, home.environments]) makeFolder(folder);
  } catch (cause) {
    throw unusable(home.folder, cause);
  }
}

/** With the folders above it. Node's own `recursive` never ends where the kernel answers ENOENT to a mkdir, as below /proc. */
function makeFolder(folder: string): void {
  if (existsSync(folder)) return;
  if (!existsSync(dirname(folder))) makeFolder(dirname(folder));
  try {
    mkdirSync(folder, { mode: 0o700 });
  } catch (error) {
    // Another command was faster.
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  }
}

/** A name for the home that fits anywhere: of its device and inode, so that every way to it leads to the same. */
export function homeKey({ folder }: Home): string {
  const { dev, ino } = statSync(folder, { bigint: true });
  return `${dev.toString(36)}-${ino.toString(36)}`;
}

/** A path that a socket can have: the file itself, or by way of its opened folder when it is too long. */
export function socketPath(file: string, folder: string): { readonly path: string; release(): void } {
  if (fitsSocket(file)) return { path: file, release: () => {} };
  const fd = openSync(folder, constants.O_RDONLY | constants.O_DIRECTORY);
  return { path: `/proc/self/fd/${fd}/${file.slice(folder.length + 1)}`, release: () => closeSync(fd) };
}

/** Whether a socket can have this path. */
export function fitsSocket(path: string): boolean {
  return Buffer.byteLength(path) <= LONGEST_SOCKET_PATH;
}

/** By descriptor: its owner is checked on the same folder whose mode is changed. */
function setMode(folder: string): void {
  const fd = openSync(folder, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    if (fstatSync(fd).uid === process.getuid?.()) fchmodSync(fd, 0o700);
  } finally {
    closeSync(fd);
  }
}

function linkOf(path: string): Stats | undefined {
  try {
    return lstatSync(path, { throwIfNoEntry: false });
  } catch (error) {
    throw unusable(path, error);
  }
}

function statOf(path: string): Stats | null {
  try {
    const stat = statSync(path, { throwIfNoEntry: false });
    if (stat !== undefined) return stat;
    const isDangling = lstatSync(path, { throwIfNoEntry: false }) !== undefined;
    if (isDangling) throw unsafe(path, 'is a link to a folder that does not exist', `remove the link: rm ${path}`);
    return null;
  } catch (error) {
    throw unusable(path, error);
  }
}

function unusable(folder: string, cause: unknown): GsupError {
  if (isGsupError(cause)) return cause;
  const error = cause as NodeJS.ErrnoException;
  const place = error.path === undefined || error.path === folder ? '' : `${error.path}: `;
  const hint = error.code === 'ENOSPC' ? 'make room on its disk' : 'set GSUP_HOME to a folder that you may write to';
  const text = `cannot use the home ${folder}: ${place}${systemReason(error)}`;
  return new GsupError(text, { exitStatus: EXIT.failed, hint, cause });
}

function unsafe(folder: string, why: string, hint: string): GsupError {
  return new GsupError(`cannot use the home ${folder}: it ${why}`, { exitStatus: EXIT.failed, hint });
}
