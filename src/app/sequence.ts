/** The sequence of a shutdown: its phases, in order, each within what is left of the deadline. */
import type { CancellationToken, Pending, Phase, ShutdownOptions, ShutdownReport, Trigger } from './api.ts';
import { type Changes, everySoOften } from './changes.ts';
import { Deadline } from './deadline.ts';
import type { Failure, Hooks } from './hooks.ts';
import { flushAll, flushablesOf, type Log } from './log.ts';
import type { States } from './persist.ts';
import { reportOf } from './report.ts';
import type { Servers } from './servers.ts';
import type { Settings } from './settings.ts';
import { ShuttingDownError } from './shutting-down-error.ts';
import type { SupervisorLink } from './supervisor-link.ts';
import type { Tasks } from './tasks.ts';

const KUBERNETES_DRAIN_MS = 5000;
/** Counts go up the link at most this often. */
const TELL_EVERY_MS = 200;
/** For what the report itself adds to the logs. */
const LAST_FLUSH_MS = 200;
/** Sentences that go up the link. */
const SENTENCES = 10;

/** What a shutdown works on. */
export type Parts = {
  readonly options: ShutdownOptions;
  readonly settings: Settings;
  readonly root: CancellationToken;
  readonly changes: Changes;
  readonly log: Log;
  readonly link: SupervisorLink;
  readonly tasks: Tasks;
  readonly servers: Servers;
  readonly hooks: Hooks;
  readonly states: States;
  /** Errors that nobody caught; more may come. */
  readonly errors: readonly unknown[];
  readonly pending: () => Pending;
};

export class Sequence {
  readonly #parts: Parts;
  readonly #trigger: Trigger;
  readonly #reason: string;
  readonly #startedAt = Date.now();
  readonly #phases: { phase: Phase; ms: number; outcome: 'done' | 'late' }[] = [];
  readonly #failures: Failure[] = [];
  /** Phases that were entered while there was no link. */
  readonly #untold: { readonly type: string; readonly phase?: string }[] = [];
  readonly deadline: Deadline;
  phase: Phase | 'running' | 'done' = 'running';

  constructor(parts: Parts, ms: number, { trigger, reason }: { readonly trigger: Trigger; readonly reason: string }) {
    this.#parts = parts;
    this.#trigger = trigger;
    this.#reason = reason;
    this.deadline = new Deadline(ms);
  }

  /** The whole shutdown. Never rejects. */
  async run(): Promise<ShutdownReport> {
    const { tasks, servers, states, hooks, link, root } = this.#parts;
    this.#attempt('the beginning', () => {
      tasks.begin();
      link.hurry();
      root.cancel(new ShuttingDownError(this.#reason));
    });

    await this.#enter('draining', (until) => this.#serveOn(until));
    await this.#enter('closing-servers', (until) => servers.close(until));
    await this.#enter('waiting', (until) => this.#untilQuiet(until));
    this.#attempt('cutting the servers', () => servers.cut());
    await this.#enter('persisting', (until) => states.save(until));
    await this.#enter('closing', (until) => hooks.run('close', until));
    await this.#enter('flushing', (until) => this.#flush(until));

    return this.#report();
  }

  /** Where it is, to the supervisor. */
  tellPhase(): boolean {
    return this.#parts.link.send(this.#phaseMessage());
  }

  /** The link stands: what was entered before it is told first. */
  connected(): void {
    const untold = this.#untold.splice(0).filter(({ phase }) => phase !== this.phase);
    for (const message of untold) this.#parts.link.send(message);
    // Then the report was the last of them.
    if (this.phase !== 'done') this.tellPhase();
  }

  #phaseMessage() {
    return { type: 'phase', phase: this.phase, pending: this.#parts.pending() };
  }

  /** `work` ends before `until`, and says whether it was done. */
  async #enter(phase: Phase, work: (until: Deadline) => Promise<boolean>): Promise<void> {
    const until = this.deadline.child(this.#parts.settings.phaseMs[phase]);
    let isDone = false;
    try {
      this.#announce(phase);
      isDone = await work(until);
    } catch (error) {
      this.#failures.push({ where: phase, error });
    }
    this.#phases.push({ phase, ms: until.elapsedMs, outcome: isDone ? 'done' : 'late' });
  }

  #announce(phase: Phase): void {
    const { log, pending } = this.#parts;
    this.phase = phase;
    const remainingMs = Math.round(this.deadline.leftMs);
    log.tell('info', `shutdown: ${phase}`, { phase, pending: pending(), remainingMs });
    const message = this.#phaseMessage();
    if (!this.#parts.link.send(message)) this.#untold.push(message);
  }

  /** What fails stops nothing that comes after it. */
  #attempt(where: string, act: () => void): void {
    try {
      act();
    } catch (error) {
      this.#failures.push({ where, error });
    }
  }

  /** Load balancers look away before the listener closes. */
  async #serveOn(until: Deadline): Promise<boolean> {
    const { options, settings, servers, tasks } = this.#parts;
    const isInKubernetes = process.env['KUBERNETES_SERVICE_HOST'] !== undefined && !servers.isEmpty;
    const automatic = isInKubernetes ? KUBERNETES_DRAIN_MS : 0;
    const wantedMs = settings.drainMs === 'auto' ? automatic : settings.drainMs;
    if (wantedMs === 0 || options.immediate === true || this.#trigger.kind === 'end') return true;
    const close = tasks.serveOn();
    await until.inTime(new Promise(() => {}), { ownMs: Math.min(wantedMs, until.leftMs / 2) });
    close();
    return true;
  }

  async #untilQuiet(until: Deadline): Promise<boolean> {
    const { options, changes, pending, servers, hooks, states } = this.#parts;
    const isQuiet = (): boolean => {
      const { tasks, workers, tracked } = pending();
      return tasks + workers + tracked === 0 && !servers.isBusy;
    };
    if (options.immediate === true) return isQuiet();
    const quiet = async (): Promise<void> => {
      await changes.until(isQuiet);
      await servers.finish(until);
      await changes.until(isQuiet);
    };
    const stopTelling = changes.watch(everySoOften(TELL_EVERY_MS, () => this.tellPhase()));
    const isDone = await until.inTime(quiet(), { later: hooks.left + states.left > 0 ? 1 : 0 });
    stopTelling();
    return isDone;
  }

  async #flush(until: Deadline): Promise<boolean> {
    const { hooks, options } = this.#parts;
    const areDone = await hooks.run('flush', until);
    try {
      return (await until.inTime(flushAll(flushablesOf(options)))) && areDone;
    } catch (error) {
      this.#failures.push({ where: 'flushing', error });
      return areDone;
    }
  }

  /** Last words: to the log, and to the supervisor. */
  async #report(): Promise<ShutdownReport> {
    this.phase = 'done';
    const report = this.#made();
    this.#attempt('the report', () => this.#tell(report));
    // Nobody is left to hear of a failure.
    await this.#lastWords().catch(() => {});
    return report;
  }

  async #lastWords(): Promise<void> {
    const flushed = flushAll(flushablesOf(this.#parts.options)).catch(() => {});
    await Promise.all([new Deadline(LAST_FLUSH_MS).inTime(flushed), this.#parts.link.lastWords()]);
  }

  #made(): ShutdownReport {
    const told = { reason: this.#reason, trigger: this.#trigger, startedAt: this.#startedAt, deadline: this.deadline };
    const failures = [...this.#failures, ...this.#parts.servers.failures];
    const phases = this.#phases;
    try {
      return reportOf({ ...this.#parts, ...told, phases, failures });
    } catch (error) {
      const undone = [`the report failed: ${error instanceof Error ? error.message : typeof error}`];
      const [durationMs, deadlineMs] = [this.deadline.elapsedMs, this.deadline.totalMs];
      const empty = { servers: [], tasks: [], workers: [], states: [], hooks: [], errors: [], explanations: [] };
      const { reason, trigger, startedAt } = told;
      return { reason, trigger, exitCode: 1, startedAt, durationMs, deadlineMs, phases, ...empty, undone };
    }
  }

  #tell(report: ShutdownReport): void {
    const { log, link } = this.#parts;
    const { reason, exitCode, durationMs, deadlineMs, undone, phases, errors } = report;
    if (exitCode === 0) log.tell('info', `shutdown: done in ${durationMs} ms`, { type: 'report', ...report });
    else log.insist('error', `shutdown: ${[...undone, ...errors].join('; ')}`, { type: 'report', ...report });
    const sentences = undone.slice(0, SENTENCES);
    const message = { type: 'report', reason, exitCode, durationMs, deadlineMs, undone: sentences, phases };
    if (!link.send(message)) this.#untold.push(message);
  }
}
