/** What arrives at servers that are about to close: connections in the queue of the kernel, and the requests on them. */
import type { EventEmitter } from 'node:events';
import type { Server } from 'node:net';
import { Hold } from './hold.ts';
import { turn } from './turns.ts';

/** What the app would work on meanwhile. */
const HELD: ReadonlySet<string> = new Set(['request', 'checkContinue', 'checkExpectation']);
/** What comes in the middle of a turn is lost if it is the last. */
const SHORT_MS = 0.3;
/** Without a connection, of an app whose turns are always long. */
const QUIET_TURNS = 5;
/** A server that gets more than it can accept never comes to an end of it. */
const MOST_MS = 1000;

export class Arrivals {
  readonly #servers: readonly EventEmitter[];
  readonly #release: (() => void)[] = [];
  #accepted = 0;

  constructor(servers: readonly Server[]) {
    this.#servers = servers;
  }

  get isEmpty(): boolean {
    return this.#servers.length === 0;
  }

  /**
   * Resolves when the kernel has no connection for them, within `ms`. libuv accepts one in a turn of the event loop since 1.45
   * (libuv/libuv#3696), so the turns have to be short: requests are held until {@link release}.
   */
  async settle(ms: number): Promise<void> {
    for (const server of this.#servers) this.#watch(server);
    const endsAt = performance.now() + Math.min(ms, MOST_MS);
    // The first may be the rest of one that has accepted already.
    await turn();
    for (let quiet = this.isEmpty ? QUIET_TURNS - 1 : 0; quiet < QUIET_TURNS; ) {
      const before = this.#accepted;
      const length = await turn();
      if (this.#accepted > before) quiet = 0;
      else quiet += length < SHORT_MS ? QUIET_TURNS : 1;
      if (performance.now() >= endsAt) return;
    }
  }

  /** Hands over what was held. */
  release(): void {
    for (const release of this.#release.splice(0)) release();
  }

  #watch(server: EventEmitter): void {
    const count = (): void => {
      this.#accepted += 1;
    };
    server.prependListener('connection', count);
    const hold = new Hold(server, (event, parts) => HELD.has(event) && isHttp1(parts));
    this.#release.push(() => {
      server.off('connection', count);
      hold.release();
    });
  }
}

/** Streams of HTTP/2 come on sessions that are there already. */
function isHttp1([request]: readonly unknown[]): boolean {
  return typeof request === 'object' && request !== null && Reflect.get(request, 'httpVersionMajor') === 1;
}
