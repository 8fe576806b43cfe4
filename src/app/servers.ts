/** The servers of the app: what each has open, how it is closed, and what had to be cut. */
import type { Server } from 'node:net';
import type { HandedOptions, ServerOptions, ServerReport, WebSocketServerLike } from './api.ts';
import { Arrivals } from './arrivals.ts';
import type { Deadline } from './deadline.ts';
import type { Counts, Drained, Surroundings } from './drained.ts';
import type { Failure } from './hooks.ts';
import { Http2Sessions, isHttp2 } from './http2-sessions.ts';
import { ServerConnections } from './server-connections.ts';
import { WebSockets } from './websockets.ts';

type Handed = { readonly options: HandedOptions; readonly parts: readonly Drained[] };

export class Servers {
  readonly #surroundings: Surroundings;
  readonly #servers = new Map<Server | WebSocketServerLike, Handed>();
  #isClosing = false;
  /** Servers that were handed in twice. */
  hasDoubles = false;
  /** Of the closing. */
  readonly failures: Failure[] = [];

  constructor(surroundings: Pick<Surroundings, 'changes' | 'health'>) {
    const hasWebSockets = (): boolean => this.#all.some((one) => one instanceof WebSockets);
    const failed = (where: string, error: unknown): void => void this.failures.push({ where, error });
    this.#surroundings = { ...surroundings, hasWebSockets, failed };
  }

  add(server: Server | WebSocketServerLike, options: HandedOptions): void {
    const { whileDraining = 'close' } = options;
    if (whileDraining !== 'close' && whileDraining !== 'reject')
      throw new TypeError(`server: whileDraining "${String(whileDraining)}" is not known; write close or reject`);
    if (this.#servers.has(server)) {
      this.hasDoubles = true;
      return;
    }
    const parts = this.#partsOf(server, options);
    this.#servers.set(server, { options, parts });
    if (this.#isClosing) this.#each((part) => part.close(), parts);
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
  async close(until: Deadline): Promise<true> {
    // What the kernel has taken counts as begun; it would reset what is still in its queue when the listener closes.
    const arrivals = this.#arrivalsAt('close');
    if (!this.isEmpty) await arrivals.settle(until.leftMs / 2);
    this.#isClosing = true;
    this.#each((one) => one.close());
    arrivals.release();
    return true;
  }

  /** Closes those that refused until now, after they have refused all that had arrived. */
  async finish(until: Deadline): Promise<void> {
    const arrivals = this.#arrivalsAt('reject');
    if (arrivals.isEmpty) return;
    await arrivals.settle(until.leftMs / 2);
    this.#each((one) => one.finish());
    arrivals.release();
  }

  cut(): void {
    this.#each((one) => one.cut());
  }

  get reports(): readonly ServerReport[] {
    return [...this.#servers.values()].map(({ parts }) =>
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
    return [...this.#servers.values()].flatMap(({ parts }) => parts);
  }

  #each(act: (one: Drained) => void, parts = this.#all): void {
    for (const one of parts) {
      try {
        act(one);
      } catch (error) {
        this.#surroundings.failed(`closing ${one.report.name}`, error);
      }
    }
  }

  #arrivalsAt(whileDraining: ServerOptions['whileDraining']): Arrivals {
    const servers = [...this.#servers].filter(
      ([, { options }]) => (options.whileDraining ?? 'close') === whileDraining,
    );
    return new Arrivals(servers.flatMap(([server]) => (isWebSocketServer(server) ? [] : [server])));
  }

  #partsOf(server: Server | WebSocketServerLike, options: HandedOptions): readonly Drained[] {
    if (isWebSocketServer(server)) return [new WebSockets(server, options, this.#surroundings)];
    if (typeof server?.on !== 'function' || typeof server.close !== 'function')
      throw new TypeError('server: this is no server of node:http, https, http2, net or ws; hand in what listens');
    const connections = new ServerConnections(server, options, this.#surroundings);
    if (!isHttp2(server)) return [connections];
    return [connections, new Http2Sessions(server, options, this.#surroundings)];
  }
}

function isWebSocketServer(server: Server | WebSocketServerLike): server is WebSocketServerLike {
  return typeof server === 'object' && server !== null && 'clients' in server && server.clients instanceof Set;
}
