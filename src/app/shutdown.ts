/** The shutdown of one app: what an app calls, and who begins it. */
import type { Server } from 'node:net';
import type {
  CancellationToken,
  HandedOptions,
  HookContext,
  HookOptions,
  Pending,
  PersistOptions,
  Pool,
  Shutdown,
  ShutdownOptions,
  ShutdownReport,
  Trigger,
  WebSocketServerLike,
} from './api.ts';
import { Changes } from './changes.ts';
import { shutdownMs, withinGrace } from './deadline.ts';
import { textOf } from './error-text.ts';
import { createHealth } from './health.ts';
import { Hooks } from './hooks.ts';
import { Log } from './log.ts';
import { States } from './persist.ts';
import { createPool } from './pool.ts';
import { type Parts, Sequence } from './sequence.ts';
import { Servers } from './servers.ts';
import { settingsOf } from './settings.ts';
import { type Capture, captureSignals } from './signals.ts';
import { joinLink } from './supervisor-link.ts';
import { Tasks } from './tasks.ts';
import { createToken } from './token.ts';

/** Names of what is pending, at most. */
const NAMES = 10;

class AppShutdown implements Shutdown {
  readonly #parts: Parts;
  readonly #capture: Capture;
  readonly #errors: unknown[] = [];
  #isReady = false;
  #sequence: Sequence | null = null;
  #running: Promise<ShutdownReport> | null = null;
  readonly health = createHealth(() => (this.signal.aborted ? 'draining' : this.#isReady ? 'ready' : 'starting'));

  constructor(options: ShutdownOptions) {
    const settings = settingsOf(options);
    const root = createToken();
    const changes = new Changes();
    const log = new Log(options.logger);
    const workerFailed = (name: string, error: unknown): void =>
      log.tell('error', `worker "${name}" failed: ${textOf(error)}`, { worker: name, err: error });
    const tasks = new Tasks({ root, changes, workerFailed });
    const refuse = (what: string): void => tasks.refuse(what);
    const hooks = new Hooks(refuse, () => this.#tellPhase());
    this.#parts = {
      options,
      settings,
      root,
      changes,
      log,
      tasks,
      servers: new Servers({ changes, health: this.health }),
      hooks,
      // After them the logs are flushed.
      states: new States({ refuse, after: () => hooks.left + 1 }),
      errors: this.#errors,
      pending: () => this.pending,
      link: joinLink(process.env, {
        stop: (deadlineMs, reason) => this.#stoppedBySupervisor(deadlineMs, reason),
        asked: () => this.#tellPhase(),
        connected: () => {
          if (this.#isReady) this.#parts.link.send({ type: 'ready' });
          this.#sequence?.connected();
        },
      }),
    };
    this.#capture = captureSignals({
      signals: options.signals ?? ['SIGTERM', 'SIGINT'],
      takesErrors: options.uncaught ?? true,
      begin: (trigger, reason, agoMs) => this.#beginAndEnd(trigger, reason, agoMs),
      note: (error) => {
        this.#errors.push(error);
        log.uncaught(error);
      },
      abandon: (reason) => {
        const { phase, pending } = this;
        log.insist('warn', `shutdown cut short by ${reason}`, { type: 'report', exitCode: 130, phase, pending });
      },
    });
  }

  // Who begins it.

  begin(reason = 'begin()'): Promise<ShutdownReport> {
    const running = this.#begin({ kind: 'call' }, reason);
    if (this.#parts.options.exit === 'always')
      void running.then(({ exitCode }) => setImmediate(() => process.exit(exitCode)));
    return running;
  }

  #begin(trigger: Trigger, reason: string, agoMs = 0): Promise<ShutdownReport> {
    if (this.#running !== null) return this.#running;
    const ms = Math.max(0, shutdownMs(this.#parts.settings.timeoutMs, process.env) - agoMs);
    this.#sequence = new Sequence(this.#parts, ms, { trigger, reason });
    let end: (report: ShutdownReport) => void = () => {};
    // Known before the first abort listener runs: it may call begin() itself.
    this.#running = new Promise((resolve) => {
      end = resolve;
    });
    void this.#sequence.run().then(end);
    return this.#running;
  }

  async #beginAndEnd(trigger: Trigger, reason: string, agoMs?: number): Promise<number | null> {
    const { exitCode } = await this.#begin(trigger, reason, agoMs);
    if (this.#parts.options.exit === false) return null;
    // An error may have come after the report.
    return this.#errors.length > 0 ? 1 : exitCode;
  }

  #stoppedBySupervisor(deadlineMs: number | null, reason: string): void {
    this.#capture.beginAll({ kind: 'supervisor' }, reason);
    if (deadlineMs !== null) this.#sequence?.deadline.shorten(withinGrace(deadlineMs));
  }

  #tellPhase(): void {
    if (this.#sequence !== null) this.#sequence.tellPhase();
    else this.#parts.link.send({ type: 'phase', phase: 'running', pending: this.pending });
  }

  // What an app calls.

  get signal(): AbortSignal {
    return this.#parts.root.signal;
  }

  get phase(): Shutdown['phase'] {
    return this.#sequence?.phase ?? 'running';
  }

  get pending(): Pending {
    const { tasks, servers, hooks } = this.#parts;
    const hook = hooks.running === null ? [] : [`hook ${hooks.running}`];
    const names = [...tasks.names, ...servers.names, ...hook];
    return {
      ...servers.counts,
      tasks: tasks.count('task'),
      workers: tasks.count('worker'),
      tracked: tasks.count('tracked'),
      names: names.slice(0, NAMES),
    };
  }

  server<S extends Server | WebSocketServerLike>(server: S, options: HandedOptions = {}): S {
    this.#parts.servers.add(server, options);
    return server;
  }

  run<T>(name: string, work: (signal: AbortSignal) => T | Promise<T>): Promise<T> {
    return this.#parts.tasks.run(name, work);
  }

  worker(name: string, work: (signal: AbortSignal) => unknown): void {
    this.#parts.tasks.worker(name, work);
  }

  pool(size: number): Pool {
    return createPool(size, this.#parts.tasks, this.signal);
  }

  child(): CancellationToken {
    return this.#parts.root.child();
  }

  track(name?: string): () => void {
    return this.#parts.tasks.track(name);
  }

  hook(name: string, run: (context: HookContext) => unknown, options?: HookOptions): () => void {
    return this.#parts.hooks.add(name, run, options);
  }

  persist<T>(name: string, options: PersistOptions<T> & { readonly fallback: T }): Promise<T>;
  persist<T>(name: string, options: PersistOptions<T>): Promise<T | undefined>;
  persist<T>(name: string, options: PersistOptions<T>): Promise<T | undefined> {
    return this.#parts.states.add(name, options, (msg) => this.#parts.log.insist('warn', msg, { state: name }));
  }

  ready(isReady = true): void {
    this.#isReady = isReady;
    if (isReady && !this.signal.aborted) this.#parts.link.send({ type: 'ready' });
  }

  dispose(): void {
    this.#capture.release();
    if (this.#sequence !== null) return;
    this.#parts.link.close();
    this.#parts.servers.forget();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.begin('disposed');
    this.dispose();
  }
}

/**
 * Begins to look after the end of this process: captures the signals once, and knows what has to be done before it.
 * During a shutdown of the process it begins at once, with what is left of its deadline.
 * @throws TypeError when an option can't be read.
 * @example
 * const shutdown = createShutdown({ timeout: '25s' });
 * const server = shutdown.server(http.createServer(app)).listen(3000, () => shutdown.ready());
 * shutdown.hook('db', () => pool.end(), { timeout: '5s' });
 */
export function createShutdown(options: ShutdownOptions = {}): Shutdown {
  return new AppShutdown(options);
}
