/** The connections of all users of this machine: who shows the token, and who is new, has a place before everyone else. */
import type { ServerResponse } from 'node:http';
import type { Socket } from 'node:net';

/** Answers without end at the same time: open pages, followed logs, operations. */
const MOST_STREAMS = 64;

export class Connections {
  readonly #limit: number;
  /** Oldest first. */
  readonly #all = new Set<Socket>();
  readonly #trusted = new WeakSet<Socket>();
  readonly #streams = new Map<ServerResponse, Socket>();

  /** `limit`: of open connections. */
  constructor(limit: number) {
    this.#limit = limit;
  }

  /** Takes a new one; where there are too many, the oldest one without a token goes, silent ones first. */
  add(socket: Socket): void {
    this.#all.add(socket);
    socket.once('close', () => this.#all.delete(socket));
    if (this.#all.size <= this.#limit) return;
    const streaming = new Set(this.#streams.values());
    const others = [...this.#all].filter((one) => one !== socket && !this.#trusted.has(one));
    this.#close(others.find((one) => !streaming.has(one)) ?? others[0] ?? socket);
  }

  /** It has shown the token. */
  trust(socket: Socket): void {
    this.#trusted.add(socket);
  }

  /** Takes an answer without end, in place of the oldest one without a token; false: all others have one. */
  addStream(response: ServerResponse, socket: Socket): boolean {
    if (this.#streams.size >= MOST_STREAMS) {
      const oldest = [...this.#streams].find(([, one]) => !this.#trusted.has(one));
      if (oldest === undefined) return false;
      this.#streams.delete(oldest[0]);
      this.#close(oldest[1]);
    }
    this.#streams.set(response, socket);
    response.once('close', () => this.#streams.delete(response));
    return true;
  }

  #close(socket: Socket): void {
    this.#all.delete(socket);
    socket.destroy();
  }
}
