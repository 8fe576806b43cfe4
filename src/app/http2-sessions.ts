/** The sessions of an HTTP/2 server: GOAWAY, and the streams that have begun are awaited. */
import { EventEmitter } from 'node:events';
import type { Http2Server, Http2Session, IncomingHttpHeaders, ServerHttp2Session, ServerHttp2Stream } from 'node:http2';
import type { Server } from 'node:net';
import type { HandedOptions, ServerReport } from './api.ts';
import { type Counts, type Drained, nameOf, type Surroundings } from './drained.ts';
import { Hold } from './hold.ts';
import { refuseStream } from './refusal.ts';
import { untilRead } from './turns.ts';

/** How long a request may be on its way. */
const ARRIVING_MS = 20;
/** For clients that ask again and again without waiting for an answer. */
const MOST_MOMENTS = 5;

type Session = { wasBusy: boolean };

/** Only servers of node:http2 have settings. */
export function isHttp2(server: Server): server is Http2Server {
  return 'updateSettings' in server;
}

export class Http2Sessions implements Drained {
  readonly #server: Http2Server;
  readonly #options: HandedOptions;
  readonly #surroundings: Surroundings;
  readonly #sessions = new Map<Http2Session, Session>();
  readonly #streams = new Set<ServerHttp2Stream>();
  readonly #rejects: boolean;
  #isClosing = false;
  #isFinishing = false;
  #isCut = false;
  #hold: Hold | null = null;
  readonly #report = { name: '', idle: 0, finished: 0, destroyed: 0, rejected: 0 };

  constructor(server: Http2Server, options: HandedOptions, surroundings: Surroundings) {
    this.#server = server;
    this.#options = options;
    this.#surroundings = surroundings;
    this.#rejects = options.whileDraining === 'reject';
    server.on('session', this.#onSession);
    server.prependListener('stream', this.#onStream);
  }

  get counts(): Counts {
    return { requests: this.#streams.size, connections: this.#sessions.size, websockets: 0 };
  }

  get names(): readonly string[] {
    return [];
  }

  get isBusy(): boolean {
    return this.#rejects && !this.#isFinishing ? this.#streams.size > 0 : this.#sessions.size > 0;
  }

  /** The listener itself is closed with the connections. */
  close(): void {
    this.#isClosing = true;
    this.#report.name = this.#options.name ?? nameOf('http2', this.#server);
    for (const state of this.#sessions.values()) state.wasBusy = false;
    for (const { session } of this.#streams) this.#noteBusy(session);
    if (this.#rejects) {
      this.#server.removeAllListeners('stream');
      this.#server.on('stream', this.#refuse);
    }
    void this.#leaveSoon();
  }

  finish(): void {
    if (!this.#rejects || this.#isCut) return;
    this.#isFinishing = true;
    void this.#leaveSoon();
  }

  cut(): void {
    this.#isCut = true;
    const cut = new Set([...this.#streams].map(({ session }) => session));
    for (const [session, { wasBusy }] of this.#sessions) {
      this.#report[cut.has(session) ? 'destroyed' : wasBusy ? 'finished' : 'idle'] += 1;
      session.destroy();
    }
  }

  get report(): ServerReport {
    return this.#report;
  }

  forget(): void {
    this.#server.off('session', this.#onSession);
    this.#server.off('stream', this.#onStream);
  }

  readonly #onSession = (session: ServerHttp2Session): void => {
    const state: Session = { wasBusy: false };
    this.#sessions.set(session, state);
    session.once('close', () => {
      this.#sessions.delete(session);
      if (this.#isClosing && !this.#isCut) this.#report[state.wasBusy ? 'finished' : 'idle'] += 1;
      this.#surroundings.changes.tell();
    });
    if (this.#isClosing && (!this.#rejects || this.#isFinishing)) void this.#leaveSoon();
  };

  readonly #onStream = (stream: ServerHttp2Stream): void => {
    this.#streams.add(stream);
    this.#noteBusy(stream.session);
    stream.once('close', () => {
      this.#streams.delete(stream);
      if (this.#isClosing) this.#surroundings.changes.tell();
    });
  };

  #noteBusy(session: Http2Session | undefined): void {
    const state = session === undefined ? undefined : this.#sessions.get(session);
    if (state !== undefined) state.wasBusy = true;
  }

  readonly #refuse = (stream: ServerHttp2Stream, headers: IncomingHttpHeaders): void => {
    this.#noteBusy(stream.session);
    if (refuseStream(stream, headers, this.#surroundings.health)) this.#report.rejected += 1;
  };

  /**
   * GOAWAY refuses what crosses it, and Node cannot announce it before (nghttp2_submit_shutdown_notice). A client whose requests are
   * held for a moment asks for no more: what is on its way arrives first.
   */
  async #leaveSoon(): Promise<void> {
    const sessions = [...this.#sessions.keys()];
    if (sessions.length === 0 || this.#hold !== null) return;
    const held: EventEmitter[] = [];
    this.#hold = new Hold(this.#server, (event, [stream]) => {
      if (event !== 'stream' || !(stream instanceof EventEmitter)) return false;
      // Until the app looks after it.
      held.push(stream.on('error', ignore));
      return true;
    });
    for (let n = 0, before = -1; n < MOST_MOMENTS && held.length > before; n += 1) {
      before = held.length;
      await new Promise((resolve) => setTimeout(resolve, ARRIVING_MS));
      await untilRead();
    }
    for (const session of sessions) if (!session.closed) session.close();
    this.#hold.release();
    this.#hold = null;
    for (const stream of held) stream.off('error', ignore);
    const isOpen = !this.#rejects || this.#isFinishing;
    if (isOpen && [...this.#sessions.keys()].some(({ closed }) => !closed)) await this.#leaveSoon();
  }
}

function ignore(): void {}
