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
import { homedir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { EXIT, GsupError, isGsupError } from '../core/error.ts';
import { unsafePart } from './safe-folder.ts';

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

/** The home that `GSUP_HOME` names, else `~/.gsup`. Nothing is created. */
export function homeOf(environment: Readonly<Record<string, string | undefined>>): Home {
  const folder = resolve(environment['GSUP_HOME'] || join(homedir(), '.gsup'));
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

/** Whether the home is there; checks that it is ours alone. @throws {GsupError} when it is not safe to be used. */
export function checkHome({ folder }: Home): boolean {
  const uid = process.getuid?.() ?? 0;
  const link = lstatSync(folder, { throwIfNoEntry: false });
  if (link?.isSymbolicLink() === true && link.uid !== uid && link.uid !== 0)
    throw unsafe(folder, `is a symbolic link of the user ${link.uid}`, 'set GSUP_HOME to a folder of your own');
  const stat = statOf(folder);
  if (stat !== null) checkFolder(folder, stat, uid);
  if (uid === 0) checkWay(folder);
  return stat !== null;
}

function checkFolder(folder: string, stat: Stats, uid: number): void {
  if (!stat.isDirectory()) throw unsafe(folder, 'is no folder', 'set GSUP_HOME to another one');
  if (stat.uid !== uid) {
    throw unsafe(folder, `belongs to the user ${stat.uid}, not to ${uid}`, 'set GSUP_HOME to a folder of your own');
  }
  if ((stat.mode & 0o022) !== 0) {
    const mode = (stat.mode & 0o777).toString(8);
    throw unsafe(folder, `is writable by others (mode ${mode})`, `chmod 700 ${folder}`);
  }
}

/** A user who can replace the home while a daemon of root runs decides where that daemon writes. */
function checkWay(folder: string): void {
  const part = unsafePart(folder);
  if (part === null) return;
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
    if (isGsupError(cause)) throw cause;
    const why = (cause as Error).message;
    throw new GsupError(`cannot use the home ${home.folder}: ${why}`, {
      exitStatus: EXIT.failed,
      hint: 'set GSUP_HOME to a folder that you may write to',
      cause,
    });
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

/** The abstract Unix socket that the daemon of a home holds: unix(7), its name begins with NUL and is in no file system. */
export function lockName(home: Home): string {
  // Node 20 pads such a name with NULs to the full length, later ones don't: written in full it is the same for all.
  return `\0gsup-${process.getuid?.() ?? 0}-${homeKey(home)}`.padEnd(LONGEST_SOCKET_PATH + 1, '\0');
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

function statOf(path: string): Stats | null {
  return statSync(path, { throwIfNoEntry: false }) ?? null;
}

function unsafe(folder: string, why: string, hint: string): GsupError {
  return new GsupError(`cannot use the home ${folder}: it ${why}`, { exitStatus: EXIT.failed, hint });
}
