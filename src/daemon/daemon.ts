/** The daemon wired: a home, a supervisor that lasts, its logs, its memory on disk, and what commands may ask of it. */
import { readFileSync } from 'node:fs';
import type { Home } from '../api/home.ts';
import { instanceViews } from '../api/queries.ts';
import { shownOutcome, shownView } from '../api/shown.ts';
import type { InstanceView, Told } from '../api/types.ts';
import type { HandedIn } from '../core/activation.ts';
import type { InstanceRef, Slot } from '../core/event.ts';
import type { Claimant } from '../core/find-leader.ts';
import { logLevelIn } from '../core/log-level.ts';
import { instanceName, parseSlotName } from '../core/name.ts';
import type { PhaseRecord } from '../core/record.ts';
import { type Restored, restoreState } from '../core/restore.ts';
import { initialState, instancesOf, slotsOf, stateAt } from '../core/root-state.ts';
import { DEFAULT_LOGS } from '../core/service.ts';
import type { SignalName } from '../core/signal.ts';
import type { StopTimes } from '../core/stop-times.ts';
import { knownEnvironment } from '../host/environment.ts';
import { type LinkServer, openLink } from '../host/link.ts';
import { LocalHost } from '../host/local-host.ts';
import { clockBase, clockSetByMs, continueClock, momentsOf, systemClock } from '../supervisor/clock.ts';
import { byWallClock, type Journal } from '../supervisor/journal.ts';
import { Masking } from '../supervisor/masking.ts';
import type { Saved } from '../supervisor/store.ts';
import { type Snapshot, Supervisor } from '../supervisor/supervisor.ts';
import { Environments } from './environments.ts';
import { EventFile } from './event-file.ts';
import { DaemonHttp } from './http.ts';
import type { InstanceLog } from './instance-log.ts';
import { InstanceLogs } from './instance-logs.ts';
import { linkOf, removeLinkFolder } from './link-path.ts';
import { hasLost, searchRuns } from './lost-runs.ts';
import { instancesNamed } from './names.ts';
import { Operations } from './operations.ts';
import { PatientStore } from './patient-store.ts';
import { Spool } from './spool.ts';
import { StopLog } from './stop-times.ts';

export type DaemonOptions = {
  readonly home: Home;
  readonly version: string;
  /** Where records go beside events.ndjson: stderr in the foreground. */
  readonly onRecord: (record: PhaseRecord, at: number) => void;
  /** The sockets that it was started with. */
  readonly handedIn: readonly HandedIn[];
};

/** Processes that the state does not know, each in a notice of its own. */
const MOST_REPORTED = 50;

/** One home's daemon. `open` it once the lock is held. */
export class Daemon {
  readonly home: Home;
  readonly startedAt: number;
  readonly operations: Operations;
  readonly http: DaemonHttp;
  readonly supervisor: Supervisor;
  /** What every text passes before it goes out. */
  readonly masking = new Masking({
    serviceOf: (service) => this.supervisor.state.services[service],
    environmentOf: (service, isNext) => this.#environments.of(service, isNext),
    fullEnvironment: (spec, inherited) => knownEnvironment(spec, 0, { token: '', linkPath: null }, inherited),
  });
  readonly #options: DaemonOptions;
  readonly #store: PatientStore;
  readonly #environments: Environments;
  readonly #logs: InstanceLogs;
  readonly #host: LocalHost;
  readonly #events: EventFile;
  readonly #stops: StopLog;
  readonly #journal: Journal;
  readonly #link: LinkServer;
  readonly #spool: Spool | null;
  readonly #changeListeners = new Set<() => void>();
  readonly #recordListeners = new Set<(record: Told) => void>();
  readonly #saved: { readonly saved: Saved | null; readonly restored: Restored | null; readonly isAsking: boolean };
  readonly #bootId = readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim();
  #file: string | null;
  #isTelling = false;

  /** Takes up what the daemon before left, and starts what should run. */
  static async open(options: DaemonOptions): Promise<Daemon> {
    let daemon: Daemon | null = null;
    const link = await openLink({
      ...linkOf(options.home),
      leaderOf: (token) => daemon?.supervisor.leaderOf(token),
      hear: (token, message) => daemon?.supervisor.hear(token, message),
      flooded: (token) => daemon?.supervisor.flooded(token),
    });
    const spool = await Spool.open(options.home.spool);
    const host = new LocalHost((text) => daemon?.notice(text, 'warn'));
    await host.prepare(options.handedIn);
    daemon = new Daemon(options, { link, spool, host });
    daemon.#takeUp();
    return daemon;
  }

  private constructor(options: DaemonOptions, { link, spool, host }: Parts) {
    const { home } = options;
    this.home = home;
    this.#options = options;
    this.#link = link;
    this.#spool = spool;
    this.#host = host;
    this.#events = new EventFile(home.events, logLevelIn(process.env));
    this.#stops = new StopLog(() => this.#events.files, momentsOf(systemClock.now()).time);
    this.#journal = this.#openJournal();
    this.#logs = new InstanceLogs({
      home,
      spool,
      policyOf: (service) => this.supervisor.state.services[service]?.spec.logs ?? DEFAULT_LOGS,
      now: () => systemClock.now(),
      notice: (reason, level, of) => this.notice(reason, level, of),
    });
    this.#journal.write(
      { phase: 'supervisor-started', pid: process.pid, boot: this.#bootId, version: options.version },
      systemClock.now(),
    );
    this.#store = new PatientStore({
      file: home.state,
      save: () => this.supervisor.save(),
      identityIn: (slot) => this.supervisor.identityIn(slot),
      notice: (reason, level) => this.notice(reason, level),
    });
    const { saved, problems } = this.#store.read();
    if (saved?.bootId === this.#bootId && saved.clockBase !== null) continueClock(saved.clockBase);
    this.startedAt = systemClock.now();
    this.#environments = new Environments(home.environments, saved?.environments ?? {});
    this.#file = saved?.file ?? null;
    const restored = saved && restoreState(saved.state, saved.bootId === this.#bootId);
    this.supervisor = new Supervisor({
      state: restored?.state ?? initialState({ services: [], shutdownTimeoutMs: null }, true),
      host,
      clock: systemClock,
      journal: this.#journal,
      random: Math.random,
      environmentOf: (service, isNext) => this.#environments.of(service, isNext),
      streamsOf: (of, spec) => this.#logs.streamsOf(of, spec),
      link,
      save: (snapshot, isForGood) => this.#save(snapshot, isForGood),
      onChange: () => this.#tellChange(),
      onForget: (of) => this.#forget(of),
      onSpec: (service, isCommitted) => this.#environments.settle(service, isCommitted),
    });
    this.http = new DaemonHttp(this, { file: home.http, version: options.version });
    this.operations = new Operations({
      state: () => this.supervisor.state,
      now: () => systemClock.now(),
      dispatch: (event) => this.supervisor.dispatch(event),
      batch: (work) => this.supervisor.batch(work),
      onChange: (callback) => this.onChange(callback),
      onRecord: (callback) => this.onRecord(callback),
      prepare: (refs) => this.#prepare(refs),
      flush: () => this.supervisor.flush(),
      setEnvironment: (service, environment) => this.#environments.set(service, environment),
      stageEnvironment: (service, environment) => this.#environments.stage(service, environment),
      lastErrors: (of, since, count) => this.#lastErrors(of, since, count),
      shown: (outcome) => shownOutcome(outcome, this.masking.valuesOf(parseSlotName(outcome.instance).service)),
    });
    this.#saved = { saved, restored, isAsking: problems.length > 0 };
  }

  /** What the daemon before left running. */
  #takeUp(): void {
    const { saved, restored, isAsking } = this.#saved;
    this.#recoverLogs();
    // What is known may be older than what runs: then the processes themselves are asked.
    const known = { state: this.supervisor.state, runs: saved?.runs ?? {}, now: systemClock.now() };
    const isSearching = isAsking || (saved?.bootId === this.#bootId && hasLost(known));
    const search = isSearching ? searchRuns(known, this.#link.path) : null;
    this.#reportUnknown(search?.unknown ?? []);
    if (saved === null || restored === null) return;
    // What the machine took with it has no end of its own that would settle what was staged.
    for (const [service, { rolling }] of Object.entries(restored.state.services))
      if (rolling === null) this.#environments.settle(service, false);
    this.#restore({ ...saved.runs, ...search?.runs }, restored, search?.startedAt);
  }

  /** Once for all changes of a turn: with a thousand services a thousand may listen. */
  #tellChange(): void {
    if (this.#isTelling) return;
    this.#isTelling = true;
    setImmediate(() => {
      this.#isTelling = false;
      for (const listener of this.#changeListeners) listener();
    });
  }

  /** Calls back in the turn after each change of the state from now on; the result ends it. */
  onChange(callback: () => void): () => void {
    return listen(this.#changeListeners, callback);
  }

  /** Calls back for every record from now on; the result ends it. */
  onRecord(callback: (record: Told) => void): () => void {
    return listen(this.#recordListeners, callback);
  }

  /** The rows of `gsup ls`; with `usage` what each tree uses is looked at now. */
  async views(withUsage: boolean): Promise<readonly InstanceView[]> {
    const usage = withUsage ? await this.#usage() : new Map();
    const tokenOf = (of: InstanceRef) => this.supervisor.identityOf(of)?.token ?? null;
    const statusOf = (of: InstanceRef) => this.supervisor.statusOf(of);
    const stopsOf = (service: string) => this.#stops.of(service);
    const facts = { now: systemClock.now(), setByMs: clockSetByMs(), tokenOf, statusOf, stopsOf, usage };
    return instanceViews(this.supervisor.state, facts).map((view) =>
      shownView(view, this.masking.valuesOf(view.service)),
    );
  }

  /** How long the last stops of a service took, also under daemons before. */
  async stopsOf(service: string): Promise<StopTimes | null> {
    await this.#stops.recall();
    return this.#stops.of(service);
  }

  /** `api`, `api:1` or `all` → the instances meant. @throws {GsupError} 4 for an unknown name. */
  refsOf(names: readonly string[]): readonly InstanceRef[] {
    return instancesNamed(this.supervisor.state, names);
  }

  environmentOf(service: string): Readonly<Record<string, string>> {
    return this.#environments.of(service);
  }

  setEnvironment(service: string, environment: Readonly<Record<string, string>>): void {
    this.#environments.set(service, environment);
  }

  setFile(file: string | null): void {
    this.#file = file;
  }

  get file(): string | null {
    return this.#file;
  }

  /** Where the output of an instance is. */
  logOf(of: InstanceRef): InstanceLog {
    return this.#logs.logOf(of);
  }

  /** What was written to logs since this process began, by instance. */
  logged(): ReturnType<InstanceLogs['logged']> {
    return this.#logs.logged();
  }

  /** Opens every log file anew; how many there are. */
  reopenLogs(): number {
    this.#events.reopen();
    return this.#logs.reopen() + 1;
  }

  /** All files of the journal, oldest first. */
  eventFiles(): readonly string[] {
    return this.#events.files;
  }

  /** The ladder for everything, in waves. `isByHand`: the next daemon leaves it stopped. */
  async shutdown(reason: string, signal: SignalName | null, isByHand: boolean): Promise<'clean' | 'killed'> {
    this.supervisor.dispatch({ type: 'shutdown', at: systemClock.now(), reason, signal, isByHand });
    const { verdict } = await this.supervisor.ended;
    return verdict;
  }

  /** No more grace for anybody. */
  force(reason: string): void {
    this.supervisor.dispatch({ type: 'force', at: systemClock.now(), reason });
  }

  /** Writes everything down and lets go: what runs, runs on for the next daemon. */
  async close(): Promise<void> {
    this.#logs.close();
    this.supervisor.save();
    this.#store.close();
    this.#link.close();
    this.#host.close(this.supervisor.state.hasEnded);
    if (this.supervisor.state.hasEnded) removeLinkFolder(this.home, this.#link.path);
    await this.#events.close();
  }

  /** Something for people, in the journal. */
  notice(reason: string, level: 'info' | 'warn' | 'error', of?: InstanceRef): void {
    const who = of && { service: of.service, instance: instanceName(of.service, of.index) };
    this.#journal.write({ phase: 'notice', level, reason, ...who }, systemClock.now());
  }

  /** What the daemon before had read, and perhaps not written. */
  #recoverLogs(): void {
    const leftover = this.#spool?.leftover() ?? null;
    const of = parseSlotName(leftover?.place ?? '');
    if (leftover !== null && this.supervisor.state.services[of.service] !== undefined)
      this.#logs.captureOf(of).recover(leftover);
    this.#spool?.done();
  }

  /** Nothing is known of them but that they run: they are reported, never touched. */
  #reportUnknown(claimants: readonly Claimant[]): void {
    const known = new Set<string>(
      instancesOf(this.supervisor.state).map(({ of }) => instanceName(of.service, of.index)),
    );
    for (const { instance, pid } of claimants.slice(0, MOST_REPORTED)) {
      const what = known.has(instance)
        ? `${pid} is left of another run of ${instance}`
        : `${instance} runs as ${pid} and the state does not know it`;
      this.notice(`${what}; end it with "kill ${pid}"`, known.has(instance) ? 'warn' : 'error');
    }
    const more = claimants.length - MOST_REPORTED;
    if (more > 0) this.notice(`${more} more processes of services run, and the state does not know them`, 'error');
  }

  #restore(runs: Saved['runs'], { toStart, toStop }: Restored, startedAt?: ReadonlyMap<string, number>): void {
    this.supervisor.restore(runs, startedAt);
    const at = systemClock.now();
    if (toStop.length > 0) this.supervisor.dispatch({ type: 'stop', at, instances: toStop, reason: 'gsup kill' });
    const services = [...new Set(toStart.map(({ service }) => service))];
    this.#prepare(toStart);
    this.supervisor.batch(() => {
      for (const service of services) {
        const indexes = toStart.filter((of) => of.service === service).map(({ index }) => index);
        this.supervisor.dispatch({ type: 'start', at, services: [service], indexes, reason: 'a new daemon' });
      }
    });
  }

  #openJournal(): Journal {
    return {
      write: (told, at) => {
        const record = this.masking.record(told);
        this.#events.write(record, at);
        if (record.phase === 'stopped') this.#stops.take(record);
        this.#options.onRecord(record, at);
        if (record.level === 'debug') return;
        if (this.#recordListeners.size === 0) return;
        const { time, mono } = momentsOf(at);
        const heard: Told = { ...byWallClock(record), at: time, mono };
        for (const listener of this.#recordListeners) listener(heard);
      },
      close: () => this.#events.close(),
    };
  }

  #prepare(refs: readonly InstanceRef[]): void {
    try {
      this.#logs.prepare(refs.map((of) => this.#slotOf(of)));
    } catch (error) {
      // Each spawn tries again and tells its own failure.
      this.notice(`cannot make the streams of services: ${(error as Error).message}`, 'error');
    }
  }

  #slotOf(of: InstanceRef): Slot {
    return { ...of, lane: of.lane ?? stateAt(this.supervisor.state, of)?.lane ?? 0 };
  }

  #forget(of: Slot): void {
    const isLast = slotsOf(this.supervisor.state, of.service).every(({ of: { index } }) => index !== of.index);
    this.#logs.forget(of, isLast);
    if (this.supervisor.state.services[of.service] !== undefined) return;
    this.#environments.forget(of.service);
    this.masking.forget(of.service);
    this.#stops.forget(of.service);
  }

  async #usage() {
    const { usageOf } = await import('../host/usage.ts');
    return usageOf(this.supervisor.processes());
  }

  async #lastErrors(of: InstanceRef, since: number, count: number): Promise<readonly string[]> {
    const log = this.#logs.logOf(of);
    const { lastLines } = await import('../logs/reader.ts');
    const lines = await lastLines(log.files, log.policy.format, count, ({ at, stream }) => {
      return stream !== 'stdout' && (at === null || at >= since - 1);
    });
    return lines.map(({ line }) => line);
  }

  #save(snapshot: Snapshot, isForGood: boolean): void {
    const others = {
      bootId: this.#bootId,
      clockBase: clockBase(),
      environments: this.#environments.names,
      file: this.#file,
    };
    const kept: Saved = Object.assign(snapshot, others);
    this.#store.keep(kept, isForGood);
  }
}

type Parts = { readonly link: LinkServer; readonly spool: Spool | null; readonly host: LocalHost };

function listen<T>(listeners: Set<T>, callback: T): () => void {
  listeners.add(callback);
  return () => listeners.delete(callback);
}
