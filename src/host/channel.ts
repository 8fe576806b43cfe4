/**
 * Node's IPC channel, made by us so that the app never loses it: the app holds both ends, so a daemon that dies closes
 * nothing, and the next one takes ours from it again (pidfd_getfd). Its messages are lines of JSON.
 */
import { closeSync, readlinkSync } from 'node:fs';
import { Socket } from 'node:net';
import { Allowance } from './allowance.ts';
import { readLines } from './line-reader.ts';
import { nativeNow } from './native.ts';
import { refuseDescriptors } from './refuse-descriptors.ts';
import { descriptorsOf } from './socket-table.ts';

/** A longer message ends the channel. */
const LONGEST_MESSAGE = 1024 * 1024;
/** A unit for each message and one for each KiB of it: programs may send much that is not meant for us. */
const MESSAGES = { burst: 4_096, perSecond: 2_048 };

/** What Node itself wants to know in a child, see lib/internal/process/pre_execution.js. */
export function channelEnvironment(fd: number): Record<string, string> {
  return { NODE_CHANNEL_FD: String(fd), NODE_CHANNEL_SERIALIZATION_MODE: 'json' };
}

/** One about to be given to a child. */
export type ChannelPair = {
  /** The child's own end, and ours, which it keeps for us. */
  readonly ends: readonly [number, number];
  /** Ours, once the child is spawned; the child's copies are closed here. */
  open(onMessage: (message: unknown) => void): Channel;
  /** When there was no child. */
  discard(): void;
};

export type Channel = {
  /** `socket:[inode]`, by which a later daemon knows it again. */
  readonly name: string;
  send(message: unknown): void;
  close(): void;
};

/** `null` without koffi. */
export function makeChannel(): ChannelPair | null {
  const pair = nativeNow()?.socketPair() ?? null;
  if (pair === null) return null;
  const [ours, childs] = pair;
  return {
    ends: [childs, ours],
    open: (onMessage) => {
      closeSync(childs);
      return channelOn(ours, onMessage);
    },
    discard: () => {
      closeSync(ours);
      closeSync(childs);
    },
  };
}

/** Our end of a channel that an earlier daemon gave to a process; `null` where it is no more. */
export function retakeChannel(pid: number, name: string, onMessage: (message: unknown) => void): Channel | null {
  const native = nativeNow();
  const pidfd = native?.openPidfd(pid) ?? -1;
  if (native === null || pidfd < 0) return null;
  // The app may have closed it.
  const [there] = descriptorsOf(pid, name);
  const fd = there === undefined ? -1 : native.takeDescriptor(pidfd, there);
  closeSync(pidfd);
  return fd < 0 ? null : channelOn(fd, onMessage);
}

function channelOn(fd: number, onMessage: (message: unknown) => void): Channel {
  const socket = new Socket({ fd, readable: true, writable: true });
  const messages = new Allowance(MESSAGES);
  refuseDescriptors(socket);
  socket.unref();
  readLines(socket, {
    longest: () => LONGEST_MESSAGE,
    take: (line) => {
      const message = parse(line);
      if (message !== undefined && !isNodesOwn(message)) onMessage(message);
      return messages.take(1 + Math.floor(line.length / 1_024));
    },
    ended: () => {},
  });
  return {
    name: nameOf(`/proc/self/fd/${fd}`),
    send: (message) => void socket.write(`${JSON.stringify(message)}\n`),
    close: () => socket.destroy(),
  };
}

function nameOf(link: string): string {
  try {
    return readlinkSync(link);
  } catch {
    return '';
  }
}

/** Node's own messages (a handle was sent, say) are maps with a `cmd` that begins with NODE_. */
function isNodesOwn(message: unknown): boolean {
  return typeof message === 'object' && message !== null && 'cmd' in message && String(message.cmd).startsWith('NODE_');
}

function parse(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    return undefined;
  }
}
