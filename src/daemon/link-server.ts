/** The link: a Unix socket where apps say who they are, that they are ready, and how their shutdown goes. */
import { chmodSync, mkdirSync, rmSync, statSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fitsSocket, type Home, homeKey } from '../api/home.ts';
import type { Link } from '../supervisor/supervisor.ts';

/** A line longer than this is none of ours. */
const LONGEST_LINE = 64 * 1024;

export type LinkServer = Link & { close(): void };
type Hear = (token: string, message: Readonly<Record<string, unknown>>) => void;

/** Listens; `knows` tells whether a token is of a run that lives, `hear` takes the lines of its app. */
export async function openLink(home: Home, knows: (token: string) => boolean, hear: Hear): Promise<LinkServer> {
  const path = linkPath(home);
  rmSync(path, { force: true });
  const apps = new Map<string, Socket>();
  const server: Server = createServer((socket) => talk(socket, apps, knows, hear));
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(path, resolve);
  });
  // A service may run as another user: the token says who is who.
  chmodSync(path, path.startsWith(home.folder) ? 0o600 : 0o666);
  server.unref();
  return {
    path,
    send: (token, message) => void apps.get(token)?.write(`${JSON.stringify(message)}\n`),
    close: () => {
      server.close();
      for (const socket of apps.values()) socket.destroy();
    },
  };
}

/** In the home; elsewhere when other users have to reach it, or the path would be too long for a socket. The same every time. */
function linkPath(home: Home): string {
  const own = join(home.folder, 'link.sock');
  const isRoot = process.getuid?.() === 0;
  if (!isRoot && fitsSocket(own)) return own;
  const folder = join(isRoot ? '/run' : tmpdir(), `gsup-${process.getuid?.() ?? 0}-${homeKey(home)}`);
  try {
    mkdirSync(folder, { mode: 0o711 });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') return own;
  }
  if (statSync(folder).uid !== process.getuid?.()) return own;
  chmodSync(folder, 0o711);
  return join(folder, 'link.sock');
}

function talk(socket: Socket, apps: Map<string, Socket>, knows: (token: string) => boolean, hear: Hear): void {
  let token: string | null = null;
  let rest = '';
  socket.setEncoding('utf8');
  socket.on('error', () => {});
  socket.on('data', (text: string) => {
    const lines = (rest + text).split('\n');
    rest = lines.pop() ?? '';
    if (rest.length > LONGEST_LINE) socket.destroy();
    for (const line of lines) {
      const message = parse(line);
      if (message === null) continue;
      if (token === null) {
        const { type, id } = message;
        if (type !== 'hello' || typeof id !== 'string' || !knows(id)) {
          socket.destroy();
          return;
        }
        token = id;
        apps.set(id, socket);
      } else hear(token, message);
    }
  });
  socket.on('close', () => {
    if (token !== null && apps.get(token) === socket) apps.delete(token);
  });
}

function parse(line: string): Readonly<Record<string, unknown>> | null {
  try {
    const value: unknown = JSON.parse(line);
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : null;
  } catch {
    return null;
  }
}
