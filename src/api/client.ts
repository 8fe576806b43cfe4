/** The typed client of the control socket, on node:http: a function for each route of the table. */
import { type ClientRequest, type IncomingMessage, request } from 'node:http';
import { EXIT, GsupError, isGsupError } from '../core/error.ts';
import { type Home, socketPath } from './home.ts';
import type { CallOf } from './inputs.ts';
import { PROTOCOL, type ReplyOf, ROUTES, type RouteName, type Routes } from './routes.ts';
import type { Refusal } from './types.ts';

export type Client = {
  readonly [K in RouteName]: (
    input: CallOf<K>,
    signal?: AbortSignal,
  ) => Routes[K]['isStream'] extends true ? AsyncGenerator<ReplyOf<K>> : Promise<ReplyOf<K>>;
};

export type ClientOptions = {
  /** Told the version of the daemon with each answer. */
  readonly onVersion?: (version: string) => void;
  /** Called when nobody is there; then the call is tried once more. Default: it fails. */
  readonly start?: () => Promise<void>;
};

export function createClient(home: Home, { onVersion = () => {}, start }: ClientOptions = {}): Client {
  const entries = Object.keys(ROUTES).map((name) => {
    const key = name as RouteName;
    const { isStream } = ROUTES[key];
    const sendOnce = (input: Record<string, unknown>, signal?: AbortSignal) =>
      sendCall(home, key, input, onVersion, signal);
    const send = async (input: Record<string, unknown>, signal?: AbortSignal) => {
      try {
        return await sendOnce(input, signal);
      } catch (error) {
        if (!isNobodyThere(error)) throw error;
        if (start === undefined) throw wentAway(error);
      }
      await start();
      return await sendOnce(input, signal).catch((error) => {
        throw isNobodyThere(error) ? wentAway(error) : error;
      });
    };
    return [
      key,
      isStream
        ? async function* (input: Record<string, unknown>, signal?: AbortSignal) {
            yield* linesOf(await send(input, signal));
          }
        : async (input: Record<string, unknown>, signal?: AbortSignal) =>
            JSON.parse(await textOf(await send(input, signal))),
    ];
  });
  return Object.fromEntries(entries) as Client;
}

/** Whether a failed call means that no daemon is there. */
export function isNobodyThere(error: unknown): boolean {
  const first = isGsupError(error) ? error.cause : error;
  const code = first instanceof Error && 'code' in first ? first.code : undefined;
  return code === 'ENOENT' || code === 'ECONNREFUSED';
}

async function sendCall(
  home: Home,
  name: RouteName,
  input: Record<string, unknown>,
  onVersion: (version: string) => void,
  signal?: AbortSignal,
): Promise<IncomingMessage> {
  const { method, path } = ROUTES[name];
  const filled = path.replace(/:(\w+)/g, (_, key: string) => encodeURIComponent(String(input[key])));
  const query = method === 'GET' ? queryOf(input) : '';
  const body = method === 'POST' ? JSON.stringify(input) : null;
  const { path: socket, release } = socketPath(home.socket, home.folder);
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    const call: ClientRequest = request(
      {
        socketPath: socket,
        method,
        path: `${filled}${query}`,
        // The reader of a stream may be slow; nobody else waits for the socket.
        agent: false,
        headers: {
          host: 'gsup',
          'gsup-protocol': String(PROTOCOL),
          ...(body === null ? {} : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) }),
        },
        ...(signal === undefined ? {} : { signal }),
      },
      resolve,
    );
    call.on('error', (error) => reject(lostOr(error)));
    call.end(body ?? undefined);
  }).finally(release);
  const version = response.headers['gsup-version'];
  if (typeof version === 'string') onVersion(version);
  if (response.statusCode === 200) return response;
  throw refusalOf(await textOf(response), response.statusCode ?? 0);
}

function queryOf(input: Record<string, unknown>): string {
  const pairs = Object.entries(input).flatMap(([key, value]): [string, string][] =>
    value === undefined ? [] : [[key, Array.isArray(value) ? value.join(',') : String(value)]],
  );
  return pairs.length === 0 ? '' : `?${new URLSearchParams(pairs)}`;
}

function refusalOf(text: string, status: number): GsupError {
  let refusal: Partial<Refusal>;
  try {
    refusal = JSON.parse(text);
  } catch {
    refusal = {};
  }
  const { error = `the daemon answered with HTTP ${status}`, exitStatus = EXIT.failed, hint } = refusal;
  return new GsupError(error, { exitStatus, ...(hint === undefined ? {} : { hint }) });
}

async function textOf(response: IncomingMessage): Promise<string> {
  response.setEncoding('utf8');
  let text = '';
  try {
    for await (const part of response) text += part;
  } catch (error) {
    throw lostOr(error);
  }
  return text;
}

/** A connection that broke is told as what it means. */
function lostOr(error: unknown): unknown {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  return code === 'ECONNRESET' || code === 'EPIPE' ? wentAway(error) : error;
}

function wentAway(cause: unknown): GsupError {
  const hint = 'the next command starts a new one; its daemon.log may say why';
  return new GsupError('the daemon went away', { exitStatus: EXIT.failed, hint, cause });
}

async function* linesOf(response: IncomingMessage): AsyncGenerator {
  response.setEncoding('utf8');
  let rest = '';
  try {
    for await (const part of response) {
      const lines = (rest + part).split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) if (line !== '') yield JSON.parse(line);
    }
  } catch (error) {
    throw lostOr(error);
  }
}
