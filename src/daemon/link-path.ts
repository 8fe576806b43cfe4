/** Where the link of a home is: the same path every time, for an app connects to it again after the daemon was replaced. */
import { chmodSync, mkdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fitsSocket, type Home, homeKey } from '../api/home.ts';

/** In the home; elsewhere when other users have to reach it, or the path would be too long for a socket. */
export function linkOf(home: Home): { readonly path: string; readonly mode: number } {
  const own = { path: join(home.folder, 'link.sock'), mode: 0o600 };
  const uid = process.getuid?.() ?? 0;
  if (uid !== 0 && fitsSocket(own.path)) return own;
  const folder = join(uid === 0 ? '/run' : tmpdir(), `gsup-${uid}-${homeKey(home)}`);
  try {
    mkdirSync(folder, { mode: 0o711 });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') return own;
  }
  if (statSync(folder).uid !== uid) return own;
  // Whatever the umask was.
  chmodSync(folder, 0o711);
  return { path: join(folder, 'link.sock'), mode: 0o666 };
}

/** When nothing runs that could look for it. */
export function removeLinkFolder(home: Home): void {
  const folder = dirname(linkOf(home).path);
  if (folder !== home.folder) rmSync(folder, { recursive: true, force: true });
}
