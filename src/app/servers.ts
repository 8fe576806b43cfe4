/** The servers of the app: what each has open, how it is closed, and what had to be cut. */
import type { Server } from 'node:net';
import type { ServerOptions, ServerReport, WebSocketServerLike } from './api.ts';
import type { Counts, Drained, Surroundings } from './drained.ts';
import { Http2Sessions, isHttp2 } from './http2-sessions.ts';
import { ServerConnections } from './server-connections.ts';
import { WebSockets } from './websockets.ts';

/** Of the event loop, until the listeners close: in each the queue is emptied. */
const TURNS = 2;

export class Servers {
  readonly #surroundings: Surroundings;
  readonly #servers = new Map<object, readonly Drained[]>();
  #isClosing = false;
  /** Servers that were handed in twice. */
  hasDoubles = false;

  constructor(surroundings: Omit<Surroundings, 'hasWebSockets'>) {
    const hasWebSockets = (): boolean => this.#all.some((one) => one instanceof WebSockets);
    this.#surroundings = { ...surroundings, hasWebSockets };
  }

  add(server: Server | WebSocketServerLike, options: ServerOptions): void {
    const { whileDraining = 'close' } = options;
    if (whileDraining !== 'close' && whileDraining !== 'reject')
      throw new TypeError(`server: whileDraining "${String(whileDraining)}" is not known; write close or reject`);
    if (this.#servers.has(server)) {
      this.hasDoubles = true;
      return;
    }
    const parts = this.#partsOf(server, options);
    this.#servers.set(server, parts);
    if (this.#isClosing) for (const part of parts) part.close();
  }

  get isEmpty(): boolean {
    return this.#servers.size === 0;
  }

  get isBusy(): boolean {
    return this.#all.some((one) => one.isBusy);
  }

  get counts(): Counts {
    const sum = { requests: 0, connections: 0, websockets: 0 };
    for (const { counts } of this.#all) {
      sum.requests += counts.requests;
      sum.connections += counts.connections;
      sum.websockets += counts.websockets;
    }
    return sum;
  }

  get names(): readonly string[] {
    return this.#all.flatMap(({ names }) => names);
  }

  /** Resolves when what had arrived by now is in the hands of the app, and everything else refused. */
  async close(): Promise<true> {
    // What the kernel has taken counts as begun; it would reset what is still in its queue when the listener closes.
    for (let turn = 0; turn < TURNS && !this.isEmpty; turn += 1) await new Promise((resolve) => setImmediate(resolve));
    this.#isClosing = true;
    for (const one of this.#all) one.close();
    return true;
  }

  cut(): void {
    for (const one of this.#all) one.cut();
  }

  get reports(): readonly ServerReport[] {
    return [...this.#servers.values()].map((parts) =>
      parts
        .map(({ report }) => report)
        .reduce((sum, part) => ({
          name: sum.name,
          idle: sum.idle + part.idle,
          finished: sum.finished + part.finished,
          destroyed: sum.destroyed + part.destroyed,
          rejected: sum.rejected + part.rejected,
        })),
    );
  }

  forget(): void {
    for (const one of this.#all) one.forget();
  }

  get #all(): readonly Drained[] {
    return [...this.#servers.values()].flat();
  }

  #partsOf(server: Server | WebSocketServerLike, options: ServerOptions): readonly Drained[] {
    if (isWebSocketServer(server)) return [new WebSockets(server, options, this.#surroundings.changes)];
    if (typeof server?.on !== 'function' || typeof server.close !== 'function')
      throw new TypeError('server: this is no server of node:http, https, http2, net or ws; hand in what listens');
    const connections = new ServerConnections(server, options, this.#surroundings);
    if (!isHttp2(server)) return [connections];
    return [connections, new Http2Sessions(server, options, this.#surroundings.changes)];
  }
}

function isWebSocketServer(server: Server | WebSocketServerLike): server is WebSocketServerLike {
  return typeof server === 'object' && server !== null && 'clients' in server && server.clients instanceof Set;
}
