/** Where is listened: opened, moved when the configuration changes, tried again while the port is taken, closed at the very end. */
import type { Server } from 'node:http';
import { EXIT, GsupError, isShortage } from '../core/error.ts';
import type { HttpSpec } from '../core/service.ts';
import { HttpServer } from './server.ts';
import type { HttpSource } from './source.ts';

const TRY_AGAIN_MS = 5_000;

export type ListenerOptions = { readonly source: HttpSource; readonly pageFolder?: string };

/** At most one listener; what it answers with outlives a move. */
export class HttpListener {
  readonly #source: HttpSource;
  readonly #http: HttpServer;
  #spec: HttpSpec | null = null;
  #server: Server | null = null;
  #timer: NodeJS.Timeout | null = null;
  #last: Promise<unknown> = Promise.resolve();
  /** What was asked for last: what is tried again gives way to it. */
  #wanted: HttpSpec | null = null;

  constructor({ source, ...options }: ListenerOptions) {
    this.#source = source;
    this.#http = new HttpServer({ source, spec: () => this.#spec ?? NOBODY, ...options });
  }

  /** Where it listens; `null`: nowhere. */
  get address(): string | null {
    return this.#server === null || this.#spec === null ? null : addressText(this.#spec);
  }

  /** Listens there from now on, or nowhere; where it listened stays when that fails. @throws {GsupError} when it can't. */
  apply(spec: HttpSpec | null): Promise<void> {
    this.#wanted = spec;
    return this.#inTurn(() => this.#move(spec));
  }

  /** The same; what can't be listened on is told, and tried again. Why it failed, or `null`. */
  async applyPatiently(spec: HttpSpec | null): Promise<string | null> {
    try {
      await this.apply(spec);
      return null;
    } catch (error) {
      const { message, hint } = error as GsupError;
      const stays = this.address === null ? '' : `; it goes on at ${this.address} meanwhile`;
      const told = `http: ${message}${stays}${hint === undefined ? '' : `; ${hint}`}`;
      this.#source.notice(told, 'error');
      this.#timer = setTimeout(() => void this.#again(spec), TRY_AGAIN_MS).unref();
      return told;
    }
  }

  /** Streams are cut: nothing more comes. */
  async close(): Promise<void> {
    this.#wanted = null;
    this.#http.close();
    await this.#inTurn(() => this.#move(null));
  }

  async #again(spec: HttpSpec | null): Promise<void> {
    if (this.#wanted !== spec) return;
    try {
      await this.apply(spec);
    } catch {
      this.#timer = setTimeout(() => void this.#again(spec), TRY_AGAIN_MS).unref();
    }
  }

  #inTurn(work: () => Promise<void>): Promise<void> {
    const done = this.#last.then(work);
    this.#last = done.catch(() => {});
    return done;
  }

  async #move(spec: HttpSpec | null): Promise<void> {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    const [server, before] = [this.#server, this.#spec];
    if (spec !== null && server !== null && before !== null && isSamePlace(spec, before)) {
      if (JSON.stringify(spec) === JSON.stringify(before)) return;
      // Who came in by other rules comes in again.
      this.#spec = spec;
      server.closeAllConnections();
      return;
    }
    // The old address and the new one may be in each other's way.
    const isInTheWay = spec !== null && before?.port === spec.port;
    if (server !== null && (spec === null || isInTheWay)) await this.#shut(server);
    if (spec === null) {
      this.#spec = null;
      return;
    }
    try {
      await this.#open(spec);
    } catch (error) {
      if (isInTheWay && before !== null) await this.#open(before).catch(() => {});
      throw error;
    }
    if (server !== null && !isInTheWay) await closed(server);
  }

  async #open(spec: HttpSpec): Promise<void> {
    const server = this.#http.create();
    const code = await listen(server, spec);
    // A machine without IPv6 has every address of IPv4.
    const isIpv4Only = spec.host === '::' && (code === 'EAFNOSUPPORT' || code === 'EADDRNOTAVAIL');
    const refused = isIpv4Only ? await listen(server, { ...spec, host: '0.0.0.0' }) : code;
    if (refused !== null) throw this.#refusal(spec, refused);
    let isShortageKnown = false;
    server.on('error', (error) => {
      // Without a descriptor each attempt to accept a connection fails.
      if (isShortage(error) && isShortageKnown) return;
      isShortageKnown ||= isShortage(error);
      this.#source.notice(`http: ${error.message}`, 'error');
    });
    this.#server = server;
    this.#spec = spec;
    this.#source.notice(`http: listens on ${addressText(spec)}${spec.token === null ? '' : ', with a token'}`, 'info');
  }

  #refusal(spec: HttpSpec, code: string): GsupError {
    const { why, hint } = this.#source.refusal(spec.host, spec.port, code);
    const options = { exitStatus: EXIT.failed, ...(hint === undefined ? {} : { hint }) };
    return new GsupError(`cannot listen on ${addressText(spec)}: ${why}`, options);
  }

  async #shut(server: Server): Promise<void> {
    this.#server = null;
    await closed(server);
  }
}

/** What a request is judged by that comes while nothing is wanted. */
const NOBODY: HttpSpec = { host: '127.0.0.1', port: 0, token: null, hosts: [] };

/** The code of the error, or `null`. */
function listen(server: Server, { host, port }: HttpSpec): Promise<string | null> {
  return new Promise((resolve) => {
    const failed = (error: NodeJS.ErrnoException): void => resolve(error.code ?? error.message);
    server.once('error', failed);
    server.listen({ host, port }, () => {
      server.off('error', failed);
      resolve(null);
    });
  });
}

function closed(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
    server.closeAllConnections();
  });
}

function isSamePlace(a: HttpSpec, b: HttpSpec): boolean {
  return a.host === b.host && a.port === b.port;
}

function addressText({ host, port }: HttpSpec): string {
  return `http://${host.includes(':') ? `[${host}]` : host}:${port}`;
}
