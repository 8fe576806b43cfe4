/** `gsup run`: the supervisor wired to this machine, the terminal, the system's signals and an exit status. */
import { basename, dirname } from 'node:path';
import { isatty } from 'node:tty';
import { isGsupError } from '../core/error.ts';
import type { InstanceRef } from '../core/event.ts';
import { logLevelIn } from '../core/log-level.ts';
import { initialState } from '../core/root-state.ts';
import type { ServiceSpec, SupervisorSpec } from '../core/service.ts';
import type { SignalName } from '../core/signal.ts';
import { knownEnvironment } from '../host/environment.ts';
import type { Streams } from '../host/host.ts';
import type { LinkOptions } from '../host/link.ts';
import { LocalHost, needsPreparing } from '../host/local-host.ts';
import type { Activation } from '../supervisor/activation.ts';
import { followState } from '../supervisor/automation.ts';
import { systemClock } from '../supervisor/clock.ts';
import { isJournald, type Journal, openJournal } from '../supervisor/journal.ts';
import { Masking } from '../supervisor/masking.ts';
import { reapOrphans } from '../supervisor/reaping.ts';
import { surviveShortage } from '../supervisor/shortage.ts';
import { Supervisor } from '../supervisor/supervisor.ts';
import { journaldLine, recordLine } from '../view/record.ts';
import { exitStatus } from './exit-status.ts';
import { RunHttp } from './http.ts';
import { lateLink } from './link.ts';
import { Output } from './output.ts';
import { captureSignals } from './signals.ts';
import { activationIn, type Reporter, reporterOf, tellBudget } from './surroundings.ts';

/** When the start is over and nobody waits for us. */
const REHEARSE_AFTER_MS = 50;

export type ForegroundOptions = {
  readonly spec: SupervisorSpec;
  /** One command with one instance: its output untouched, its exit status passed on. */
  readonly isSingle: boolean;
  /** The command stays in the terminal's session and foreground group. */
  readonly isInTerminal: boolean;
  /** Default: `pretty` when stderr is a terminal. */
  readonly logFormat: 'pretty' | 'json' | undefined;
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** The file as it is now, for SIGHUP; `null`: there is none, and SIGHUP is passed on. @throws {GsupError} for its problems. */
  readonly reread: (() => Promise<SupervisorSpec>) | null;
  /** `--outer`: how long whoever stops us waits; `null`: it is asked. */
  readonly outerMs: number | null;
  readonly version: string;
  /** Of `-c FILE`. */
  readonly file: string | null;
};

/** Supervises until everything is down; resolves with the exit status. */
export async function runForeground(options: ForegroundOptions): Promise<number> {
  const { isSingle, isInTerminal, environment } = options;
  const listeners = new Set<() => void>();
  const onChange = (callback: () => void): (() => void) => {
    listeners.add(callback);
    return () => listeners.delete(callback);
  };
  const { version, file } = options;
  let begun: Supervisor | null = null;
  const masking = new Masking({
    serviceOf: (service) => begun?.state.services[service],
    environmentOf: () => environment,
    fullEnvironment: (service, inherited) => knownEnvironment(service, 0, { token: '', linkPath: null }, inherited),
  });
  const shared = { version, file, masking, supervisor: () => supervisor, onChange };
  const http = new RunHttp({ journal: journalOf(options), ...shared });
  const { journal } = http;
  const { sockets, claim } = await activationIn(environment, journal);
  const spec = claim(options.spec);
  warnOfWrappers(spec, journal);
  const needsPipes = !isSingle || spec.services.some(({ ready }) => ready?.check.kind === 'log');
  const output = needsPipes
    ? openOutput(spec, { supervisor: () => supervisor, environment, onLine: http.onLine })
    : null;
  const prefixes = new Map<string, ReturnType<Output['prefixed']>>();
  const onChunkOf = (of: InstanceRef): Streams['onChunk'] => {
    if (output === null) return () => true;
    if (isSingle) return output.raw();
    const key = `${of.service}:${of.index}`;
    prefixes.get(key)?.end();
    const prefixed = output.prefixed(of);
    prefixes.set(key, prefixed);
    return prefixed.onChunk;
  };
  const link = lateLink();
  // Asked of the descriptor: `process.stdin` would load the streams of files for it.
  const stdin = isSingle && (isInTerminal || !isatty(0)) ? 'inherit' : 'ignore';
  const host = new LocalHost((reason) => journal.write({ phase: 'notice', level: 'warn', reason }, systemClock.now()));
  if (spec.services.some(needsPreparing)) await host.prepare(sockets);
  const supervisor = new Supervisor({
    state: initialState(spec),
    host,
    clock: systemClock,
    journal,
    random: Math.random,
    environmentOf: () => environment,
    ...(link === null ? {} : { link }),
    onChange: () => {
      for (const listener of listeners) listener();
    },
    streamsOf: (of) => ({
      stdin,
      output: needsPipes ? 'pipe' : 'inherit',
      isInTerminal,
      onChunk: onChunkOf(of),
    }),
  });
  begun = supervisor;
  await http.open(spec.http ?? null).catch((error) => {
    link?.close();
    throw error;
  });
  const automation = followState({
    state: () => supervisor.state,
    dispatch: (event) => supervisor.dispatch(event),
    tell: (record) => journal.write(record, systemClock.now()),
  });
  listeners.add(() => automation.update());
  const reporter = await reporterOf(environment, supervisor, journal);
  if (reporter !== null) listeners.add(() => reporter.changed());
  const read = options.reread;
  const reread = read && (async () => claim(await read()));
  const reloads = reread && reloadsOf({ supervisor, host, journal, http, onChange, reread, reporter, sockets });
  // To the end: none of them is to change the exit status in the last moment.
  captureSignals(handlersOf(supervisor, reloads), isInTerminal);
  const hear: LinkOptions['hear'] = (token, message) => supervisor.hear(token, message);
  // Before anything is started: of all who have its token, the app is to be the first who speaks.
  await link?.open({ leaderOf: (token) => supervisor.leaderOf(token), hear }).catch(() => link.close());
  supervisor.start(
    spec.services.map(({ name }) => name),
    'gsup run',
  );
  setTimeout(() => {
    supervisor.rehearse();
    const parent = link && dirname(dirname(link.path));
    // With no descriptor left it is for a later run.
    if (parent !== null) void import('./leftovers.ts').then((it) => it.removeLeftovers(parent)).catch(() => {});
  }, REHEARSE_AFTER_MS).unref();
  const notice = (reason: string, level: 'info' | 'warn' | 'error') =>
    journal.write({ phase: 'notice', level, reason }, systemClock.now());
  const endSurvival = surviveShortage((text) => notice(text, 'error'));
  const reaper = reapOrphans(supervisor, (text) => notice(text, 'warn'));
  void tellBudget(options, notice);
  const state = await supervisor.ended;
  await Promise.all([output?.close(), journal.close(), reporter?.close()]);
  host.close(true);
  link?.close();
  reaper.close();
  automation.close();
  await http.close();
  endSurvival();
  return exitStatus(state, isSingle);
}

type Reloading = {
  readonly supervisor: Supervisor;
  readonly host: LocalHost;
  readonly journal: Journal;
  readonly http: RunHttp;
  onChange(callback: () => void): () => void;
  readonly reread: () => Promise<SupervisorSpec>;
  readonly reporter: Reporter | null;
  readonly sockets: Activation['sockets'];
};

/** One after the other, each with the file as it is when its turn comes. */
function reloadsOf({ supervisor, host, journal, http, onChange, reread, reporter, sockets }: Reloading): () => void {
  let last = Promise.resolve();
  const tell = (reason: string, level: 'info' | 'error') =>
    journal.write({ phase: 'notice', level, reason }, systemClock.now());
  const once = async (): Promise<void> => {
    tell('SIGHUP: reads the file again', 'info');
    reporter?.reloading();
    try {
      const spec = await reread();
      if (spec.services.some(needsPreparing)) await host.prepare(sockets);
      await http.take(spec.http ?? null);
      const { reload } = await import('./reload.ts');
      await reload(
        {
          state: () => supervisor.state,
          now: () => systemClock.now(),
          dispatch: (event) => supervisor.dispatch(event),
          notice: (text) => tell(text, 'error'),
          onChange,
        },
        spec,
      );
    } catch (error) {
      if (!isGsupError(error)) throw error;
      tell(`the file is not applied: ${error.message}`, 'error');
    } finally {
      reporter?.reloaded();
    }
  };
  return () => {
    last = last.then(once);
  };
}

function handlersOf(supervisor: Supervisor, reload: (() => void) | null) {
  return {
    stop: (signal: SignalName) =>
      supervisor.dispatch({ type: 'shutdown', at: systemClock.now(), reason: signal, signal }),
    force: () => supervisor.dispatch({ type: 'force', at: systemClock.now(), reason: 'second SIGINT: no more grace' }),
    forward: (signal: SignalName) => {
      if (signal === 'SIGHUP' && reload !== null) reload();
      else supervisor.forward(signal);
    },
    suspend: (signal: 'SIGSTOP' | 'SIGCONT') => supervisor.suspend(signal),
  };
}

function journalOf({ logFormat, environment }: ForegroundOptions): Journal {
  const level = logLevelIn(environment);
  if (logFormat === undefined && isJournald(environment)) return openJournal({ level, format: journaldLine });
  const isPretty = logFormat === undefined ? process.stderr.isTTY === true : logFormat === 'pretty';
  if (!isPretty) return openJournal({ level });
  const colour = allowsColour(environment, process.stderr.isTTY);
  return openJournal({ level, format: (record, at) => recordLine(record, at, { colour }) });
}

function openOutput(
  spec: SupervisorSpec,
  {
    supervisor,
    environment,
    onLine,
  }: {
    readonly supervisor: () => Supervisor;
    readonly environment: ForegroundOptions['environment'];
    readonly onLine: RunHttp['onLine'];
  },
): Output {
  return new Output({
    instances: spec.services.flatMap(({ name, instances }) =>
      Array.from({ length: instances }, (_, index) => ({ service: name, index })),
    ),
    colour: {
      stdout: allowsColour(environment, process.stdout.isTTY),
      stderr: allowsColour(environment, process.stderr.isTTY),
    },
    isTerminal: { stdout: process.stdout.isTTY === true, stderr: process.stderr.isTTY === true },
    onLine,
    onDrain: () => supervisor().resume(),
    onGone: () =>
      supervisor().dispatch({ type: 'shutdown', at: systemClock.now(), reason: 'stdout was closed', signal: null }),
  });
}

/** https://no-color.org: any value that is not empty forbids it. */
function allowsColour(environment: ForegroundOptions['environment'], isTerminal: boolean | undefined): boolean {
  return isTerminal === true && !environment['NO_COLOR'] && environment['TERM'] !== 'dumb';
}

/** Package runners put a shell between us and the program, which may keep the stop signal to itself. */
function warnOfWrappers(spec: SupervisorSpec, journal: Journal): void {
  for (const service of spec.services) {
    const wrapper = wrapperOf(service);
    if (wrapper === null) continue;
    const reason = `${service.name}: ${wrapper} stands between gsup and the program and may swallow its stop signal; name the program itself, as in "gsup run server.js"`;
    journal.write({ phase: 'notice', level: 'warn', service: service.name, reason }, systemClock.now());
  }
}

function wrapperOf({ program }: ServiceSpec): string | null {
  if (program.kind !== 'command') return null;
  const name = basename(program.argv[0]);
  return ['npm', 'npx', 'yarn', 'pnpm'].includes(name) ? name : null;
}
