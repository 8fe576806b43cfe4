/** Where the link of a home is: the same path every time, for an app connects to it again after the daemon was replaced. */
import { readFileSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fitsSocket, type Home, homeKey } from '../api/home.ts';
import { makeOwnFolder, removeOwnFolder, socketFolders, takeOwnFolder } from '../api/safe-folder.ts';
import { EXIT, GsupError } from '../core/error.ts';
import { isLinkFile } from '../host/link-files.ts';
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
    if (takeOwnFolder(folder, 0o711)) return { path: join(folder, SOCKET), mode: 0o666 };
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

/** The folder of the daemon before: services have its path in their environment. */
function keptFolder(home: Home): string | null {
  let note: string;
  try {
    note = readFileSync(noteIn(home), 'utf8');
  } catch {
    return null;
  }
  const [key, folder = ''] = note.split('\n');
  // A copy of a home has the folder of the original in its note.
  if (key !== homeKey(home)) return null;
  return fitsSocket(join(folder, SOCKET)) && takeOwnFolder(folder, 0o700) ? folder : null;
}

/** With a random name, which is kept in the home. */
function newFolder(home: Home): string | null {
  const parents = socketFolders().filter((parent) => fitsSocket(join(parent, 'gsup-XXXXXX', SOCKET)));
  const folder = makeOwnFolder(parents, 'gsup-', 0o700);
  if (folder !== null) replaceFile(noteIn(home), `${homeKey(home)}\n${folder}`, true);
  return folder;
}

function noteIn({ folder }: Home): string {
  return join(folder, 'link-folder');
}
