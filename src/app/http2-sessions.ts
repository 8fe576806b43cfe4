/** The sessions of an HTTP/2 server: GOAWAY, and the streams that have begun are awaited. */
import type { Http2Server, ServerHttp2Session, ServerHttp2Stream } from 'node:http2';
import type { Server } from 'node:net';
import type { ServerOptions, ServerReport } from './api.ts';
import type { Changes } from './changes.ts';
import { type Counts, type Drained, nameOf } from './drained.ts';

/** Only servers of node:http2 have settings. */
export function isHttp2(server: Server): server is Http2Server {
  return 'updateSettings' in server;
}

export class Http2Sessions implements Drained {
  readonly #server: Http2Server;
  readonly #options: ServerOptions;
  readonly #changes: Changes;
  readonly #sessions = new Set<ServerHttp2Session>();
  readonly #streams = new Set<ServerHttp2Stream>();
  #isClosing = false;
  #report = { name: '', idle: 0, finished: 0, destroyed: 0, rejected: 0 };

  constructor(server: Http2Server, options: ServerOptions, changes: Changes) {
    this.#server = server;
    this.#options = options;
    this.#changes = changes;
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
    return this.#options.whileDraining === 'reject' ? this.#streams.size > 0 : this.#sessions.size > 0;
  }

  /** The listener itself is closed with the connections. */
  close(): void {
    this.#isClosing = true;
    this.#report.name = this.#options.name ?? nameOf('http2', this.#server);
    const busy = new Set([...this.#streams].map(({ session }) => session));
    for (const session of this.#sessions) {
      if (!busy.has(session)) this.#report.idle += 1;
      session.close();
    }
    if (this.#options.whileDraining !== 'reject') return;
    this.#server.removeAllListeners('stream');
    this.#server.on('stream', (stream) => {
      this.#report.rejected += 1;
      stream.respond({ ':status': 503, 'retry-after': '1' });
      stream.end();
      stream.session?.close();
    });
  }

  cut(): void {
    const cut = new Set([...this.#streams].map(({ session }) => session));
    this.#report.destroyed += cut.size;
    for (const session of this.#sessions) session.destroy();
  }

  get report(): ServerReport {
    return this.#report;
  }

  forget(): void {
    this.#server.off('session', this.#onSession);
    this.#server.off('stream', this.#onStream);
  }

  readonly #onSession = (session: ServerHttp2Session): void => {
    this.#sessions.add(session);
    let wasBusy = false;
    session.once('stream', () => {
      wasBusy = true;
    });
    session.once('close', () => {
      this.#sessions.delete(session);
      if (this.#isClosing && wasBusy) this.#report.finished += 1;
      this.#changes.tell();
    });
    if (this.#isClosing && this.#options.whileDraining !== 'reject') session.close();
  };

  readonly #onStream = (stream: ServerHttp2Stream): void => {
    this.#streams.add(stream);
    stream.once('close', () => {
      this.#streams.delete(stream);
      if (this.#isClosing) this.#changes.tell();
    });
  };
}
