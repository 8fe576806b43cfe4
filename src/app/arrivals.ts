/** What arrives at servers that are about to close: connections in the queue of the kernel, and the requests on them. */
import type { EventEmitter } from 'node:events';
import type { Server } from 'node:net';
import { turn } from './turns.ts';

/** What the app would work on meanwhile. */
const HELD: ReadonlySet<unknown> = new Set(['request', 'checkContinue', 'checkExpectation']);
const SHORT_MS = 5;
/** Without a connection, of an app whose turns are always long. */
const QUIET_TURNS = 3;
/** A server that gets more than it can accept never comes to an end of it. */
const MOST_MS = 1000;

type Emit = (event: string, ...parts: unknown[]) => boolean;

export class Arrivals {
  readonly #servers: readonly EventEmitter[];
  readonly #held: { readonly server: EventEmitter; readonly event: string; readonly parts: unknown[] }[] = [];
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
    await turn();
    for (let quiet = 0; quiet < QUIET_TURNS; ) {
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
    for (const { server, event, parts } of this.#held.splice(0)) if (!isGone(parts)) server.emit(event, ...parts);
  }

  #watch(server: EventEmitter): void {
    const count = (): void => {
      this.#accepted += 1;
    };
    server.prependListener('connection', count);
    const unhold = this.#hold(server);
    this.#release.push(() => {
      server.off('connection', count);
      unhold();
    });
  }

  #hold(server: EventEmitter): () => void {
    const own = Object.getOwnPropertyDescriptor(server, 'emit');
    const emit: Emit = server.emit.bind(server);
    let isHolding = true;
    const hold: Emit = (event, ...parts) => {
      if (!isHolding || !HELD.has(event) || !isHttp1(parts)) return emit(event, ...parts);
      this.#held.push({ server, event, parts });
      return true;
    };
    Object.defineProperty(server, 'emit', { value: hold, configurable: true, writable: true });
    return () => {
      isHolding = false;
      // Somebody may have wrapped it meanwhile.
      if (server.emit !== hold) return;
      if (own === undefined) Reflect.deleteProperty(server, 'emit');
      else Object.defineProperty(server, 'emit', own);
    };
  }
}

/** Streams of HTTP/2 come on sessions that are there already. */
function isHttp1([request]: readonly unknown[]): boolean {
  return typeof request === 'object' && request !== null && Reflect.get(request, 'httpVersionMajor') === 1;
}

/** Whether its client went away: nobody would hear the end of it. */
function isGone([, response]: readonly unknown[]): boolean {
  return typeof response === 'object' && response !== null && Reflect.get(response, 'destroyed') === true;
}
