/** The typed client of the control socket: a function for each route of the table. */
import { formatDuration } from '../core/duration.ts';
import { EXIT, GsupError, isGsupError } from '../core/error.ts';
import { ANSWER_WAIT_MS, type Call, exchange } from './exchange.ts';
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
  /** Does it; once more after somebody was started, where nobody was there. */
  const attempt = async <T>(work: () => Promise<T>): Promise<T> => {
    try {
      return await work();
    } catch (error) {
      if (!isNobodyThere(error)) throw error;
      if (start === undefined) throw wentAway(error);
    }
    await start();
    return await work().catch((error) => {
      throw isNobodyThere(error) ? wentAway(error) : error;
    });
  };
  const entries = Object.keys(ROUTES).map((name) => {
    const key = name as RouteName;
    const send = ROUTES[key].isStream
      ? async function* (input: Record<string, unknown>, signal?: AbortSignal) {
          yield* await attempt(() => openLines(home, callOf(key, input, signal), onVersion));
        }
      : (input: Record<string, unknown>, signal?: AbortSignal) =>
          attempt(() => askOnce(home, callOf(key, input, signal), onVersion));
    return [key, send];
  });
  return Object.fromEntries(entries) as Client;
}

/** Whether a failed call means that no daemon is there. */
export function isNobodyThere(error: unknown): boolean {
  const first = isGsupError(error) ? error.cause : error;
  const code = first instanceof Error && 'code' in first ? first.code : undefined;
  return code === 'ENOENT' || code === 'ECONNREFUSED';
}

export const STUCK_HINT =
  'it may be stopped or very busy; end it with kill -9: services run on, and the next command starts a new one';

/** For a daemon that is there and says nothing. */
export function notAnswering(waitedMs: number): GsupError {
  const text = `the daemon does not answer within ${formatDuration(waitedMs)}`;
  return new GsupError(text, { exitStatus: EXIT.timedOut, hint: STUCK_HINT });
}

type OnVersion = (version: string) => void;
type Unaddressed = Omit<Call, 'socket'>;

function callOf(name: RouteName, input: Record<string, unknown>, signal: AbortSignal | undefined): Unaddressed {
  const { method, path } = ROUTES[name];
  const filled = path.replace(/:(\w+)/g, (_, key: string) => encodeURIComponent(String(input[key])));
  const body = method === 'POST' ? JSON.stringify(input) : null;
  const type: Record<string, string> = body === null ? {} : { 'content-type': 'application/json' };
  const headers = { host: 'gsup', 'gsup-protocol': String(PROTOCOL), ...type };
  return { method, target: `${filled}${method === 'GET' ? queryOf(input) : ''}`, headers, body, signal };
}

async function askOnce(home: Home, call: Unaddressed, onVersion: OnVersion): Promise<unknown> {
  const { path: socket, release } = socketPath(home.socket, home.folder);
  const { status, version, text } = await exchange({ ...call, socket })
    .catch(rethrown)
    .finally(release);
  if (version !== undefined) onVersion(version);
  if (status !== 200) throw refusalOf(text, status);
  return JSON.parse(text);
}

/** Refused at once, or the lines as they come. */
async function openLines(home: Home, call: Unaddressed, onVersion: OnVersion): Promise<AsyncGenerator> {
  const { begin, linesOf, textOf } = await import('./streamed.ts');
  const { path: socket, release } = socketPath(home.socket, home.folder);
  const response = await begin({ ...call, socket })
    .catch(rethrown)
    .finally(release);
  const version = response.headers['gsup-version'];
  if (typeof version === 'string') onVersion(version);
  if (response.statusCode !== 200) throw refusalOf(await textOf(response).catch(rethrown), response.statusCode ?? 0);
  return told(linesOf(response));
}

async function* told(lines: AsyncGenerator): AsyncGenerator {
  try {
    yield* lines;
  } catch (error) {
    throw lostOr(error);
  }
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

/** A connection that broke is told as what it means. */
function lostOr(error: unknown): unknown {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  if (code === 'ETIMEDOUT') return notAnswering(ANSWER_WAIT_MS);
  return code === 'ECONNRESET' || code === 'EPIPE' ? wentAway(error) : error;
}

function rethrown(error: unknown): never {
  throw lostOr(error);
}

function wentAway(cause: unknown): GsupError {
  const hint = 'the next command starts a new one; its daemon.log may say why';
  return new GsupError('the daemon went away', { exitStatus: EXIT.failed, hint, cause });
}
