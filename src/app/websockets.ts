/** The clients of a `ws` server: told to go away with 1001, and awaited. */
import type { HandedOptions, ServerReport, WebSocketServerLike } from './api.ts';
import type { Counts, Drained, Surroundings } from './drained.ts';

const GOING_AWAY = 1001;
/** A close frame with 1001 and no text; from a server it is not masked (RFC 6455, 5.5.1). */
export const GOING_AWAY_FRAME: Uint8Array = Uint8Array.of(0x88, 0x02, GOING_AWAY >> 8, GOING_AWAY & 0xff);

export class WebSockets implements Drained {
  readonly #server: WebSocketServerLike;
  readonly #name: string;
  readonly #onDrain: HandedOptions['onDrain'];
  readonly #surroundings: Surroundings;
  #told = 0;
  #destroyed = 0;

  constructor(server: WebSocketServerLike, { name = 'ws', onDrain }: HandedOptions, surroundings: Surroundings) {
    this.#server = server;
    this.#name = name;
    this.#onDrain = onDrain;
    this.#surroundings = surroundings;
  }

  get counts(): Counts {
    return { requests: 0, connections: 0, websockets: this.#server.clients.size };
  }

  get names(): readonly string[] {
    return [];
  }

  get isBusy(): boolean {
    return this.#server.clients.size > 0;
  }

  close(): void {
    for (const client of this.#server.clients) {
      this.#told += 1;
      this.#attempt('closing a client', () => {
        // `clients` loses it in a listener of its own, that may come after ours.
        client.once('close', () => setImmediate(this.#surroundings.changes.tell));
        if (this.#onDrain === undefined) client.close(GOING_AWAY, 'the server is shutting down');
        else this.#onDrain(client as never);
      });
    }
    this.#attempt('closing', () => this.#server.close());
  }

  finish(): void {}

  cut(): void {
    for (const client of this.#server.clients) {
      this.#destroyed += 1;
      this.#attempt('cutting a client', () => client.terminate());
    }
  }

  #attempt(what: string, act: () => void): void {
    try {
      act();
    } catch (error) {
      this.#surroundings.failed(`${what} of ${this.#name}`, error);
    }
  }

  get report(): ServerReport {
    const finished = Math.max(0, this.#told - this.#destroyed - this.#server.clients.size);
    return { name: this.#name, idle: 0, finished, destroyed: this.#destroyed, rejected: 0 };
  }

  forget(): void {}
}
