/** The link: a Unix socket where apps say who they are, that they are ready, and how their shutdown goes. */
import { chmodSync, renameSync, unlinkSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { dirname, join } from 'node:path';
import { type Speaker, Speakers } from './speakers.ts';

/** A line longer than this is none of ours. */
const LONGEST_LINE = 64 * 1024;

export type LinkServer = {
  readonly path: string;
  /** A line to the app of this token; nothing when it isn't connected. */
  send(token: string, message: Readonly<Record<string, unknown>>): void;
  close(): void;
};
export type LinkOptions = {
  readonly path: string;
  /** Of the socket: a service may run as another user, and the token says who is who. */
  readonly mode: number;
  /** The leader's pid of the run with this token, `null` while it has none; `undefined`: no such run lives. */
  leaderOf(token: string): number | null | undefined;
  /** Takes the lines of its app. */
  hear(token: string, message: Readonly<Record<string, unknown>>): void;
};

/** Listens, and takes the place of what is left of an earlier one. */
export async function openLink({ path, mode, leaderOf, hear }: LinkOptions): Promise<LinkServer> {
  const begun = join(dirname(path), 'l');
  for (const file of [path, begun]) unlink(file);
  const speakers = new Speakers(leaderOf);
  const server: Server = createServer((socket) => talk(socket, speakers, hear));
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
    send: (token, message) => {
      for (const socket of speakers.appOf(token)) socket.write(`${JSON.stringify(message)}\n`);
    },
    close: () => {
      server.close();
      unlink(path);
      for (const socket of speakers.sockets) socket.destroy();
    },
  };
}

/** Where there is one: rmSync() asks several times before it does that. */
function unlink(path: string): void {
  try {
    unlinkSync(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
}

function talk(socket: Socket, speakers: Speakers, hear: LinkOptions['hear']): void {
  socket.unref();
  let speaker: Speaker | null = null;
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
      if (speaker === null) {
        const { type, id, pid } = message;
        speaker = type === 'hello' ? speakers.add(socket, id, pid) : null;
        if (speaker === null) {
          socket.destroy();
          return;
        }
      } else if (speakers.isApp(speaker)) hear(speaker.token, message);
    }
  });
  socket.on('close', () => {
    if (speaker !== null) speakers.remove(speaker);
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
