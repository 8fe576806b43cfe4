/** The way to the daemon of the home: it is started when none answers and one is needed. */
import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, constants, existsSync, fstatSync, openSync, readFileSync, statSync, unlinkSync } from 'node:fs';
import type { Duplex } from 'node:stream';
import { type Client, createClient, isNobodyThere, notAnswering } from '../api/client.ts';
import { checkHome, type Home, homeOf, prepareHome } from '../api/home.ts';
import { systemReason } from '../api/system-error.ts';
import type { PingReply } from '../api/types.ts';
import { formatDuration } from '../core/duration.ts';
import { EXIT, GsupError } from '../core/error.ts';
import { toStderr } from './print.ts';
import { BEGIN, type Said, STARTER_FD, saidIn } from './starter.ts';
import { VERSION } from './version.ts';

/** For a daemon that is there to say so. */
const PING_WAIT_MS = 5_000;
/** From its spawn until it answers. */
const START_WAIT_MS = 20_000;
/** Of a log that is shown. */
const SHOWN_LINES = 5;
const LONGEST_LINE = 300;
/** What of the caller's environment a daemon needs for itself; services have their own. */
const OF_THE_DAEMON = [
  'PATH',
  'HOME',
  'USER',
  'LOGNAME',
  'LANG',
  'LC_ALL',
  'TZ',
  'TMPDIR',
  'XDG_RUNTIME_DIR',
  'GSUP_LOG',
];

/** It lives long and does little: a small young generation costs it no time that anybody sees. */
const FRUGAL = ['--max-semi-space-size=1', '--v8-pool-size=0', '--no-memory-reducer', '--expose-gc'];

export type Connection = { readonly client: Client; readonly home: Home };
/** `reply`: to its first ping. */
export type Running = Connection & { readonly reply: PingReply };

/** A client that starts a daemon when its first call, or a later one, finds none. */
export function connect(): Connection {
  const home = homeOf(process.env);
  checkHome(home);
  return { client: clientOf(home, () => startDaemon(home)), home };
}

/** A client of the daemon that runs, or `null` when none does: nothing is started. */
export async function connectIfRunning(): Promise<Running | null> {
  const home = homeOf(process.env);
  if (!checkHome(home)) return null;
  const client = clientOf(home);
  const reply = await pingOnce(client);
  return reply === null ? null : { client, home, reply };
}

/** Its answer, or `null` when no daemon is there. @throws {GsupError} 124 when there is one that does not answer. */
export async function pingOnce(client: Client): Promise<PingReply | null> {
  try {
    return await client.ping({}, AbortSignal.timeout(PING_WAIT_MS));
  } catch (error) {
    if (isNobodyThere(error)) return null;
    if (!(error instanceof Error) || (error.name !== 'AbortError' && error.name !== 'TimeoutError')) throw error;
    throw notAnswering(PING_WAIT_MS);
  }
}

/** A process that has been made for a daemon, and where its part of the log begins. */
type Launched = { readonly child: ChildProcess; readonly logFrom: number };

let expected: { readonly home: Home; readonly launched: Launched } | null = null;

/**
 * Where no daemon seems to be, one is loaded while this command reads its file. It does nothing before `startDaemon`
 * gives it the word, and without it ends with us.
 */
export function expectDaemon(): void {
  const home = homeOf(process.env);
  if (existsSync(home.socket)) return;
  try {
    expected = { home, launched: launch(home) };
    process.once('exit', () => expected?.launched.child.kill('SIGKILL'));
  } catch {
    // Told when it is wanted.
  }
}

/** Starts a daemon in the background and resolves when it, or another one that was faster, answers. @throws {GsupError} */
export async function startDaemon(home: Home): Promise<void> {
  const loaded = expected?.home.folder === home.folder ? expected.launched : null;
  expected = null;
  const launched = loaded !== null && isRunning(loaded.child) ? loaded : launch(home);
  const { child } = launched;
  const { said, isLate, failure } = await answerOf(child);
  const isReady = said !== null && said.refusal === null;
  // SIGTERM would stop the services that it has taken over.
  if (!isReady) child.kill('SIGKILL');
  child.unref();
  for (const stream of child.stdio) stream?.destroy();
  if (isReady) return;
  const late = `it has not answered within ${formatDuration(START_WAIT_MS)}`;
  const why = said?.refusal?.error ?? (isLate ? late : (failure ?? endOf(child)));
  const written = said === null ? writtenBy(home, launched) : '';
  throw new GsupError(`the daemon could not be started: ${why}${written === '' ? '' : `\n${written}`}`, {
    exitStatus: said?.refusal?.exitStatus ?? (isLate ? EXIT.timedOut : EXIT.failed),
    hint:
      said?.refusal?.hint ??
      `look into ${home.daemonLog}; "gsup doctor" checks what it needs, "gsup daemon" runs it here`,
  });
}

type Answer = {
  /** `null`: no whole line. */
  readonly said: Said | null;
  readonly isLate: boolean;
  /** Why it could not be spawned. */
  readonly failure: string | null;
};

/** Tells a daemon to begin, and waits for its first line, its end or the time limit. */
function answerOf(child: ChildProcess): Promise<Answer> {
  return new Promise((resolve) => {
    let text = '';
    const end = (rest: Partial<Answer> = {}): void => {
      clearTimeout(timer);
      resolve({ said: saidIn(text), isLate: false, failure: null, ...rest });
    };
    const timer = setTimeout(() => end({ isLate: true }), START_WAIT_MS);
    child.once('error', ({ message }) => end({ failure: message }));
    const pipe = child.stdio[STARTER_FD] as Duplex | undefined;
    pipe?.on('error', () => {});
    pipe?.on('data', (chunk: Buffer) => {
      text += chunk;
      if (text.includes('\n')) end();
    });
    // The exit status is known only then, and the pipe has been read to its end.
    child.once('close', () => end());
    pipe?.write(BEGIN);
  });
}

function endOf({ exitCode, signalCode }: ChildProcess): string {
  return signalCode === null ? `it ended with exit status ${exitCode}` : `it was killed by ${signalCode}`;
}

/** The last lines of its log, for a terminal: no stack, no source text. */
function writtenBy({ daemonLog }: Home, { logFrom }: Launched): string {
  try {
    const text = readFileSync(daemonLog).subarray(logFrom).toString();
    const lines = text
      .split('\n')
      .filter((line) => line.trim() !== '' && line.length <= LONGEST_LINE && !/^\s+at /.test(line));
    return lines
      .slice(-SHOWN_LINES)
      .map((line) => `  ${line.replace(/\p{Cc}/gu, ' ')}`)
      .join('\n');
  } catch {
    return '';
  }
}

/** A daemon that waits for the word, on the pipe on which it then says that it is ready. */
function launch(home: Home): Launched {
  prepareHome(home);
  const log = openLog(home.daemonLog);
  const environment = Object.fromEntries(
    OF_THE_DAEMON.flatMap((name) => (process.env[name] === undefined ? [] : [[name, process.env[name]]])),
  );
  const [script = ''] = process.argv.slice(1);
  const logFrom = fstatSync(log).size;
  try {
    const child = spawn(process.execPath, [...FRUGAL, script, 'daemon', '--background'], {
      cwd: '/',
      // One arena of malloc is enough for one thread that works.
      env: { ...environment, GSUP_HOME: home.folder, MALLOC_ARENA_MAX: '1' },
      detached: true,
      stdio: ['ignore', log, log, 'pipe'],
    });
    // Who wants it sees that it is not there.
    child.on('error', () => {});
    return { child, logFrom };
  } finally {
    closeSync(log);
  }
}

function isRunning({ pid, exitCode, signalCode }: ChildProcess): boolean {
  return pid !== undefined && exitCode === null && signalCode === null;
}

/** @throws {GsupError} */
function openLog(file: string): number {
  try {
    trimLog(file);
    // A FIFO in its place would block until somebody reads it.
    return openSync(file, constants.O_WRONLY | constants.O_APPEND | constants.O_CREAT | constants.O_NONBLOCK, 0o600);
  } catch (cause) {
    const hint = `move it away: mv ${file} ${file}.old`;
    throw new GsupError(`cannot open the daemon's log ${file}: ${systemReason(cause as NodeJS.ErrnoException)}`, {
      exitStatus: EXIT.failed,
      hint,
      cause,
    });
  }
}

/** It is only for crashes and failed starts, and never grows for long. */
function trimLog(file: string): void {
  if ((statSync(file, { throwIfNoEntry: false })?.size ?? 0) > 1_000_000) unlinkSync(file);
}

function clientOf(home: Home, start?: () => Promise<void>): Client {
  let isTold = false;
  const onVersion = (version: string): void => {
    if (isTold || version === VERSION || version === '') return;
    isTold = true;
    toStderr(
      `gsup: the daemon is version ${version}, this command ${VERSION}; "gsup update" replaces it and leaves the services running\n`,
    );
  };
  return createClient(home, { onVersion, ...(start === undefined ? {} : { start }) });
}
