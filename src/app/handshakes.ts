/** Connections of a TLS server that have not shaken hands: they hold nothing but time. */
import type { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';

export class Handshakes {
  readonly #sockets = new Map<string, Socket>();
  readonly #changed: () => void;

  /** `changed` hears of each that ends. */
  constructor(changed: () => void) {
    this.#changed = changed;
  }

  get count(): number {
    return this.#sockets.size;
  }

  readonly begin = (socket: Socket): void => {
    const key = peerOf(socket);
    this.#sockets.set(key, socket);
    socket.once('close', () => {
      if (this.#sockets.get(key) === socket) this.#sockets.delete(key);
      this.#changed();
    });
  };

  end(socket: TLSSocket): void {
    if (this.#sockets.delete(peerOf(socket))) this.#changed();
  }

  /** Cuts them; how many. */
  cut(): number {
    const { size } = this.#sockets;
    for (const socket of this.#sockets.values()) socket.destroy();
    this.#sockets.clear();
    return size;
  }
}

/** The same for a TLS socket and the one below it. */
function peerOf({ remoteAddress, remotePort }: Socket): string {
  return `${remoteAddress} ${remotePort}`;
}
