/** The way to the daemon of the home: it is started when none answers and one is needed. */
import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, existsSync, openSync, readFileSync, statSync, unlinkSync } from 'node:fs';
import type { Duplex } from 'node:stream';
import { type Client, createClient, isNobodyThere } from '../api/client.ts';
import { checkHome, type Home, homeOf, prepareHome } from '../api/home.ts';
import type { PingReply } from '../api/types.ts';
import { formatDuration } from '../core/duration.ts';
import { EXIT, GsupError } from '../core/error.ts';
import { toStderr } from './print.ts';
import { VERSION } from './version.ts';

/** For a daemon that is there to say so. */
const PING_WAIT_MS = 5_000;
/** From its spawn until it answers. */
const START_WAIT_MS = 20_000;
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

/** A client that starts a daemon when its first call, or a later one, finds none. */
export function connect(): Connection {
  const home = homeOf(process.env);
  checkHome(home);
  return { client: clientOf(home, () => startDaemon(home)), home };
}

/** A client of the daemon that runs, or `null` when none does: nothing is started. */
export async function connectIfRunning(): Promise<Connection | null> {
  const home = homeOf(process.env);
  if (!checkHome(home)) return null;
  const client = clientOf(home);
  return (await pingOnce(client)) === null ? null : { client, home };
}

/** Its answer, or `null` when no daemon is there. @throws {GsupError} 124 when there is one that does not answer. */
export async function pingOnce(client: Client): Promise<PingReply | null> {
  try {
    return await client.ping({}, AbortSignal.timeout(PING_WAIT_MS));
  } catch (error) {
    if (isNobodyThere(error)) return null;
    if (!(error instanceof Error) || (error.name !== 'AbortError' && error.name !== 'TimeoutError')) throw error;
    throw new GsupError(`the daemon does not answer within ${formatDuration(PING_WAIT_MS)}`, {
      exitStatus: EXIT.timedOut,
      hint: 'it may be stopped or very busy; end it with kill -9: services run on, and the next command starts a new one',
      cause: error,
    });
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

/** Starts a daemon in the background and resolves when it, or another one that was faster, answers. */
export async function startDaemon(home: Home): Promise<void> {
  const loaded = expected?.home.folder === home.folder ? expected.launched : null;
  expected = null;
  const { child, logFrom } = loaded !== null && isRunning(loaded.child) ? loaded : launch(home);
  const said = await new Promise<string>((resolve) => {
    let text = '';
    const pipe = child.stdio[3] as Duplex | undefined;
    const timer = setTimeout(() => resolve(text), START_WAIT_MS);
    const end = (): void => {
      clearTimeout(timer);
      resolve(text);
    };
    child.once('error', end);
    pipe?.on('error', end);
    pipe?.on('data', (chunk: Buffer) => {
      text += chunk;
      if (text.includes('\n')) end();
    });
    pipe?.once('close', end);
    pipe?.write('begin\n');
  });
  child.unref();
  for (const stream of child.stdio) stream?.destroy();
  if (said.startsWith('ready')) return;
  const written = readFileSync(home.daemonLog).subarray(logFrom).toString().trim();
  throw new GsupError(`the daemon could not be started${written === '' ? '' : `:\n${written}`}`, {
    exitStatus: EXIT.failed,
    hint:
      written === ''
        ? `look into ${home.daemonLog}, or run it here: gsup daemon`
        : '"gsup doctor" looks at what it needs',
  });
}

/** A daemon that waits for the word, on the pipe on which it then says that it is ready. */
function launch(home: Home): Launched {
  prepareHome(home);
  trimLog(home.daemonLog);
  const log = openSync(home.daemonLog, 'a', 0o600);
  const environment = Object.fromEntries(
    OF_THE_DAEMON.flatMap((name) => (process.env[name] === undefined ? [] : [[name, process.env[name]]])),
  );
  const [script = ''] = process.argv.slice(1);
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
    return { child, logFrom: statSync(home.daemonLog).size };
  } finally {
    closeSync(log);
  }
}

function isRunning({ pid, exitCode, signalCode }: ChildProcess): boolean {
  return pid !== undefined && exitCode === null && signalCode === null;
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
