/** Connections of a TLS server that have not shaken hands: they hold nothing but time. */
import type { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { untilRead } from './turns.ts';

export class Handshakes {
  readonly #sockets = new Set<Socket>();
  readonly #changed: () => void;

  /** `changed` hears of each that ends. */
  constructor(changed: () => void) {
    this.#changed = changed;
  }

  get count(): number {
    return this.#sockets.size;
  }

  readonly begin = (socket: Socket): void => {
    this.#sockets.add(socket);
    socket.once('close', () => {
      this.#sockets.delete(socket);
      this.#changed();
    });
  };

  end(socket: TLSSocket): void {
    const below = this.#below(socket);
    if (below !== undefined && this.#sockets.delete(below)) this.#changed();
  }

  /** Cuts those that say nothing for `ms`, until there are none; `tell` hears how many. */
  cutSilent(ms: number, tell: (count: number) => void): void {
    if (this.count === 0) return;
    const before = new Map([...this.#sockets].map((socket) => [socket, socket.bytesRead]));
    setTimeout(async () => {
      await untilRead();
      tell(this.#cutThose((socket) => before.get(socket) === socket.bytesRead));
      this.cutSilent(ms, tell);
    }, ms);
  }

  /** Cuts them; how many. */
  cut(): number {
    return this.#cutThose(() => true);
  }

  #cutThose(isMeant: (socket: Socket) => boolean): number {
    const meant = [...this.#sockets].filter(isMeant);
    for (const socket of meant) {
      this.#sockets.delete(socket);
      socket.destroy();
    }
    return meant.length;
  }

  /** The socket that a TLS socket wraps: Node says it in a field, that is not documented; else the one with the same peer. */
  #below(secure: TLSSocket): Socket | undefined {
    const parent = Reflect.get(secure, '_parent');
    if (this.#sockets.has(parent)) return parent;
    return [...this.#sockets].find((socket) => peerOf(socket) === peerOf(secure));
  }
}

function peerOf({ remoteAddress, remotePort }: Socket): string {
  return `${remoteAddress} ${remotePort}`;
}
