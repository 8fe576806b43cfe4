/** The control socket's server, on node:http: routes of the table answered by handlers, of which none can be missing. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import * as v from 'valibot';
import { EXIT, isGsupError } from '../core/error.ts';
import { INPUTS, type InputOf } from './inputs.ts';
import { PROTOCOL, type ReplyOf, ROUTES, type RouteName, type Routes } from './routes.ts';
import type { Refusal } from './types.ts';

/** One for each route; a stream's `signal` is aborted when its reader is gone. */
export type Handlers = {
  readonly [K in RouteName]: (
    input: InputOf<K>,
    signal: AbortSignal,
  ) => Routes[K]['isStream'] extends true ? Soon<AsyncIterable<ReplyOf<K>>> : Soon<ReplyOf<K>>;
};

/** Of a request: a thousand services with their environments have a part of it. */
const LARGEST_BODY = 64 * 1024 * 1024;
/** One that is slow to say what it wants is closed. */
const HEADERS_MS = 10_000;
const REQUEST_MS = 60_000;
const MOST_CONNECTIONS = 512;

/** Lines of a stream that wait to be sent together. */
const BATCH_LENGTH = 16 * 1024;

type Soon<T> = T | Promise<T>;
type AnyHandler = (input: unknown, signal: AbortSignal) => unknown;
type Match = { readonly name: RouteName; readonly parameters: Readonly<Record<string, string>> };

/** A call that can't be answered: an HTTP status, and what the client tells. */
class Refused extends Error {
  readonly status: number;
  readonly exitStatus: number;
  readonly hint: string | undefined;

  constructor(status: number, message: string, exitStatus: number, hint?: string) {
    super(message);
    this.status = status;
    this.exitStatus = exitStatus;
    this.hint = hint;
  }
}

/** A server that is not listening yet. */
export function createApiServer(handlers: Handlers, version: string): Server {
  const server = createServer({ headersTimeout: HEADERS_MS, requestTimeout: REQUEST_MS }, (request, response) => {
    response.setHeader('gsup-version', version);
    response.setHeader('gsup-protocol', String(PROTOCOL));
    answer(handlers, request, response).catch((error: unknown) => refuse(response, error));
  });
  server.maxConnections = MOST_CONNECTIONS;
  return server;
}

async function answer(handlers: Handlers, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const url = urlOf(request.url ?? '/');
  const { name, parameters } = matchOf(request.method ?? 'GET', url.pathname);
  checkProtocol(name, request.headers['gsup-protocol']);
  const { isStream, method } = ROUTES[name];
  const given = method === 'GET' ? Object.fromEntries(url.searchParams) : await bodyOf(request);
  const parsed = v.safeParse(INPUTS[name], { ...given, ...parameters });
  if (!parsed.success) {
    const [issue] = parsed.issues;
    const where = issue.path?.map(({ key }: { key: unknown }) => String(key)).join('.') ?? '';
    throw new Refused(400, `${where === '' ? 'input' : where}: ${issue.message}`, EXIT.usage);
  }
  const ended = new AbortController();
  const reply = await (handlers[name] as AnyHandler)(parsed.output, ended.signal);
  if (isStream) await sendLines(response, reply as AsyncIterable<unknown>, ended);
  else sendJson(response, 200, reply);
}

function urlOf(target: string): URL {
  if (!URL.canParse(target, 'http://gsup')) throw new Refused(400, 'the path is not a valid one', EXIT.usage);
  return new URL(target, 'http://gsup');
}

/** The route of a path, with what stands in it for `:name`. */
function matchOf(method: string, path: string): Match {
  for (const name of Object.keys(ROUTES) as RouteName[]) {
    const route = ROUTES[name];
    if (route.method !== method) continue;
    const parameters = parametersOf(route.path, path);
    if (parameters !== null) return { name, parameters };
  }
  throw new Refused(404, `there is no ${method} ${path}`, EXIT.usage);
}

function parametersOf(pattern: string, path: string): Readonly<Record<string, string>> | null {
  const [wanted, words] = [pattern.split('/'), path.split('/')];
  if (wanted.length !== words.length) return null;
  const parameters: Record<string, string> = {};
  for (const [at, part] of wanted.entries()) {
    const word = words[at] ?? '';
    if (part.startsWith(':')) parameters[part.slice(1)] = decoded(word);
    else if (part !== word) return null;
  }
  return parameters;
}

function decoded(word: string): string {
  try {
    return decodeURIComponent(word);
  } catch {
    return word;
  }
}

function checkProtocol(name: RouteName, asked: string | string[] | undefined): void {
  const isForAll = name === 'ping' || name === 'retire';
  if (isForAll || asked === undefined || asked === String(PROTOCOL)) return;
  const message = `the daemon speaks protocol ${PROTOCOL}, this command ${String(asked)}`;
  throw new Refused(426, message, EXIT.failed, 'replace the daemon and leave the services running: gsup update');
}

async function bodyOf(request: IncomingMessage): Promise<Record<string, unknown>> {
  const parts: Buffer[] = [];
  let length = 0;
  for await (const part of request) {
    length += part.length;
    if (length > LARGEST_BODY) throw new Refused(413, `the body has more than ${LARGEST_BODY} bytes`, EXIT.usage);
    parts.push(part);
  }
  const text = Buffer.concat(parts).toString('utf8');
  if (text === '') return {};
  try {
    return JSON.parse(text);
  } catch {
    throw new Refused(400, 'the body is no JSON', EXIT.usage);
  }
}

/** One line each, asked for when the reader has taken those before: what is slow to be read is not made. */
async function sendLines(response: ServerResponse, lines: AsyncIterable<unknown>, ended: AbortController) {
  let resume = () => {};
  response.on('drain', () => resume());
  response.once('close', () => {
    ended.abort();
    resume();
  });
  response.writeHead(200, { 'content-type': 'application/x-ndjson' });
  response.flushHeaders();
  let batch = '';
  const send = (): boolean => {
    const text = batch;
    batch = '';
    return text === '' || response.write(text);
  };
  try {
    for await (const line of lines) {
      if (ended.signal.aborted) return;
      // What comes in one turn goes out as one piece.
      if (batch === '') setImmediate(send);
      batch += `${JSON.stringify(line)}\n`;
      if (batch.length < BATCH_LENGTH || send()) continue;
      await new Promise<void>((resolve) => {
        resume = resolve;
      });
    }
    send();
    response.end();
  } catch (error) {
    // Its beginning is sent already: that it broke off is all that can be told.
    console.error(error);
    response.destroy();
  }
}

function refuse(response: ServerResponse, error: unknown): void {
  const { status, refusal } = refusalOf(error);
  if (response.headersSent) response.destroy();
  else sendJson(response, status, refusal);
}

function refusalOf(error: unknown): { readonly status: number; readonly refusal: Refusal } {
  if (error instanceof Refused || isGsupError(error)) {
    const { message, exitStatus, hint } = error;
    const status = error instanceof Refused ? error.status : 422;
    return { status, refusal: { error: message, exitStatus, ...(hint === undefined ? {} : { hint }) } };
  }
  // A bug: loud in daemon.log, and no reason to take everybody's daemon away.
  console.error(error);
  const hint = 'this is a bug of gsup; daemon.log in its home has the details';
  return { status: 500, refusal: { error: `internal error: ${String(error)}`, exitStatus: EXIT.failed, hint } };
}

function sendJson(response: ServerResponse, status: number, value: unknown): void {
  const body = JSON.stringify(value);
  response.writeHead(status, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) });
  response.end(body);
}
