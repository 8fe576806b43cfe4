/** The connections of a server of node:http, https or net (and HTTP/1 of http2): who is idle, who is busy, who was upgraded. */
import type { EventEmitter } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Server, Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { TLSSocket } from 'node:tls';
import type { HandedOptions, ServerReport } from './api.ts';
import { type Counts, type Drained, nameOf, type Surroundings } from './drained.ts';
import { Handshakes } from './handshakes.ts';
import { isHttp2 } from './http2-sessions.ts';
import { refuse, refuseUpgrade } from './refusal.ts';
import { untilRead } from './turns.ts';
import { afterWrite, EXPECTATIONS, UPGRADES, watchBeside } from './upgrades.ts';
import { GOING_AWAY_FRAME } from './websockets.ts';

/** How long a request may be on its way: on a connection that is idle, and on one whose client was told that it is kept. */
const ARRIVING_MS = { idle: 20, kept: 50 };

type Connection = {
  /** The newest that has not been sent wholly; earlier ones of a pipeline are sent before it. */
  response: ServerResponse | null;
  upgrade: 'websocket' | 'other' | null;
  /** What had been written on it before its upgrade. */
  writtenBefore: number;
  /** Runs while something may be on its way. */
  timer: NodeJS.Timeout | undefined;
  /** Whether the shutdown had to wait for it. */
  isAwaited: boolean;
};
type Kind = 'http' | 'https' | 'http2' | 'net';
type Listener = Parameters<EventEmitter['on']>[1];

export class ServerConnections implements Drained {
  readonly #server: Server;
  readonly #kind: Kind;
  readonly #options: HandedOptions;
  readonly #surroundings: Surroundings;
  readonly #connections = new Map<Socket, Connection>();
  readonly #handshakes = new Handshakes(() => this.#changed());
  readonly #listeners: (readonly [string, Listener])[] = [];
  readonly #rejects: boolean;
  /** One for all responses: a closure for each would cost half of what the library takes of a request. */
  readonly #closed: (this: ServerResponse) => void;
  /** One for all sockets: a closure for each would be half of what the library keeps of a connection. */
  readonly #left: (this: Socket) => void;
  readonly #unwatch: (() => void)[] = [];
  #isClosing = false;
  /** Nothing is refused any more: it ends. */
  #isFinishing = false;
  #isCut = false;
  readonly #report = { name: '', idle: 0, finished: 0, destroyed: 0, rejected: 0 };

  constructor(server: Server, options: HandedOptions, surroundings: Surroundings) {
    this.#server = server;
    this.#kind = kindOf(server);
    const end = (response: ServerResponse): void => this.#end(response);
    this.#closed = function closed() {
      end(this);
    };
    const leave = (socket: Socket): void => this.#leave(socket);
    this.#left = function left() {
      leave(this);
    };
    this.#options = options;
    this.#surroundings = surroundings;
    this.#rejects = options.whileDraining === 'reject' && this.#kind !== 'net';
    if ('setSecureContext' in server) {
      this.#listen('connection', this.#handshakes.begin);
      this.#listen('secureConnection', this.#meetSecure);
    } else if (this.#kind !== 'http2') this.#listen('connection', this.#meet);
    if (this.#kind === 'net') return;
    this.#listen('request', this.#begin);
    this.#unwatch.push(watchBeside(server, EXPECTATIONS, this.#begin), watchBeside(server, UPGRADES, this.#upgraded));
  }

  get counts(): Counts {
    let requests = 0;
    for (const { response } of this.#connections.values()) if (response !== null) requests += 1;
    return { requests, connections: this.#connections.size + this.#handshakes.count, websockets: 0 };
  }

  get names(): readonly string[] {
    return [...this.#connections.values()].flatMap(({ response }) =>
      response === null ? [] : [nameOfRequest(response)],
    );
  }

  get isBusy(): boolean {
    if (!this.#rejects || this.#isFinishing) return this.#connections.size + this.#handshakes.count > 0;
    for (const { response, upgrade } of this.#connections.values()) if (response ?? upgrade) return true;
    return false;
  }

  close(): void {
    this.#isClosing = true;
    this.#report.name = this.#options.name ?? nameOf(this.#kind, this.#server);
    if (this.#rejects) this.#rejectFromNow();
    else this.#stopListening();
    for (const [socket, connection] of this.#connections) this.#windUp(socket, connection);
    if (!this.#rejects) this.#cutSilentHandshakes();
  }

  finish(): void {
    if (!this.#rejects || this.#isCut) return;
    this.#isFinishing = true;
    this.#stopListening();
    for (const [socket, connection] of this.#connections)
      if (!connection.isAwaited) this.#closeSoon(socket, connection, ARRIVING_MS.idle);
    this.#cutSilentHandshakes();
  }

  cut(): void {
    this.#isCut = true;
    this.#stopListening();
    for (const [socket, { response, upgrade, isAwaited }] of this.#connections) {
      const isInUse = response !== null || upgrade !== null || (isAwaited && this.#kind === 'net');
      this.#report[isInUse ? 'destroyed' : isAwaited ? 'finished' : 'idle'] += 1;
      socket.destroy();
    }
    this.#report.idle += this.#handshakes.cut();
  }

  get report(): ServerReport {
    return this.#report;
  }

  forget(): void {
    this.#unwatchAll();
    for (const [event, listener] of this.#listeners.splice(0)) this.#emitter.off(event, listener);
  }

  #unwatchAll(): void {
    for (const unwatch of this.#unwatch.splice(0)) unwatch();
  }

  /** First of all, so that a response is told to close before the app can send it. */
  #listen(event: string, listener: Listener): void {
    this.#listeners.push([event, listener]);
    this.#emitter.prependListener(event, listener);
  }

  get #emitter(): EventEmitter {
    return this.#server;
  }

  // A connection begins and ends.

  readonly #meetSecure = (socket: TLSSocket): void => {
    if (socket.alpnProtocol !== 'h2') this.#meet(socket);
    this.#handshakes.end(socket);
  };

  readonly #meet = (socket: Socket): Connection => {
    const connection: Connection = {
      response: null,
      upgrade: null,
      writtenBefore: 0,
      timer: undefined,
      isAwaited: false,
    };
    this.#connections.set(socket, connection);
    socket.on('close', this.#left);
    // Who comes while we refuse is answered, whenever he asks.
    if (this.#isClosing && (!this.#rejects || this.#isFinishing)) this.#windUp(socket, connection);
    return connection;
  };

  #leave(socket: Socket): void {
    const connection = this.#connections.get(socket);
    if (connection === undefined) return;
    this.#connections.delete(socket);
    clearTimeout(connection.timer);
    if (this.#isClosing && connection.isAwaited && !this.#isCut) this.#report.finished += 1;
    this.#changed();
  }

  // A request begins and ends.

  readonly #begin = (request: IncomingMessage, response: ServerResponse): void => {
    // Streams of HTTP/2 are counted with their sessions.
    if (request.httpVersionMajor >= 2) return;
    const { socket } = request;
    const connection = this.#connections.get(socket) ?? this.#meet(socket);
    const before = connection.response;
    // A listener of "checkContinue" has handed it on.
    if (before === response) return;
    connection.response = response;
    response.on('close', this.#closed);
    if (!this.#isClosing) return;
    // Only the last of a pipeline closes the connection: an earlier one would take it from those behind.
    if (before !== null && !before.headersSent) before.removeHeader('connection');
    this.#windUp(socket, connection);
  };

  #end(response: ServerResponse): void {
    const { socket } = response.req;
    const connection = this.#connections.get(socket);
    if (connection?.response !== response) return;
    connection.response = null;
    if (!this.#isClosing) return;
    // When its headers had gone out before, the client may use the connection again.
    this.#closeSoon(socket, connection, ARRIVING_MS.kept);
    this.#changed();
  }

  readonly #upgraded = (request: IncomingMessage): void => {
    const { socket } = request;
    const connection = this.#connections.get(socket) ?? this.#meet(socket);
    connection.writtenBefore = socket.bytesWritten;
    connection.upgrade = /\bwebsocket\b/i.test(request.headers.upgrade ?? '') ? 'websocket' : 'other';
    if (this.#isClosing) this.#windUp(socket, connection);
  };

  // The end.

  /** Closes a connection that is idle, and tells one that is in use; also what becomes busy meanwhile. */
  #windUp(socket: Socket, connection: Connection): void {
    const { response, upgrade } = connection;
    clearTimeout(connection.timer);
    const isNew = socket.bytesRead === 0 && (this.#kind !== 'net' || socket.bytesWritten === 0);
    connection.isAwaited ||= response !== null || upgrade !== null || (this.#kind === 'net' && !isNew);
    if (response !== null) {
      if (!response.headersSent) response.setHeader('Connection', 'close');
    } else if (connection.isAwaited) this.#sayGoodbye(socket, connection);
    else this.#closeSoon(socket, connection, ARRIVING_MS.idle);
  }

  #sayGoodbye(socket: Socket, { upgrade, writtenBefore }: Connection): void {
    const { onDrain } = this.#options;
    if (onDrain !== undefined) this.#callOnDrain(onDrain, socket);
    else if (upgrade !== 'websocket' || this.#surroundings.hasWebSockets()) return;
    else if (socket.bytesWritten > writtenBefore) socket.write(GOING_AWAY_FRAME);
    else afterWrite(socket, () => socket.writable && socket.write(GOING_AWAY_FRAME));
  }

  #callOnDrain(onDrain: NonNullable<HandedOptions['onDrain']>, socket: Socket): void {
    try {
      onDrain(socket as never);
    } catch (error) {
      this.#surroundings.failed(`onDrain of ${this.#report.name}`, error);
    }
  }

  /** Unless something comes. */
  #closeSoon(socket: Socket, connection: Connection, ms: number): void {
    clearTimeout(connection.timer);
    const { bytesRead } = socket;
    const timer = setTimeout(async () => {
      // Timers come before the sockets are read: a loop that was busy has not seen yet what arrived in time.
      await untilRead();
      if (connection.timer !== timer || connection.response !== null || connection.upgrade !== null) return;
      if (socket.destroyed) return;
      if (this.#kind === 'net' && socket.bytesRead > 0) this.#windUp(socket, connection);
      else if (socket.bytesRead > bytesRead) this.#closeSoon(socket, connection, ms);
      else this.#close(socket, connection);
    }, ms);
    connection.timer = timer;
  }

  #close(socket: Socket, { isAwaited }: Connection): void {
    if (!isAwaited) this.#report.idle += 1;
    socket.destroySoon();
  }

  #cutSilentHandshakes(): void {
    this.#handshakes.cutSilent(ARRIVING_MS.kept, (count) => {
      this.#report.idle += count;
    });
  }

  #stopListening(): void {
    // It may just be about to.
    if (!this.#server.listening) this.#server.once('listening', () => this.#server.close());
    else closeListener(this.#server);
  }

  /** From now on every request is answered by us; those that have begun are not touched. */
  #rejectFromNow(): void {
    this.#unwatchAll();
    for (const event of ['request', ...EXPECTATIONS, ...UPGRADES]) {
      const isUsed = event === 'request' || this.#server.listenerCount(event) > 0;
      this.#server.removeAllListeners(event);
      if (isUsed) this.#listen(event, UPGRADES.includes(event) ? this.#refuseUpgrade : this.#refuse);
    }
  }

  readonly #refuse = (request: IncomingMessage, response: ServerResponse): void => {
    this.#begin(request, response);
    if (request.httpVersionMajor >= 2 || this.#surroundings.health(request, response)) return;
    this.#report.rejected += 1;
    refuse(response);
  };

  readonly #refuseUpgrade = (_request: IncomingMessage, socket: Duplex): void => {
    this.#report.rejected += 1;
    refuseUpgrade(socket);
  };

  #changed(): void {
    if (this.#isClosing) this.#surroundings.changes.tell();
  }
}

/** Without its query, that may be nobody's business. */
function nameOfRequest({ req: { method, url = '' } }: ServerResponse): string {
  return `${method} ${url.split('?')[0]}`;
}

/** Without Node's own idea of what is idle: in Node 26 that is also a connection whose request is on its way. */
function closeListener(server: Server & { closeIdleConnections?(): void }): void {
  if (!('closeIdleConnections' in server)) server.close();
  else {
    server.closeIdleConnections = () => {};
    server.close();
    Reflect.deleteProperty(server, 'closeIdleConnections');
  }
}

function kindOf(server: Server): Kind {
  if (isHttp2(server)) return 'http2';
  if (!('closeIdleConnections' in server)) return 'net';
  return 'setSecureContext' in server ? 'https' : 'http';
}
