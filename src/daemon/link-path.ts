/** Where the link of a home is: the same path every time, for an app connects to it again after the daemon was replaced. */
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { fitsSocket, type Home, homeKey } from '../api/home.ts';
import { makeOwnFolder, removeOwnFolder, socketFolders, takeOwnFolder } from '../api/safe-folder.ts';
import { EXIT, GsupError } from '../core/error.ts';
import { isLinkFile, newLinkName } from '../host/link-files.ts';
import { replaceFile } from '../supervisor/store.ts';

const SOCKET = 'link.sock';

/**
 * In the home; elsewhere when other users have to reach it, or the path would be too long for a socket.
 * @throws {GsupError} when it can be nowhere.
 */
export function linkOf(home: Home): { readonly path: string; readonly mode: number } {
  const own = { path: join(home.folder, SOCKET), mode: 0o600 };
  if (process.geteuid?.() === 0) {
    const folder = `/run/gsup-0-${homeKey(home)}`;
    if (takeOwnFolder(folder, 0o711)) return { path: join(folder, sharedName(home, folder)), mode: 0o666 };
  }
  if (fitsSocket(own.path)) return own;
  const folder = keptFolder(home) ?? newFolder(home);
  if (folder !== null) return { path: join(folder, SOCKET), mode: 0o600 };
  throw new GsupError(`cannot open the link of ${home.folder}: its path is too long, and no other folder is safe`, {
    exitStatus: EXIT.failed,
    hint: 'set GSUP_HOME to a shorter path, or XDG_RUNTIME_DIR to a folder of your own',
  });
}

/** When nothing runs that could look for it. `path`: of the link. */
export function removeLinkFolder(home: Home, path: string): void {
  if (dirname(path) === home.folder) return;
  removeOwnFolder(dirname(path), isLinkFile);
  rmSync(noteIn(home), { force: true });
}

/**
 * The name of the socket in root's folder, which other users can pass and not list: only a process that has GSUP_LINK in
 * its environment finds it.
 */
function sharedName(home: Home, folder: string): string {
  const kept = noteOf(home);
  if (kept !== null && dirname(kept) === folder && isLinkFile(basename(kept))) return basename(kept);
  // Services of an earlier version, or of a daemon that found no room for its note, connect there.
  if (existsSync(join(folder, SOCKET))) return SOCKET;
  const name = newLinkName();
  try {
    keepNote(home, join(folder, name));
    return name;
  } catch {
    return SOCKET;
  }
}

/** The folder of the daemon before: services have its path in their environment. */
function keptFolder(home: Home): string | null {
  const folder = noteOf(home);
  if (folder === null) return null;
  return fitsSocket(join(folder, SOCKET)) && takeOwnFolder(folder, 0o700) ? folder : null;
}

/** With a random name, which is kept in the home. */
function newFolder(home: Home): string | null {
  const parents = socketFolders().filter((parent) => fitsSocket(join(parent, 'gsup-XXXXXX', SOCKET)));
  const folder = makeOwnFolder(parents, 'gsup-', 0o700);
  if (folder !== null) keepNote(home, folder);
  return folder;
}

/** The path in the note of the daemon before; `null`: there is none, or it is that of the home that this one was copied from. */
function noteOf(home: Home): string | null {
  try {
    const [key, path = ''] = readFileSync(noteIn(home), 'utf8').split('\n');
    return key === homeKey(home) ? path : null;
  } catch {
    return null;
  }
}

function keepNote(home: Home, path: string): void {
  replaceFile(noteIn(home), `${homeKey(home)}\n${path}`, true);
}

function noteIn({ folder }: Home): string {
  return join(folder, 'link-folder');
}
