/** Connections of the link before their hello: limited in number and time, so that they take nothing from apps. */
import type { Server, Socket } from 'node:net';
import { openFilesLimit } from './descriptor-limit.ts';
import { nativeNow } from './native.ts';

const HELLO_WAIT_MS = 2_000;
/** All instances may reconnect at once; but most descriptors are for other things. */
const LIMIT = 1_024;
const LIMIT_SHARE = 4;

type NewConnection = { readonly user: number; readonly timer: NodeJS.Timeout };

export class NewConnections {
  readonly #known = new Map<Socket, NewConnection>();
  /** By user, `-1` where the kernel does not tell; oldest first. */
  readonly #byUser = new Map<number, Set<Socket>>();

  /** Adds a connection, and closes another one where there are too many. */
  add(socket: Socket): void {
    const user = userOf(socket);
    const timer = setTimeout(() => {
      // What has arrived while this process was busy is read first.
      setImmediate(() => this.#known.has(socket) && socket.destroy());
    }, HELLO_WAIT_MS).unref();
    this.#known.set(socket, { user, timer });
    const ofUser = this.#byUser.get(user) ?? new Set();
    this.#byUser.set(user, ofUser.add(socket));
    if (this.#known.size > Math.min(LIMIT, openFilesLimit() / LIMIT_SHARE)) this.closeOldest(socket);
  }

  /** It has said hello, or is closed. */
  remove(socket: Socket): void {
    const { user, timer } = this.#known.get(socket) ?? {};
    if (user === undefined) return;
    clearTimeout(timer);
    this.#known.delete(socket);
    const ofUser = this.#byUser.get(user);
    ofUser?.delete(socket);
    if (ofUser?.size === 0) this.#byUser.delete(user);
  }

  /** Closes the oldest connection of the user who has most of them, but not `except`; false: there is no other one. */
  closeOldest(except: Socket): boolean {
    const [heaviest = new Set<Socket>()] = [...this.#byUser.values()].sort((a, b) => b.size - a.size);
    for (const socket of heaviest) {
      if (socket === except) continue;
      this.remove(socket);
      socket.destroy();
      return true;
    }
    return false;
  }

  close(): void {
    for (const socket of [...this.#known.keys()]) {
      this.remove(socket);
      socket.destroy();
    }
  }
}

function userOf(socket: Socket): number {
  const fd = descriptorOf(socket);
  return (fd === null ? null : nativeNow()?.peerOf(fd))?.uid ?? -1;
}

/** The descriptor of a socket, `null` where it is closed: Node has no public name for it. */
export function descriptorOf(socket: Server | Socket): number | null {
  const { _handle } = socket as unknown as { readonly _handle?: { readonly fd?: number } | null };
  const fd = _handle?.fd ?? -1;
  return fd < 0 ? null : fd;
}
