/** `gsup daemon`: takes the lock of its home, opens the control socket, and lasts until it is told to end. */
import { chmodSync, rmSync } from 'node:fs';
import type { Server } from 'node:http';
import { connect } from 'node:net';
import { createClient } from '../api/client.ts';
import { type Home, prepareHome, socketPath } from '../api/home.ts';
import { unsafePart } from '../api/safe-folder.ts';
import { createApiServer } from '../api/server.ts';
import { stopBudget } from '../core/budget.ts';
import { formatDuration } from '../core/duration.ts';
import { EXIT, GsupError, isGsupError } from '../core/error.ts';
import type { PhaseRecord } from '../core/record.ts';
import type { SupervisorSpec } from '../core/service.ts';
import { closeInherited } from '../host/inherited-descriptors.ts';
import { loadNative } from '../host/native.ts';
import { activationOf } from '../supervisor/activation.ts';
import { followState } from '../supervisor/automation.ts';
import { outerLimitOf } from '../supervisor/outer-limit.ts';
import { reapOrphans } from '../supervisor/reaping.ts';
import { surviveShortage } from '../supervisor/shortage.ts';
import { budgetText, budgetWarnings } from '../view/budget.ts';
import { Daemon } from './daemon.ts';
import { apply, handlersOf } from './handlers.ts';
import { findHolder, type Lock, takeLock } from './lock.ts';
import { Rest } from './rest.ts';
import { captureSignals } from './signals.ts';

/** A reply that is on its way holds up the end for so long at most. */
const CLOSE_WAIT_MS = 1_000;
/** For the daemon that runs already to end without its services. */
const RETIRE_WAIT_MS = 30_000;

export type DaemonMainOptions = {
  readonly home: Home;
  readonly version: string;
  /** In the background: a second daemon of the same home is no error, but the sign that all is well. */
  readonly isBackground: boolean;
  readonly onRecord: (record: PhaseRecord, at: number) => void;
  /** The services of a file, read when it begins and at SIGHUP. @throws {GsupError} 78 for its problems. */
  readonly readFile: (file: string) => Promise<SupervisorSpec>;
  readonly file: string | null;
  readonly environment: Readonly<Record<string, string>>;
  /** Told once it answers. */
  readonly onReady: () => void;
  /** Told each time it is about to give back memory, for nothing has happened for a moment. */
  readonly onRest: () => void;
};

/** Loads what a daemon needs first; nothing of it is seen from outside. */
export async function prepareDaemon(): Promise<void> {
  await Promise.all([loadNative(), import('../host/handover.ts')]);
}

/** Resolves with the exit status. */
export async function runDaemon(options: DaemonMainOptions): Promise<number> {
  const { home, version, isBackground, file, onReady, onRecord } = options;
  // The shell that started the first command may have left descriptors open.
  closeInherited();
  // A file with mistakes is told before anything begins.
  const { sockets, claim } = activationOf(process.env);
  const spec = file === null ? null : await options.readFile(file);
  prepareHome(home);
  const lock = (await takeLock(home)) ?? (isManaged() ? await takeOver(home) : null);
  if (lock === null) {
    if (!isBackground) {
      const hint = '"gsup ping" asks it, "gsup kill" ends it with its services, "gsup update" replaces it';
      throw new GsupError(`a daemon runs already for ${home.folder}`, { exitStatus: EXIT.failed, hint });
    }
    onReady();
    return EXIT.done;
  }
  await refuseUnlocked(home);
  const daemon = await Daemon.open({ home, version, onRecord, handedIn: sockets });
  const openPart = unsafePart(home.folder);
  if (openPart !== null) daemon.notice(`the home can be replaced by users who may change ${openPart}`, 'warn');
  const readClaimed = async (read: () => Promise<SupervisorSpec>) =>
    claim(await read(), (text) => daemon.notice(text, 'warn'));
  const endSurvival = surviveShortage((text) => daemon.notice(text, 'error'));
  let finish: (status: number) => void = () => {};
  const ended = new Promise<number>((resolve) => {
    finish = resolve;
  });
  const server = createApiServer(handlersOf(daemon, version, { end: finish, isManaged: isManaged() }), version);
  await listen(server, home);
  const automation = followState({
    state: () => daemon.supervisor.state,
    dispatch: (event) => daemon.supervisor.dispatch(event),
    tell: ({ reason = '', service }) =>
      daemon.notice(reason, 'warn', service === undefined ? undefined : { service, index: 0 }),
  });
  const rest = new Rest({ before: options.onRest, warm: () => createClient(home).list({ usage: 'true' }) });
  server.on('request', () => rest.disturb());
  daemon.onChange(() => {
    automation.update();
    rest.disturb();
  });
  let hasBegun = file === null;
  const reporter = await reporterOf(daemon, () => hasBegun);
  // Else what has lost its parent goes to who is PID 1, as it does when there is no daemon.
  const reaper = process.pid === 1 ? reapOrphans(daemon.supervisor, (text) => daemon.notice(text, 'warn')) : null;
  const release = captureSignals({
    stop: (signal) => void daemon.shutdown(signal, signal, false),
    force: () => daemon.force('second SIGINT: no more grace'),
    reload: () => {
      reporter?.reloading();
      void reload(daemon, (path) => readClaimed(() => options.readFile(path))).finally(() => reporter?.reloaded());
    },
    reopen: () => void daemon.reopenLogs(),
  });
  // By signal, by a critical service, by hand: when everything is down, it ends.
  void daemon.supervisor.ended.then(({ verdict, services }) => {
    const hasFailed = Object.values(services).some(
      ({ spec, instances }) => spec.critical && instances.some(({ name }) => name === 'failed'),
    );
    setImmediate(() => finish(verdict === 'clean' && !hasFailed ? EXIT.done : EXIT.failed));
  });
  if (spec === null) void daemon.http.resume();
  lock.ready();
  onReady();
  rest.disturb();
  if (file !== null && spec !== null)
    await applyFile(daemon, file, () => readClaimed(async () => spec), options.environment);
  hasBegun = true;
  reporter?.changed();
  void tellBudget(daemon);
  const status = await ended;
  lock.ending();
  await closeServer(server);
  await Promise.all([daemon.close(), reporter?.close()]);
  rmSync(home.socket, { force: true });
  await daemon.http.close();
  lock.release();
  release();
  reaper?.close();
  automation.close();
  rest.close();
  endSurvival();
  return status;
}

async function listen(server: Server, home: Home): Promise<void> {
  rmSync(home.socket, { force: true });
  const { path, release } = socketPath(home.socket, home.folder);
  const before = process.umask(0o177);
  await new Promise<void>((resolve, reject) => {
    // Later ones are failed accepts: the next connection is tried again.
    server.on('error', reject);
    server.listen(path, resolve);
    // The socket is bound when listen returns.
    process.umask(before);
  });
  chmodSync(home.socket, 0o600);
  release();
}

/** Replies that are under way are sent; streams without end are cut. */
function closeServer(server: Server): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => server.closeAllConnections(), CLOSE_WAIT_MS);
    server.close(() => {
      clearTimeout(timer);
      resolve();
    });
    server.closeIdleConnections();
  });
}

/** How the stop of everything stands to the limit around it, where there is one. */
async function tellBudget(daemon: Daemon): Promise<void> {
  const outer = await outerLimitOf(process.env);
  if (outer === null) return;
  const { services, shutdownTimeoutMs } = daemon.supervisor.state;
  const budget = stopBudget({ services: Object.values(services).map(({ spec }) => spec), shutdownTimeoutMs });
  daemon.notice(`stop budget: ${budgetText(budget, outer)}`, 'info');
  for (const warning of budgetWarnings(budget, outer)) daemon.notice(warning, 'warn');
}

/** Makes a daemon that a command started while systemd's was down let go of its services, and takes its place. */
async function takeOver(home: Home): Promise<Lock | null> {
  const client = createClient(home);
  const { managed, pid } = await client.ping({});
  if (managed) return null;
  const holder = await findHolder(home);
  await client.retire({});
  const isGone = holder === null || (await holder.gone(RETIRE_WAIT_MS));
  holder?.release();
  if (isGone) return takeLock(home);
  throw new GsupError(`the daemon that runs (pid ${pid}) has not ended within ${formatDuration(RETIRE_WAIT_MS)}`, {
    exitStatus: EXIT.timedOut,
    hint: `end it: kill -9 ${pid}; services run on`,
  });
}

/** @throws {GsupError} when a daemon answers that has not this lock: one of another version, or its lock was removed. */
async function refuseUnlocked(home: Home): Promise<void> {
  const { path, release } = socketPath(home.socket, home.folder);
  const isAnswered = await new Promise<boolean>((resolve) => {
    const socket = connect(path);
    const end = (result: boolean) => () => {
      socket.destroy();
      resolve(result);
    };
    socket.once('connect', end(true));
    // EAGAIN: it is there, and its queue is full.
    socket.once('error', ({ code }: NodeJS.ErrnoException) => end(code === 'EAGAIN')());
  }).finally(release);
  if (!isAnswered) return;
  throw new GsupError(`a daemon runs already for ${home.folder}, without its lock`, {
    exitStatus: EXIT.failed,
    hint: '"gsup ping" shows its pid; end it with kill -9: services run on, and the next command starts a new one',
  });
}

/** Whether systemd started it as a unit of its own, and starts the next one. */
function isManaged(): boolean {
  return Boolean(process.env['NOTIFY_SOCKET']);
}

/** Systemd around us, or `null`; loaded only then. */
async function reporterOf(daemon: Daemon, hasBegun: () => boolean) {
  const environment = process.env;
  if (!isManaged()) return null;
  const { openReporter } = await import('../supervisor/reporter.ts');
  const onProblem = (reason: string) => daemon.notice(reason, 'warn');
  const state = () => daemon.supervisor.state;
  // Other services are up: one that does not get ready must not take them down with it.
  const reporter = await openReporter({ environment, state, hasBegun, isPatient: false, onProblem });
  if (reporter !== null) daemon.onChange(() => reporter.changed());
  return reporter;
}

/** SIGHUP: the services become as the file says now. */
async function reload(daemon: Daemon, readFile: DaemonMainOptions['readFile']): Promise<void> {
  const { file } = daemon;
  if (file === null) {
    daemon.notice('SIGHUP: there is no file to be read again; "gsup apply -c FILE" names one', 'warn');
    return;
  }
  daemon.notice(`reads ${file} again`, 'info');
  // No command asks for it: each service keeps its own environment.
  await applyFile(daemon, file, () => readFile(file), null);
}

/** A problem changes nothing and is told. */
async function applyFile(
  daemon: Daemon,
  file: string,
  read: () => Promise<SupervisorSpec>,
  environment: DaemonMainOptions['environment'] | null,
): Promise<void> {
  try {
    const { services, shutdownTimeoutMs, http } = await read();
    const input = { services, shutdownTimeoutMs, http, environment, isWhole: true, isDryRun: false, file };
    await apply(daemon, input, () => {});
  } catch (error) {
    if (!isGsupError(error)) throw error;
    daemon.notice(`${file} is not applied: ${error.message}`, 'error');
  }
}
