/** The link: a Unix socket where apps say who they are, that they are ready, and how their shutdown goes. */
import { chmodSync, renameSync, unlinkSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { dirname, join } from 'node:path';
import { roomBehind } from './descriptor-limit.ts';
import { readLines } from './line-reader.ts';
import { nativeNow } from './native.ts';
import { descriptorOf, NewConnections } from './new-connections.ts';
import { refuseDescriptors } from './refuse-descriptors.ts';
import { type Speaker, Speakers } from './speakers.ts';

/** A line longer than this ends the connection; the first one has only a token and a pid. */
const LONGEST_LINE = 64 * 1024;
const LONGEST_HELLO = 4 * 1024;
/** An app that reads nothing has to connect again: what it is sent are a few short lines. */
const MOST_UNREAD_BYTES = 64 * 1024;
/** All apps connect again in one moment when a daemon was replaced; the kernel has its own limit (net.core.somaxconn). */
const BACKLOG = 4_096;

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
  /** Called once for a run that says more than is read at once: its lines wait. */
  flooded?(token: string): void;
};
type Talk = Pick<LinkOptions, 'hear' | 'flooded'> & {
  readonly speakers: Speakers;
  readonly newcomers: NewConnections;
};

/** Listens, and takes the place of what is left of an earlier one. */
export async function openLink({ path, mode, leaderOf, ...listener }: LinkOptions): Promise<LinkServer> {
  const begun = join(dirname(path), 'l');
  for (const file of [path, begun]) unlink(file);
  const speakers = new Speakers(leaderOf);
  const newcomers = new NewConnections();
  const server: Server = createServer((socket) => talk(socket, { speakers, newcomers, ...listener }));
  await new Promise<void>((resolve, reject) => {
    // Later ones are failed accepts (no descriptor is left): the next connection is tried again.
    server.on('error', reject);
    server.listen({ path: begun, backlog: BACKLOG }, resolve);
  });
  chmodSync(begun, mode);
  // Who sees it can connect: between bind and listen it is there already.
  renameSync(begun, path);
  server.unref();
  refuseDescriptors(server);
  return {
    path,
    send: (token, message) => {
      for (const socket of speakers.appOf(token)) {
        if (socket.writableLength > MOST_UNREAD_BYTES) socket.destroy();
        else socket.write(`${JSON.stringify(message)}\n`);
      }
    },
    close: () => {
      server.close();
      unlink(path);
      newcomers.close();
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

/** The pid at the other end; `null`: unknown. */
function processOf(socket: Socket): number | null {
  const fd = descriptorOf(socket);
  const peer = fd === null ? null : (nativeNow()?.peerOf(fd) ?? null);
  return peer === null || peer.pid <= 0 ? null : peer.pid;
}

function talk(socket: Socket, { speakers, newcomers, hear, flooded }: Talk): void {
  socket.unref();
  let speaker: Speaker | null = null;
  const greet = ({ type, id, pid }: Message): number | null => {
    newcomers.remove(socket);
    speaker = type === 'hello' ? speakers.add(socket, id, pid, processOf(socket)) : null;
    return speaker === null ? null : 0;
  };
  const listen = (said: Speaker, message: Message, length: number): number | null => {
    if (!speakers.isKnown(said)) return null;
    if (speakers.isApp(said)) hear(said.token, message);
    return speakers.waitMs(said, length, () => flooded?.(said.token));
  };
  readLines(socket, {
    longest: () => (speaker === null ? LONGEST_HELLO : LONGEST_LINE),
    take: (line) => {
      const message = parse(line);
      if (message === null) return null;
      return speaker === null ? greet(message) : listen(speaker, message, line.length);
    },
    ended: () => {
      newcomers.remove(socket);
      if (speaker !== null) speakers.remove(speaker);
    },
  });
  newcomers.add(socket);
  makeRoom(socket, newcomers, speakers);
}

/** Descriptors are kept for everything else: connections that have not said hello go first, then the many of one run. */
function makeRoom(socket: Socket, newcomers: NewConnections, speakers: Speakers): void {
  const fd = descriptorOf(socket);
  const room = fd === null ? 'plenty' : roomBehind(fd);
  if (room === 'plenty' || newcomers.closeOldest(socket) || speakers.closeOne()) return;
  if (room === 'none') socket.destroy();
}

type Message = Readonly<Record<string, unknown>>;

function parse(line: string): Message | null {
  try {
    const value: unknown = JSON.parse(line);
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Message) : null;
  } catch {
    return null;
  }
}
