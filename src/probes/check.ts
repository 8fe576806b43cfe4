/** One check of each kind, once: whether an instance answers. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { type ClientRequest, request as httpRequest, type IncomingMessage } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { connect, type Socket } from 'node:net';
import { connect as tlsConnect } from 'node:tls';
import { isGsupError, isShortage } from '../core/error.ts';
import type { Check } from '../core/service.ts';
import { huntConnection, type Target } from './hunt.ts';
import { limit } from './limit.ts';
import { type IsOurs, NOBODY_TOOK_IT, NOT_ASKED, OTHERS_ANSWER, takenBy, untilOursAnswers } from './ownership.ts';
import { pause } from './pause.ts';

/** The checks that ask; `log`, `message`, `notify` and `fd` are told. */
export type ActiveCheck = Extract<Check, { kind: 'http' | 'tcp' | 'exec' }>;
/** A program that a check or a hook runs gets the environment and folder of its service. */
export type Surroundings = {
  readonly cwd: string;
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Starts a program as the user of the service, with these ids in its options. Default: as the user of gsup. */
  startAs?<T>(start: (ids: { readonly uid?: number; readonly gid?: number }) => T): T;
  /** For an instance that shares its socket with others: whether it was this one that took a connection. */
  readonly isOurs?: IsOurs;
  /** Whether it waits for connections at all; `null`: that can't be told. Before it does, it is of no use to look for its answer. */
  readonly isListening?: () => boolean | null;
};

/** Before the request: a server that accepts only what has sent something (TCP_DEFER_ACCEPT) would wait for ever. */
const LOOKS_BEFORE_REQUEST = 3;
/** Nothing tells when a process begins to listen. */
const LISTENING_LOOK_MS = 30;
/** The rest of a small answer is taken, so that its server sees no broken connection; an endless one is cut. */
const BODY_MS = 100;
const BODY_BYTES = 64 * 1024;

/**
 * Resolves with `null` when it is well, with OTHERS_ANSWER when only others were met, else with the reason. Ends within
 * `timeoutMs`, or when `signal` is aborted, and leaves nothing behind.
 */
export async function checkOnce(
  check: ActiveCheck,
  { isOurs, isListening, ...place }: Surroundings,
  timeoutMs: number,
  signal: AbortSignal,
): Promise<string | null> {
  const limited = limit(timeoutMs, signal);
  try {
    switch (check.kind) {
      case 'http':
        return await untilOursAnswers(
          (over) => askHttp(check.url, { isOurs, over }, limited.signal),
          () => hunt(targetOf(check.url), { isOurs, isListening }, limited.signal),
          limited.signal,
        );
      case 'tcp':
        return await untilOursAnswers(
          (over) => askTcp(check, { isOurs, over }, limited.signal),
          () => hunt(check, { isOurs, isListening }, limited.signal),
          limited.signal,
        );
      case 'exec':
        return await runProgram(check.argv, place, limited.signal);
    }
  } catch (error) {
    if (!isShortage(error)) throw error;
    return NOT_ASKED;
  } finally {
    limited.end();
  }
}

/** Runs a program to its end: `null` for exit 0, else the reason. Aborted, it and its group are killed. */
export async function runProgram(
  argv: readonly [string, ...string[]],
  { cwd, environment, startAs }: Surroundings,
  signal: AbortSignal,
): Promise<string | null> {
  if (signal.aborted) return 'not in time';
  const [file, ...args] = argv;
  const start = (ids: { readonly uid?: number; readonly gid?: number }): ChildProcess =>
    spawn(file, args, {
      cwd,
      ...ids,
      env: environment as Record<string, string>,
      stdio: 'ignore',
      detached: true,
    });
  let subprocess: ChildProcess;
  try {
    subprocess = startAs === undefined ? start({}) : startAs(start);
  } catch (error) {
    return notExecuted(file, error);
  }
  const end = () => {
    if (subprocess.pid === undefined) return;
    try {
      process.kill(-subprocess.pid, 'SIGKILL');
    } catch {
      // It ended in the same moment.
    }
  };
  signal.addEventListener('abort', end, { once: true });
  const failure = await failureOf(subprocess, file);
  signal.removeEventListener('abort', end);
  // What it has left behind in its group would pile up, check by check.
  end();
  return signal.aborted ? 'not in time' : failure;
}

/** Why a program has not ended well, once it has ended; `null`: it has. */
function failureOf(subprocess: ChildProcess, file: string): Promise<string | null> {
  return new Promise((resolve) => {
    subprocess.on('error', (error) => resolve(notExecuted(file, error)));
    subprocess.once('exit', (code, signal) => {
      if (code === 0) resolve(null);
      else resolve(code === null ? `killed by ${signal}` : `exit ${code}`);
    });
  });
}

function notExecuted(file: string, error: unknown): string {
  if (isShortage(error)) return NOT_ASKED;
  // For example because the user has been deleted.
  if (isGsupError(error)) return `cannot execute ${file}: ${error.message}`;
  return `cannot execute ${file}: ${(error as NodeJS.ErrnoException).code ?? 'unknown'}`;
}

type Asked = {
  readonly isOurs: IsOurs | undefined;
  /** A connection that ours has taken; `null`: a new one. */
  readonly over: Socket | null;
};

type Who = { readonly isOurs: IsOurs | undefined; readonly isListening: (() => boolean | null) | undefined };

/** Who has given up, or found nobody, is told as a reason by the try before. */
async function hunt(
  target: Target,
  { isOurs, isListening }: Who,
  signal: AbortSignal,
): Promise<Socket | 'others' | 'nobody'> {
  if (isOurs === undefined) return 'others';
  while (isListening?.() === false && !signal.aborted) await pause(LISTENING_LOOK_MS, signal);
  try {
    return await huntConnection(target, isOurs, signal);
  } catch {
    return 'others';
  }
}

function targetOf(url: string): Target {
  const { hostname, port, protocol } = new URL(url);
  const usual = protocol === 'https:' ? 443 : 80;
  return { host: hostname.replace(/^\[|\]$/g, ''), port: port === '' ? usual : Number(port) };
}

async function askHttp(url: string, { isOurs, over }: Asked, signal: AbortSignal): Promise<string | null> {
  const request = requestOf(url, isOurs !== undefined, over);
  const answered: Promise<IncomingMessage[]> = once(request, 'response', { signal });
  // Both may be told after the last one who listens has gone.
  answered.catch(() => {});
  request.on('error', () => {});
  let ours: boolean | null | undefined;
  try {
    ours = over !== null || isOurs === undefined || (await takenBeforehand(request, isOurs, signal));
    if (ours === false) return OTHERS_ANSWER;
    request.end();
    const [response] = await answered;
    ours ??= isOf(request.socket, isOurs);
    if (ours !== true || response === undefined) return OTHERS_ANSWER;
    await restOf(response, signal);
    const status = response.statusCode ?? 0;
    return status >= 200 && status < 400 ? null : `HTTP ${status}`;
  } catch (error) {
    // Ours, or refused: then nobody listens, ours neither.
    if (ours === true || (ours === undefined && !signal.aborted)) return reasonOf(error);
    const atLast = isOf(request.socket, isOurs);
    if (atLast === true) return reasonOf(error);
    // What was broken off was in somebody's hands; what still hangs and is nobody's hangs for ours too.
    return atLast === null && signal.aborted ? NOBODY_TOOK_IT : OTHERS_ANSWER;
  } finally {
    request.destroy();
  }
}

function requestOf(url: string, isKept: boolean, over: Socket | null): ClientRequest {
  // A connection that its server closes behind the answer could not be looked at any more.
  const headers = { 'user-agent': 'gsup', ...(isKept ? { connection: 'keep-alive' } : {}) };
  // Like a kubelet: whether it answers is asked, not who it is.
  const rejectUnauthorized = false;
  if (!url.startsWith('https:')) {
    return over === null
      ? httpRequest(url, { agent: false, headers })
      : httpRequest(url, { headers, createConnection: () => over });
  }
  return over === null
    ? httpsRequest(url, { agent: false, headers, rejectUnauthorized })
    : httpsRequest(url, { headers, createConnection: () => tlsConnect({ socket: over, rejectUnauthorized }) });
}

/** Nothing is sent yet: most servers accept first, and what another took needs no request. */
async function takenBeforehand(request: ClientRequest, isOurs: IsOurs, signal: AbortSignal): Promise<boolean | null> {
  const [socket]: Socket[] = await once(request, 'socket', { signal });
  if (socket?.connecting) await once(socket, 'connect', { signal });
  return socket === undefined ? null : takenBy(socket, isOurs, { looks: LOOKS_BEFORE_REQUEST, signal });
}

function isOf(socket: Socket | null, isOurs: IsOurs | undefined): boolean | null {
  const isOpen = socket !== null && !socket.connecting && !socket.destroyed;
  return isOpen && isOurs !== undefined ? isOurs(socket) : null;
}

async function restOf(response: IncomingMessage, signal: AbortSignal): Promise<void> {
  const rest = limit(BODY_MS, signal);
  const ended = new Promise((resolve) => {
    response.once('end', resolve).once('close', resolve);
    rest.signal.addEventListener('abort', resolve, { once: true });
  });
  let bytes = 0;
  response.on('error', () => {});
  response.on('data', (chunk: Buffer) => {
    bytes += chunk.length;
    if (bytes > BODY_BYTES) response.destroy();
  });
  await ended;
  rest.end();
}

async function askTcp({ host, port }: Target, { isOurs, over }: Asked, signal: AbortSignal): Promise<string | null> {
  if (over !== null) {
    over.destroy();
    return null;
  }
  const socket = connect({ host, port });
  socket.on('error', () => {});
  try {
    await once(socket, 'connect', { signal });
    if (isOurs === undefined) return null;
    const ours = await takenBy(socket, isOurs, { looks: Number.POSITIVE_INFINITY, signal });
    if (ours !== null) return ours ? null : OTHERS_ANSWER;
    // Somebody took it and closed it before it could be seen who.
    return socket.destroyed ? OTHERS_ANSWER : NOBODY_TOOK_IT;
  } catch (error) {
    return isOurs !== undefined && signal.aborted ? NOBODY_TOOK_IT : reasonOf(error);
  } finally {
    socket.destroy();
  }
}

function reasonOf(error: unknown): string {
  if (isShortage(error)) return NOT_ASKED;
  const { name, code, message } = error as NodeJS.ErrnoException;
  return name === 'AbortError' ? 'no answer in time' : (code ?? message);
}
