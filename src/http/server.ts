/** Requests → answers: who asks is checked first, then the one table of paths says what there is. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { OperationLine } from '../api/types.ts';
import { isGsupError } from '../core/error.ts';
import type { HttpSpec } from '../core/service.ts';
import { type Asset, Assets } from './assets.ts';
import { Connections } from './connections.ts';
import { Feed } from './feed.ts';
import { type Access, refusalOf } from './gate.ts';
import { readinessOf } from './health.ts';
import { Metrics } from './metrics.ts';
import { bodyOf, refuse, send, sendJson, sendLines } from './reply.ts';
import { rowsOf } from './rows.ts';
import { type HttpSource, VERBS, type Verb } from './source.ts';
import { Usages } from './usages.ts';

/** One that is slow to say what it wants is sent away, and so is one that says nothing more. */
const HEADERS_MS = 10_000;
const REQUEST_MS = 15_000;
const KEPT_MS = 5_000;
const SILENT_MS = 60_000;
const LARGEST_HEADERS = 16 * 1024;
const [DEFAULT_LINES, MOST_LINES] = [200, 5_000];
const LONGEST_SEARCH = 200;

type Asked = { readonly request: IncomingMessage; readonly response: ServerResponse; readonly url: URL };
type Entry = { readonly access: Access; readonly isStream?: boolean; answer(asked: Asked): Promise<void> | void };

export type ServerOptions = {
  readonly source: HttpSource;
  /** As it is now: it may change while the server listens. */
  spec(): HttpSpec;
  /** Where the page is; default: beside this file. */
  readonly pageFolder?: string;
};

/** Answers on as many listeners as are made of it; one feed and one set of metrics for all. */
export class HttpServer {
  readonly #options: ServerOptions;
  readonly #metrics: Metrics;
  readonly #feed: Feed;
  readonly #assets: Assets;
  readonly #table: Readonly<Record<string, Entry>>;
  readonly #connections: Connections;

  constructor(options: ServerOptions) {
    const { source, pageFolder } = options;
    this.#options = options;
    this.#connections = new Connections(source.mostConnections);
    const usages = new Usages(source);
    this.#metrics = new Metrics(source, usages);
    this.#feed = new Feed(source, usages, () => options.spec().token !== null);
    this.#assets = new Assets(pageFolder);
    this.#table = this.#paths();
  }

  /** A server that is not listening yet. */
  create(): Server {
    const server = createServer(
      {
        headersTimeout: HEADERS_MS,
        requestTimeout: REQUEST_MS,
        keepAliveTimeout: KEPT_MS,
        connectionsCheckingInterval: 2_000,
        maxHeaderSize: LARGEST_HEADERS,
      },
      (request, response) => void this.#answer(request, response),
    );
    server.on('connection', (socket) => this.#connections.add(socket));
    server.setTimeout(SILENT_MS);
    return server;
  }

  close(): void {
    this.#feed.close();
    this.#metrics.close();
  }

  /** Everything there is. Whatever is asked for by GET changes nothing. */
  #paths(): Readonly<Record<string, Entry>> {
    const { source } = this.#options;
    const assets = Object.entries(this.#assets.all).map(([path, asset]): [string, Entry] => [
      `GET ${path}`,
      { access: 'open', answer: (asked) => this.#asset(asset, asked) },
    ]);
    const actions = VERBS.map((verb): [string, Entry] => [
      `POST /api/${verb}`,
      { access: 'act', isStream: true, answer: (asked) => this.#act(verb, asked) },
    ]);
    return {
      'GET /livez': { access: 'open', answer: ({ response }) => sendJson(response, 200, { status: 'live' }) },
      'GET /readyz': { access: 'open', answer: ({ response }) => this.#ready(response) },
      'GET /metrics': { access: 'read', answer: (asked) => this.#tellMetrics(asked) },
      'GET /api/instances': { access: 'read', answer: ({ response }) => this.#instances(response) },
      'GET /api/events': { access: 'read', isStream: true, answer: ({ response }) => this.#feed.add(response) },
      'GET /api/logs': { access: 'read', isStream: true, answer: (asked) => this.#logs(asked) },
      ...(source.timeline === undefined
        ? {}
        : { 'GET /api/timeline': { access: 'read', answer: (asked) => this.#timeline(asked) } }),
      ...(source.why === undefined ? {} : { 'GET /api/why': { access: 'read', answer: (asked) => this.#why(asked) } }),
      ...Object.fromEntries([...assets, ...actions]),
    };
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    // A reader that goes away is its own affair.
    response.on('error', () => {});
    const { headers } = request;
    const url = urlOf(request);
    const method = request.method === 'HEAD' ? 'GET' : request.method;
    const entry = url === null ? undefined : this.#entry(`${method} ${url.pathname}`);
    const spec = this.#options.spec();
    const refusal = refusalOf(
      {
        access: entry?.access ?? 'open',
        host: headers.host,
        origin: headers.origin,
        site: only(headers['sec-fetch-site']),
        mode: only(headers['sec-fetch-mode']),
        authorization: headers.authorization,
        localAddress: request.socket.localAddress,
      },
      spec,
    );
    if (refusal !== null) {
      const challenge = refusal.status === 401 ? { 'www-authenticate': 'Bearer realm="gsup"' } : {};
      refuse(response, refusal.status, { ...refusal, headers: challenge });
    } else if (url === null || entry === undefined) this.#refuseUnknown(url, method, response);
    else {
      if (spec.token !== null && entry.access !== 'open') this.#connections.trust(request.socket);
      await this.#serve(entry, { request, response, url });
    }
  }

  async #serve(entry: Entry, asked: Asked): Promise<void> {
    const { request, response } = asked;
    if (entry.isStream === true) {
      if (request.method === 'HEAD') return void response.writeHead(200).end();
      const { socket } = request;
      if (!this.#connections.addStream(response, socket))
        return refuse(response, 503, { error: 'too many pages and logs are open', headers: { 'retry-after': '10' } });
      // It may well be silent for long.
      socket.setTimeout(0);
      response.once('close', () => socket.setTimeout(SILENT_MS));
    }
    try {
      await entry.answer(asked);
    } catch (error) {
      this.#fail(error, response);
    }
  }

  #fail(error: unknown, response: ServerResponse): void {
    if (response.headersSent) return void response.destroy();
    if (isGsupError(error)) {
      const { message, hint = null, exitStatus } = error;
      refuse(response, exitStatus === NO_SUCH_SERVICE ? 404 : 422, { error: message, hint });
    } else {
      // A bug: loud in the log, and no reason to take the supervisor away.
      console.error(error);
      refuse(response, 500, { error: 'internal error' });
    }
  }

  #refuseUnknown(url: URL | null, method: string | undefined, response: ServerResponse): void {
    const path = url?.pathname ?? '';
    const allowed = ['GET', 'POST'].filter((one) => this.#entry(`${one} ${path}`) !== undefined);
    const allow = allowed.flatMap((one) => (one === 'GET' ? ['GET', 'HEAD'] : [one])).join(', ');
    if (allow === '') refuse(response, 404, { error: `there is no ${path}` });
    else refuse(response, 405, { error: `${method} is not for ${path}`, headers: { allow } });
  }

  #entry(key: string): Entry | undefined {
    return Object.hasOwn(this.#table, key) ? this.#table[key] : undefined;
  }

  #ready(response: ServerResponse): void {
    const readiness = readinessOf(this.#options.source.state());
    sendJson(response, readiness.ready ? 200 : 503, readiness);
  }

  async #tellMetrics({ request, response }: Asked): Promise<void> {
    const { type, body } = await this.#metrics.text(request.headers.accept ?? '');
    send(response, 200, { type, body, headers: { vary: 'accept' } });
  }

  async #instances(response: ServerResponse): Promise<void> {
    const { source } = this.#options;
    const rows = rowsOf(source, await source.usage());
    sendJson(
      response,
      200,
      rows.map(({ view }) => view),
    );
  }

  async #asset(asset: Asset, { request, response }: Asked): Promise<void> {
    const { body, etag } = await asset.read();
    const headers = { etag, 'cache-control': 'no-cache' };
    if (request.headers['if-none-match'] === etag) return void response.writeHead(304, headers).end();
    send(response, 200, { type: asset.type, body, headers });
  }

  async #logs({ response, url }: Asked): Promise<void> {
    const { searchParams: query } = url;
    const name = query.get('name') ?? '';
    if (name === '') return refuse(response, 400, { error: 'logs of what? name=SERVICE or name=INSTANCE' });
    const lines = Number(query.get('lines') ?? DEFAULT_LINES);
    if (!Number.isInteger(lines) || lines < 0 || lines > MOST_LINES)
      return refuse(response, 400, { error: `lines is a number up to ${MOST_LINES}` });
    const search = query.get('search') ?? '';
    if (search.length > LONGEST_SEARCH) return refuse(response, 400, { error: 'search is too long' });
    const gone = new AbortController();
    response.once('close', () => gone.abort());
    const isFollowed = query.get('follow') === '1';
    const wanted = { name, lines, search: search === '' ? null : search, isFollowed };
    await sendLines(response, this.#options.source.logs(wanted, gone.signal));
  }

  async #timeline({ response, url }: Asked): Promise<void> {
    const service = url.searchParams.get('service') ?? '';
    const body = (await this.#options.source.timeline?.(service)) ?? null;
    if (body === null) return refuse(response, 404, { error: 'nothing has happened yet' });
    send(response, 200, { type: 'image/svg+xml', body });
  }

  async #why({ response, url }: Asked): Promise<void> {
    const instance = url.searchParams.get('instance') ?? '';
    const answer = (await this.#options.source.why?.(instance)) ?? null;
    if (answer === null) return refuse(response, 404, { error: 'nobody knows' });
    sendJson(response, 200, answer);
  }

  async #act(verb: Verb, { request, response }: Asked): Promise<void> {
    const body = await bodyOf(request);
    if (!body.ok) return refuse(response, body.status, { error: body.error, headers: { connection: 'close' } });
    const names = namesOf(body.value);
    if (names === null) return refuse(response, 400, { error: 'expected {"names": ["api:0"]}' });
    const { source } = this.#options;
    source.notice(`${verb} ${names.join(', ')}: asked for over HTTP by ${request.socket.remoteAddress}`, 'info');
    await sendLines(
      response,
      linesOf((tell) => source.act(verb, names, tell)),
    );
  }
}

const NO_SUCH_SERVICE = 4;

function namesOf(value: unknown): readonly string[] | null {
  const names = typeof value === 'object' && value !== null && 'names' in value ? value.names : null;
  const isRight = Array.isArray(names) && names.length > 0 && names.every((name) => typeof name === 'string');
  return isRight ? names : null;
}

/** Of an operation, which goes on to its end whether it is read or not. Fails before its first line for a name that is wrong. */
async function* linesOf(
  run: (tell: (line: OperationLine) => void) => Promise<OperationLine>,
): AsyncGenerator<OperationLine> {
  const waiting: OperationLine[] = [];
  let wake = () => {};
  let isOver = false;
  const operation = run((line) => {
    if (waiting.length < MOST_LINES) waiting.push(line);
    wake();
  });
  const ended = operation.then(
    (line) => void waiting.push(line),
    (error) => void waiting.push(failed(error)),
  );
  void ended.then(() => {
    isOver = true;
    wake();
  });
  while (!isOver || waiting.length > 0) {
    const next = waiting.shift();
    if (next !== undefined) yield next;
    else
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
  }
}

function failed(error: unknown): OperationLine {
  if (!isGsupError(error)) console.error(error);
  const {
    message,
    hint = null,
    exitStatus,
  } = isGsupError(error) ? error : { message: 'internal error', hint: null, exitStatus: 1 };
  return { type: 'result', exitStatus, outcomes: [], error: message, hint };
}

function urlOf({ url = '' }: IncomingMessage): URL | null {
  return url.startsWith('/') && URL.canParse(`http://host${url}`) ? new URL(`http://host${url}`) : null;
}

function only(value: string | string[] | undefined): string | undefined {
  return typeof value === 'string' ? value : value?.[0];
}
