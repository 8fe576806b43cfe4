/** Runs each effect of one instance in a few lines; what comes of it is reported as an event. */
import type { InstanceEffect } from '../core/effect.ts';
import type { InstanceEvent, InstanceRef, Timer } from '../core/event.ts';
import type { ReadyPolicy, ServiceSpec } from '../core/service.ts';
import type { SignalName } from '../core/signal.ts';
import type { Host, HostRun, RunIdentity, RunListener, SpawnRequest, StreamName, Streams } from '../host/host.ts';
import { LineSplitter } from '../logs/lines.ts';
import type { Clock } from './clock.ts';
import { watchMemory } from './triggers.ts';

/** How the streams of an instance are laid; asked at every start. */
export type StreamsOf = (of: InstanceRef, spec: ServiceSpec) => Streams;

type Surroundings = {
  readonly host: Host;
  readonly clock: Clock;
  readonly environmentOf: (service: string) => Readonly<Record<string, string | undefined>>;
  readonly streamsOf: StreamsOf;
  readonly link?: {
    readonly path: string;
    send(token: string, message: Readonly<Record<string, unknown>>): void;
  };
};

export type InstanceEffectsOptions = {
  readonly of: InstanceRef;
  /** The spec of now; a run keeps the one that it was spawned with. */
  readonly specOf: () => ServiceSpec | undefined;
  readonly surroundings: Surroundings;
  readonly report: (event: InstanceEvent) => void;
};

/** An event without its time: `report` adds it. */
type News = InstanceEvent extends infer E ? (E extends InstanceEvent ? Omit<E, 'at'> : never) : never;

/** The hands of one instance: its process, timers, check and hook. */
export class InstanceEffects {
  readonly #options: InstanceEffectsOptions;
  readonly #timers = new Map<Timer, () => void>();
  #spec: ServiceSpec | null = null;
  #run: HostRun | null = null;
  /** The number and token of the run that is about to be spawned. */
  #prepared: { readonly run: number; readonly token: string } | null = null;
  #runNumber = 0;
  #check: AbortController | null = null;
  #hook: AbortController | null = null;
  #onLog: ((stream: StreamName, chunk: Buffer) => void) | null = null;
  #onMessage: ((message: unknown) => void) | null = null;
  #endWatch: () => void = () => {};
  #streams: Streams | null = null;
  /** When the run began that an earlier supervisor spawned; `null`: it is ours. */
  #adoptedSince: number | null = null;

  constructor(options: InstanceEffectsOptions) {
    this.#options = options;
  }

  get run(): HostRun | null {
    return this.#run;
  }

  /** What the next supervisor recognises the present run by; `null` when there is none. */
  get identity(): RunIdentity | null {
    if (this.#prepared !== null) return { token: this.#prepared.token, pid: null, startTicks: 0, channel: null };
    return this.#run?.identity ?? null;
  }

  /** Gives the run that is about to be spawned its token, so that it can be kept before. */
  prepare(run: number): void {
    this.#prepared = { run, token: this.#options.surroundings.host.newToken() };
  }

  /** Takes up a run of before, begun at `since` (epoch ms); its leader's pid when it lives, else `null`. */
  adopt(identity: RunIdentity | null, { run, since }: { run: number; since: number }): number | null {
    this.#runNumber = run;
    this.#adoptedSince = since;
    if (identity === null) return null;
    const spec = this.#specOfNow();
    this.#run = this.#options.surroundings.host.adopt(
      this.#request(spec, identity.token),
      identity,
      this.#listener(run),
    );
    if (!this.#run.isAlive) return null;
    this.#watchMemory(spec);
    return this.#run.pid;
  }

  /** Passes a signal on to the leader, without SIGCONT behind it. */
  forward(signal: SignalName): void {
    this.#run?.processes?.forward(signal);
  }

  /** Asks whether the leader is there, on the way that a signal will take. */
  rehearse(): void {
    this.#run?.processes?.signal(null, 'leader');
  }

  /** Stops or continues the whole group, as a shell does with a job. */
  suspend(signal: 'SIGSTOP' | 'SIGCONT'): void {
    this.#run?.processes?.signal(signal, 'group');
  }

  /** Resident bytes of the instance; 0 when it does not run. */
  async memory(): Promise<number> {
    return (await this.#run?.processes?.memory()) ?? 0;
  }

  /** Goes on reading output that was held back. */
  resume(): void {
    this.#run?.resume();
  }

  /** A line of the app on the link. */
  hear(message: Readonly<Record<string, unknown>>): void {
    const run = this.#runNumber;
    const { type, phase, pending } = message;
    if (type === 'ready') this.#onMessage?.('ready');
    if ((type !== 'phase' && type !== 'report') || (type === 'phase' && typeof phase !== 'string')) return;
    const counts = type === 'report' ? withoutType(message) : isMap(pending) ? pending : null;
    this.#tell({ type: 'app-told', run, appPhase: typeof phase === 'string' ? phase : 'report', pending: counts });
  }

  obey(effect: InstanceEffect): void {
    if ('run' in effect) this.#runNumber = effect.run;
    switch (effect.do) {
      case 'spawn':
        this.#spawn(effect.run);
        break;
      case 'signal':
        this.#run?.processes?.signal(effect.signal, effect.target);
        break;
      case 'send-shutdown':
        this.#run?.sendShutdown();
        break;
      case 'tell-app':
        this.#tellApp(effect.deadline, effect.reason);
        break;
      case 'check-ready':
        this.#checkReady(effect.run);
        break;
      case 'end-check':
        this.#endCheck();
        break;
      case 'run-hook':
        this.#runHook(effect.run);
        break;
      case 'end-hook':
        this.#hook?.abort();
        break;
      case 'find-survivors':
        this.#then(this.#run?.processes?.findSurvivors(), (survivors) => ({
          type: 'survivors-found',
          run: effect.run,
          survivors: survivors ?? [],
        }));
        break;
      case 'signal-survivors':
        this.#then(this.#run?.processes?.signalSurvivors(effect.signal, effect.hasGroupIt), () => emptied(effect.run));
        break;
      case 'kill-survivors':
        this.#then(this.#run?.processes?.killSurvivors(), () => emptied(effect.run));
        break;
      case 'drain-logs':
        this.#then(this.#run?.drained(), () => ({ type: 'logs-ended', run: effect.run }));
        break;
      case 'release':
        this.#run?.release();
        this.#run = null;
        this.#endWatch();
        break;
      case 'arm':
        this.#arm(effect.timer, effect.run, effect.ms);
        break;
      case 'disarm':
        this.#disarm(effect.timer);
        break;
      case 'record':
        break;
    }
  }

  #tell(news: News): void {
    this.#options.report({ ...news, at: this.#options.surroundings.clock.now() } as InstanceEvent);
  }

  #then<T>(promise: Promise<T> | undefined, news: (result: T | undefined) => News): void {
    void Promise.resolve(promise).then((result) => this.#tell(news(result)));
  }

  #spawn(run: number): void {
    const { host } = this.#options.surroundings;
    const token = this.#prepared?.run === run ? this.#prepared.token : host.newToken();
    this.#prepared = null;
    this.#adoptedSince = null;
    const spec = this.#specOfNow();
    this.#run = host.spawn(this.#request(spec, token), this.#listener(run));
    this.#watchMemory(spec);
  }

  #listener(run: number): RunListener {
    return {
      spawned: (pid, command) => this.#tell({ type: 'spawned', run, pid, command }),
      spawnFailed: (reason, exitStatus) => this.#tell({ type: 'spawn-failed', run, reason, exitStatus }),
      exited: (code, signal) => this.#tell({ type: 'exited', run, code, signal }),
      message: (message) => this.#onMessage?.(message),
    };
  }

  #request(spec: ServiceSpec, token: string): SpawnRequest {
    const { of } = this.#options;
    const { environmentOf, streamsOf, link } = this.#options.surroundings;
    const streams = streamsOf(of, spec);
    this.#streams = streams;
    const onChunk = (stream: StreamName, chunk: Buffer): boolean => {
      this.#onLog?.(stream, chunk);
      return streams.onChunk(stream, chunk);
    };
    if (typeof streams.output !== 'string') streams.output.listen((stream, chunk) => this.#onLog?.(stream, chunk));
    const environment = environmentOf(of.service);
    return { of, token, spec, environment, linkPath: link?.path ?? null, streams: { ...streams, onChunk } };
  }

  #specOfNow(): ServiceSpec {
    const spec = this.#options.specOf() ?? this.#spec;
    if (spec === null) throw new Error(`no spec for ${this.#options.of.service}`);
    this.#spec = spec;
    return spec;
  }

  #watchMemory(spec: ServiceSpec): void {
    this.#endWatch();
    if (spec.memoryLimitBytes === null) return;
    const { report, surroundings } = this.#options;
    this.#endWatch = watchMemory({ spec, clock: surroundings.clock, memory: () => this.memory(), ask: report });
  }

  #tellApp(deadline: number, reason: string): void {
    const { link, clock } = this.#options.surroundings;
    if (link === undefined || this.#run === null) return;
    link.send(this.#run.identity.token, {
      type: 'stop',
      deadlineMs: Math.round(Math.max(0, deadline - clock.now())),
      reason,
    });
  }

  #checkReady(run: number): void {
    const ready = this.#spec?.ready ?? null;
    if (ready === null) return;
    const { check } = ready;
    const tell = (by: string) => this.#tell({ type: 'ready', run, by });
    if (check.kind === 'log') {
      this.#watchLog(new RegExp(check.pattern), () => tell(`log line matches ${check.pattern}`));
      this.#recallLog();
    } else if (check.kind === 'message') this.#onMessage = (message) => message === 'ready' && tell('message');
    else void this.#ask(check, ready, () => tell(check.kind === 'http' ? check.url : check.kind));
  }

  async #ask(check: Exclude<ReadyPolicy['check'], { kind: 'log' | 'message' }>, ready: ReadyPolicy, tell: () => void) {
    const ended = new AbortController();
    this.#check = ended;
    const { untilReady } = await import('../probes/readiness.ts');
    if (await untilReady(check, ready, this.#place(), ended.signal)) tell();
  }

  #watchLog(pattern: RegExp, tell: () => void): void {
    const see = (line: Buffer) => pattern.test(line.toString()) && tell();
    const splitters = { stdout: new LineSplitter(see), stderr: new LineSplitter(see) };
    this.#onLog = (stream, chunk) => splitters[stream].push(chunk);
  }

  /** The line may have come while the supervisor before this one lived. */
  #recallLog(): void {
    const { output } = this.#streams ?? {};
    if (this.#adoptedSince === null || output === undefined || typeof output === 'string') return;
    void output.recall(this.#adoptedSince, (stream, chunk) => this.#onLog?.(stream, chunk));
  }

  #endCheck(): void {
    this.#check?.abort();
    this.#check = null;
    this.#onLog = null;
    this.#onMessage = null;
  }

  #runHook(run: number): void {
    const preStop = this.#spec?.stop.preStop ?? null;
    if (preStop === null) return;
    const ended = new AbortController();
    this.#hook = ended;
    const running = import('../probes/check.ts').then(({ runProgram }) =>
      runProgram(preStop.argv, this.#place(), ended.signal),
    );
    this.#then(running, (reason) => ({ type: 'hook-ended', run, reason: reason ?? null }));
  }

  /** Where programs of the service's own run: checks and hooks. */
  #place(): { cwd: string; environment: Readonly<Record<string, string | undefined>> } {
    const inherited = this.#options.surroundings.environmentOf(this.#options.of.service);
    return { cwd: this.#spec?.cwd ?? '/', environment: { ...inherited, ...this.#spec?.env } };
  }

  #arm(timer: Timer, run: number, ms: number): void {
    this.#disarm(timer);
    const cancel = this.#options.surroundings.clock.after(ms, () => {
      this.#timers.delete(timer);
      this.#tell({ type: 'timed-out', run, timer });
    });
    this.#timers.set(timer, cancel);
  }

  #disarm(timer: Timer): void {
    this.#timers.get(timer)?.();
    this.#timers.delete(timer);
  }
}

function emptied(run: number): News {
  return { type: 'group-emptied', run };
}

function withoutType({ type: _type, ...rest }: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  return rest;
}

function isMap(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
