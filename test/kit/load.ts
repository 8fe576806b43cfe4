/** A bounded load over HTTP: clients that ask one thing after the other, and a report of every answer they got or did not get. */
import { Agent, type ClientRequest, request } from 'node:http';
import { createServer } from 'node:net';

export type LoadOptions = {
  readonly port: number;
  readonly host?: string;
  /** Half of them keep their connection, half take a new one for each request. */
  readonly clients?: number;
  readonly path?: string;
  /** Where it ends by itself. */
  readonly maxRequests?: number;
  readonly maxMs?: number;
  /** What takes longer has failed. */
  readonly requestMs?: number;
};

type LoadReport = {
  readonly ok: number;
  readonly failed: number;
  /** What failed how often: `ECONNREFUSED fresh`, `status 503 kept`. */
  readonly reasons: Readonly<Record<string, number>>;
  /** Asked again on a new connection, because a kept one was closed before any byte of an answer. */
  readonly retried: number;
  /** Answers by the pid and by the version that the app writes: `PID VERSION`. */
  readonly pids: Readonly<Record<string, number>>;
  readonly versions: Readonly<Record<string, number>>;
  readonly slowestMs: number;
  readonly elapsedMs: number;
};

export type Load = AsyncDisposable & {
  readonly report: LoadReport;
  /** Resolves when the report is as wanted; looked at after each answer. */
  until(what: string, isIt: (report: LoadReport) => boolean): Promise<void>;
  /** Resolves when this process has answered. */
  answered(pid: number | null): Promise<void>;
  /** No new requests; resolves when the last ones are through. */
  stop(): Promise<LoadReport>;
};

type Want = { readonly agent: Agent | false; readonly options: Required<LoadOptions> };
type Result =
  | { readonly is: 'ok'; readonly body: string }
  | { readonly is: 'failed'; readonly reason: string; readonly mayRetry: boolean };

/** How long a fact is waited for. */
const CEILING_MS = 15_000;

/** Begins at once; ends by `stop()`, or by itself at one of its limits. */
export function startLoad(given: LoadOptions): Load {
  const options: Required<LoadOptions> = {
    host: '127.0.0.1',
    clients: 12,
    path: '/',
    maxRequests: 1_000_000,
    maxMs: 60_000,
    requestMs: 15_000,
    ...given,
  };
  const tally = new Tally(options);
  const all = Promise.all(Array.from({ length: options.clients }, (_, n) => runClient(n % 2 === 0, options, tally)));
  const stop = async (): Promise<LoadReport> => {
    tally.end();
    await all;
    return tally.report;
  };
  return {
    get report() {
      return tally.report;
    },
    until: (what, isIt) => tally.until(what, isIt),
    answered: (pid) => tally.until(`an answer of ${pid}`, ({ pids }) => (pids[String(pid)] ?? 0) > 0),
    stop,
    [Symbol.asyncDispose]: async () => {
      await stop();
    },
  };
}

/** One request, with a connection of its own: what `/` answers, or the reason why it does not. */
export async function ask(port: number, path = '/', requestMs = CEILING_MS): Promise<string> {
  const options = { port, host: '127.0.0.1', path, requestMs, clients: 1, maxRequests: 1, maxMs: requestMs };
  const result = await once({ agent: false, options });
  if (result.is === 'failed') throw new Error(result.reason);
  return result.body;
}

/** A free port below the range from which the kernel takes ports for connections: under load one of those is soon in use. */
export async function servicePort(): Promise<number> {
  for (;;) {
    const port = 16_000 + Math.floor(Math.random() * 16_000);
    const server = createServer();
    const isFree = await new Promise<boolean>((told) => {
      server.once('error', () => told(false)).listen(port, '127.0.0.1', () => told(true));
    });
    await new Promise((closed) => server.close(closed));
    if (isFree) return port;
  }
}

async function runClient(isKept: boolean, options: Required<LoadOptions>, tally: Tally): Promise<void> {
  const agent = isKept ? new Agent({ keepAlive: true, maxSockets: 1 }) : false;
  while (tally.begin()) {
    const begun = performance.now();
    let result = await once({ agent, options });
    if (result.is === 'failed' && result.mayRetry) {
      tally.retry();
      result = await once({ agent: false, options });
    }
    tally.add(result, isKept, performance.now() - begun);
  }
  if (agent !== false) agent.destroy();
}

function once({ agent, options: { host, port, path, requestMs } }: Want): Promise<Result> {
  return new Promise((done) => {
    const timer = setTimeout(() => call.destroy(new Error(`no answer in ${requestMs} ms`)), requestMs);
    const end = (result: Result): void => {
      clearTimeout(timer);
      done(result);
    };
    const fail = (error: NodeJS.ErrnoException): void =>
      end({ is: 'failed', reason: error.code ?? error.message, mayRetry: isUntouched(call, error, read) });
    let read = 0;
    const call = request({ host, port, path, agent }, (response) => {
      let body = '';
      response.setEncoding('utf8').on('data', (text: string) => {
        body += text;
      });
      response.on('error', fail);
      response.on('end', () =>
        end(
          response.statusCode === 200
            ? { is: 'ok', body }
            : { is: 'failed', reason: `status ${response.statusCode}`, mayRetry: false },
        ),
      );
    });
    call.on('socket', (socket) => {
      read = socket.bytesRead;
    });
    call.on('error', fail);
    call.end();
  });
}

/** A kept connection that was closed under the request, before any byte of an answer: RFC 9110, 9.2.2. */
function isUntouched(call: ClientRequest, { code }: NodeJS.ErrnoException, read: number): boolean {
  return call.reusedSocket && (code === 'ECONNRESET' || code === 'EPIPE') && call.socket?.bytesRead === read;
}

class Tally {
  readonly #options: Required<LoadOptions>;
  readonly #begunAt = performance.now();
  readonly #looks = new Set<() => void>();
  readonly #reasons: Record<string, number> = {};
  readonly #pids: Record<string, number> = {};
  readonly #versions: Record<string, number> = {};
  #asked = 0;
  #ok = 0;
  #failed = 0;
  #retried = 0;
  #slowestMs = 0;
  #isEnding = false;

  constructor(options: Required<LoadOptions>) {
    this.#options = options;
  }

  get report(): LoadReport {
    return {
      ok: this.#ok,
      failed: this.#failed,
      reasons: { ...this.#reasons },
      retried: this.#retried,
      pids: { ...this.#pids },
      versions: { ...this.#versions },
      slowestMs: this.#slowestMs,
      elapsedMs: performance.now() - this.#begunAt,
    };
  }

  /** Whether one more may be asked. */
  begin(): boolean {
    if (this.#asked >= this.#options.maxRequests) this.#isEnding = true;
    if (performance.now() - this.#begunAt >= this.#options.maxMs) this.#isEnding = true;
    if (!this.#isEnding) this.#asked++;
    return !this.#isEnding;
  }

  end(): void {
    this.#isEnding = true;
  }

  retry(): void {
    this.#retried++;
  }

  add(result: Result, isKept: boolean, tookMs: number): void {
    this.#slowestMs = Math.max(this.#slowestMs, tookMs);
    if (result.is === 'ok') {
      const [pid = '', version = ''] = result.body.trim().split(' ');
      this.#ok++;
      count(this.#pids, pid);
      if (version !== '') count(this.#versions, version);
    } else {
      this.#failed++;
      count(this.#reasons, `${result.reason} ${isKept ? 'kept' : 'fresh'}`);
    }
    for (const look of [...this.#looks]) look();
  }

  until(what: string, isIt: (report: LoadReport) => boolean): Promise<void> {
    return new Promise((found, fail) => {
      const look = (): void => {
        if (!isIt(this.report)) return;
        end();
        found();
      };
      const timer = setTimeout(() => {
        end();
        fail(new Error(`waited in vain for ${what}: ${JSON.stringify(this.report)}`));
      }, CEILING_MS);
      const end = (): void => {
        clearTimeout(timer);
        this.#looks.delete(look);
      };
      this.#looks.add(look);
      look();
    });
  }
}

function count(of: Record<string, number>, key: string): void {
  of[key] = (of[key] ?? 0) + 1;
}
