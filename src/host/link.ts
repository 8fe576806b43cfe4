/** The link: a Unix socket where apps say who they are, that they are ready, and how their shutdown goes. */
import { chmodSync, renameSync, rmSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { dirname, join } from 'node:path';

/** A line longer than this is none of ours. */
const LONGEST_LINE = 64 * 1024;

export type LinkServer = {
  readonly path: string;
  /** A line to the app of this token; nothing when it isn't connected. */
  send(token: string, message: Readonly<Record<string, unknown>>): void;
  close(): void;
};
type Hear = (token: string, message: Readonly<Record<string, unknown>>) => void;

export type LinkOptions = {
  readonly path: string;
  /** Of the socket: a service may run as another user, and the token says who is who. */
  readonly mode: number;
  /** Whether a token is of a run that lives. */
  knows(token: string): boolean;
  /** Takes the lines of its app. */
  readonly hear: Hear;
};

/** Listens, and takes the place of what is left of an earlier one. */
export async function openLink({ path, mode, knows, hear }: LinkOptions): Promise<LinkServer> {
  const begun = join(dirname(path), 'l');
  for (const file of [path, begun]) rmSync(file, { force: true });
  const apps = new Map<string, Socket>();
  const server: Server = createServer((socket) => talk(socket, apps, knows, hear));
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(begun, resolve);
  });
  chmodSync(begun, mode);
  // Who sees it can connect: between bind and listen it is there already.
  renameSync(begun, path);
  server.unref();
  return {
    path,
    send: (token, message) => void apps.get(token)?.write(`${JSON.stringify(message)}\n`),
    close: () => {
      server.close();
      rmSync(path, { force: true });
      for (const socket of apps.values()) socket.destroy();
    },
  };
}

function talk(socket: Socket, apps: Map<string, Socket>, knows: (token: string) => boolean, hear: Hear): void {
  socket.unref();
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
