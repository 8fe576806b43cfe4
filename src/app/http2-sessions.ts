/** The sessions of an HTTP/2 server: GOAWAY, and the streams that have begun are awaited. */
import type { Http2Server, Http2Session, IncomingHttpHeaders, ServerHttp2Session, ServerHttp2Stream } from 'node:http2';
import type { Server } from 'node:net';
import type { ServerOptions, ServerReport } from './api.ts';
import { type Counts, type Drained, nameOf, type Surroundings } from './drained.ts';
import { refuseStream } from './refusal.ts';
import { untilRead } from './turns.ts';

/** How long a request may be on its way, and how long a session that goes on asking is listened to. */
const ARRIVING_MS = { each: 20, most: 100 };

/** `asked`: its streams so far. */
type Session = { wasBusy: boolean; asked: number; timer: NodeJS.Timeout | undefined };

/** Only servers of node:http2 have settings. */
export function isHttp2(server: Server): server is Http2Server {
  return 'updateSettings' in server;
}

export class Http2Sessions implements Drained {
  readonly #server: Http2Server;
  readonly #options: ServerOptions;
  readonly #surroundings: Surroundings;
  readonly #sessions = new Map<Http2Session, Session>();
  readonly #streams = new Set<ServerHttp2Stream>();
  readonly #rejects: boolean;
  #isClosing = false;
  #isFinishing = false;
  #isCut = false;
  readonly #report = { name: '', idle: 0, finished: 0, destroyed: 0, rejected: 0 };

  constructor(server: Http2Server, options: ServerOptions, surroundings: Surroundings) {
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
    for (const [session, state] of this.#sessions) {
      state.wasBusy = false;
      this.#closeSoon(session, state);
    }
    for (const { session } of this.#streams) this.#noteBusy(session);
    if (!this.#rejects) return;
    this.#server.removeAllListeners('stream');
    this.#server.on('stream', this.#refuse);
  }

  finish(): void {
    if (!this.#rejects || this.#isCut) return;
    this.#isFinishing = true;
    for (const [session, state] of this.#sessions) this.#closeSoon(session, state);
  }

  cut(): void {
    this.#isCut = true;
    const cut = new Set([...this.#streams].map(({ session }) => session));
    for (const [session, { timer, wasBusy }] of this.#sessions) {
      clearTimeout(timer);
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
    const state: Session = { wasBusy: false, asked: 0, timer: undefined };
    this.#sessions.set(session, state);
    session.once('close', () => {
      clearTimeout(state.timer);
      this.#sessions.delete(session);
      if (this.#isClosing && !this.#isCut) this.#report[state.wasBusy ? 'finished' : 'idle'] += 1;
      this.#surroundings.changes.tell();
    });
    if (this.#isClosing && (!this.#rejects || this.#isFinishing)) this.#closeSoon(session, state);
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
    if (state === undefined) return;
    state.wasBusy = true;
    state.asked += 1;
  }

  readonly #refuse = (stream: ServerHttp2Stream, headers: IncomingHttpHeaders): void => {
    this.#onStream(stream);
    if (!refuseStream(stream, headers, this.#surroundings.health)) return;
    this.#report.rejected += 1;
    stream.session?.close();
  };

  /**
   * GOAWAY refuses what crosses it, and Node cannot announce it before (nghttp2_submit_shutdown_notice): it goes out when nothing
   * has come for a moment.
   */
  #closeSoon(session: Http2Session, state: Session, since = performance.now()): void {
    clearTimeout(state.timer);
    const { asked } = state;
    const timer = setTimeout(async () => {
      await untilRead();
      if (session.closed || state.timer !== timer) return;
      const isOver = performance.now() - since >= ARRIVING_MS.most;
      if (state.asked === asked || isOver) session.close();
      else this.#closeSoon(session, state, since);
    }, ARRIVING_MS.each);
    state.timer = timer;
  }
}
