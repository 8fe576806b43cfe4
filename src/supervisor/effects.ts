/** Runs each effect of one instance in a few lines; what comes of it is reported as an event. */

import { boundedPhase, boundedReport } from '../core/app-report.ts';
import type { InstanceEffect } from '../core/effect.ts';
import type { InstanceEvent, Slot, Timer } from '../core/event.ts';
import type { NotifyMessage } from '../core/notify.ts';
import type { ServiceSpec } from '../core/service.ts';
import type { SignalName } from '../core/signal.ts';
import type {
  Host,
  HostRun,
  ProgramPlace,
  RunIdentity,
  RunListener,
  RunProcesses,
  SpawnRequest,
  StreamName,
  Streams,
} from '../host/host.ts';
import { Checks } from './checks.ts';
import type { Clock } from './clock.ts';
import { loadPatiently } from './patient-load.ts';
import { watchMemory } from './triggers.ts';

/** How the streams of an instance are laid; asked at every start. */
export type StreamsOf = (of: Slot, spec: ServiceSpec) => Streams;

type Machine = {
  readonly host: Host;
  readonly clock: Clock;
  readonly environmentOf: (service: string, isNext: boolean) => Readonly<Record<string, string | undefined>>;
  readonly streamsOf: StreamsOf;
  readonly link?: {
    readonly path: string;
    send(token: string, message: Readonly<Record<string, unknown>>): void;
  };
};

export type InstanceEffectsOptions = {
  readonly of: Slot;
  /** The spec of now, and whether it is one that a rolling restart brings; a run keeps what it was spawned with. */
  readonly specOf: () => { readonly spec: ServiceSpec; readonly isNext: boolean } | undefined;
  readonly surroundings: Machine;
  readonly report: (event: InstanceEvent) => void;
  /** The living processes of the other instances of its service. */
  readonly siblings: () => readonly RunProcesses[];
};

/** An event without its time: `report` adds it. */
type News = InstanceEvent extends infer E ? (E extends InstanceEvent ? Omit<E, 'at'> : never) : never;

/** The hands of one instance: its process, timers, check and hook. */
export class InstanceEffects {
  readonly #options: InstanceEffectsOptions;
  readonly #timers = new Map<Timer, () => void>();
  #spec: ServiceSpec | null = null;
  #isNext = false;
  #run: HostRun | null = null;
  /** The number and token of the run that is about to be spawned. */
  #prepared: { readonly run: number; readonly token: string } | null = null;
  #runNumber = 0;
  readonly #checks: Checks;
  #status: string | null = null;
  #appState: 'stopping' | 'reloading' | null = null;
  #hook: AbortController | null = null;
  #endWatch: () => void = () => {};
  #streams: Streams | null = null;
  #requested: SpawnRequest | null = null;
  /** When the run began that an earlier supervisor spawned; `null`: it is ours. */
  #adoptedSince: number | null = null;

  constructor(options: InstanceEffectsOptions) {
    this.#options = options;
    this.#checks = new Checks({
      place: () => this.#place(),
      processes: () => this.#run?.processes ?? null,
      siblings: options.siblings,
      recall: (listener) => this.#recallLog(listener),
    });
  }

  get run(): HostRun | null {
    return this.#run;
  }

  /** What the run says of itself. */
  get status(): string | null {
    if (this.#appState === null) return this.#status;
    return this.#status === null ? this.#appState : `${this.#appState}: ${this.#status}`;
  }

  /** Nothing of it will be needed again. */
  end(): void {
    for (const cancel of this.#timers.values()) cancel();
    this.#timers.clear();
    this.#checks.end();
    this.#endWatch();
    this.#hook?.abort();
    this.#run?.release();
    this.#run = null;
  }

  /** What the next supervisor recognises the present run by; `null` when there is none. */
  get identity(): RunIdentity | null {
    if (this.#prepared !== null)
      return { token: this.#prepared.token, pid: null, startTicks: 0, channel: null, sockets: {} };
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
    if (type === 'ready') this.#checks.messaged('ready');
    if ((type !== 'phase' && type !== 'report') || (type === 'phase' && typeof phase !== 'string')) return;
    const counts = type === 'report' ? withoutType(message) : isMap(pending) ? pending : null;
    this.#tell({
      type: 'app-told',
      run,
      appPhase: typeof phase === 'string' ? boundedPhase(phase) : 'report',
      pending: counts && boundedReport(counts),
    });
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
      case 'ask-app':
        this.#tellLink({ type: 'pending?' });
        break;
      case 'check-ready':
        this.#checkReady(effect.run);
        break;
      case 'check-live':
        this.#checkLive(effect.run);
        break;
      case 'end-check':
        this.#checks.end();
        break;
      case 'run-hook':
        this.#runHook(effect.run);
        break;
      case 'end-hook':
        this.#hook?.abort();
        break;
      case 'find-killer':
        this.#findKiller(effect);
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

  #findKiller({ pid, exitedAt }: Extract<InstanceEffect, { do: 'find-killer' }>): void {
    void this.#run?.processes?.findKiller().then((oom) => {
      if (oom !== null) this.#tell({ type: 'killer-found', pid, exitedAt, oom });
    });
  }

  #spawn(run: number): void {
    const { host } = this.#options.surroundings;
    const token = this.#prepared?.run === run ? this.#prepared.token : host.newToken();
    this.#prepared = null;
    this.#adoptedSince = null;
    this.#status = null;
    this.#appState = null;
    const spec = this.#specOfNow();
    this.#run = host.spawn(this.#request(spec, token), this.#listener(run));
    this.#watchMemory(spec);
  }

  #listener(run: number): RunListener {
    return {
      spawned: (pid, command) => this.#tell({ type: 'spawned', run, pid, command }),
      spawnFailed: (reason, exitStatus) => this.#tell({ type: 'spawn-failed', run, reason, exitStatus }),
      exited: (code, signal) => this.#tell({ type: 'exited', run, code, signal }),
      message: (message) => this.#checks.messaged(message),
      notified: (message) => this.#notified(run, message),
    };
  }

  #request(spec: ServiceSpec, token: string): SpawnRequest {
    const { of } = this.#options;
    const { environmentOf, streamsOf, link } = this.#options.surroundings;
    const streams = streamsOf(of, spec);
    this.#streams = streams;
    const onChunk = (stream: StreamName, chunk: Buffer): boolean => {
      this.#checks.logged(stream, chunk);
      return streams.onChunk(stream, chunk);
    };
    if (typeof streams.output !== 'string')
      streams.output.listen((stream, chunk) => this.#checks.logged(stream, chunk));
    const environment = environmentOf(of.service, this.#isNext);
    const linkPath = link?.path ?? null;
    this.#requested = { of, token, spec, environment, linkPath, streams: { ...streams, onChunk } };
    return this.#requested;
  }

  #specOfNow(): ServiceSpec {
    const now = this.#options.specOf();
    if (now !== undefined) {
      this.#spec = now.spec;
      this.#isNext = now.isNext;
    }
    if (this.#spec === null) throw new Error(`no spec for ${this.#options.of.service}`);
    return this.#spec;
  }

  #watchMemory(spec: ServiceSpec): void {
    this.#endWatch();
    if (spec.memoryLimitBytes === null) return;
    const { report, surroundings } = this.#options;
    this.#endWatch = watchMemory({ spec, clock: surroundings.clock, memory: () => this.memory(), ask: report });
  }

  #tellApp(deadline: number, reason: string): void {
    const { clock } = this.#options.surroundings;
    this.#tellLink({ type: 'stop', deadlineMs: Math.round(Math.max(0, deadline - clock.now())), reason });
  }

  #tellLink(message: Readonly<Record<string, unknown>>): void {
    const { link } = this.#options.surroundings;
    if (link !== undefined && this.#run !== null) link.send(this.#run.identity.token, message);
  }

  #checkReady(run: number): void {
    if (this.#spec !== null)
      this.#checks.ready(this.#spec, {
        ready: (by) => this.#tell({ type: 'ready', run, by }),
        notYet: (reason) => this.#tell({ type: 'not-ready-yet', run, reason }),
      });
  }

  #checkLive(run: number): void {
    if (this.#spec === null) return;
    this.#checks.live(this.#spec, {
      failed: (reason, count, limit) => this.#tell({ type: 'check-failed', run, reason, count, limit }),
      sick: (reason) => this.#tell({ type: 'unhealthy', run, reason: `liveness: ${reason}` }),
    });
  }

  /** The spec of its service is another now, and it goes on: it is watched as that says. */
  respec(): void {
    const before = JSON.stringify(this.#spec?.live);
    const spec = this.#specOfNow();
    if (JSON.stringify(spec.live) !== before) this.#checkLive(this.#runNumber);
    if (this.#run?.isAlive) this.#watchMemory(spec);
  }

  /** A message of systemd's protocol. */
  #notified(run: number, message: NotifyMessage): void {
    const before = this.#appState;
    if (message.status !== undefined) this.#status = message.status;
    if (message.stopping === true) this.#appState = 'stopping';
    else if (message.reloading === true) this.#appState = 'reloading';
    else if (message.ready === true) this.#appState = null;
    if (message.extendMs !== undefined) this.#tell({ type: 'extended', run, ms: message.extendMs });
    for (const appPhase of ['stopping', 'reloading'] as const)
      if (message[appPhase] === true && appPhase !== before)
        this.#tell({ type: 'app-told', run, appPhase, pending: null });
    this.#checks.notified(message);
  }

  /** The line may have come while the supervisor before this one lived. */
  #recallLog(listener: (stream: StreamName, chunk: Buffer) => void): void {
    const { output } = this.#streams ?? {};
    if (this.#adoptedSince === null || output === undefined || typeof output === 'string') return;
    void output.recall(this.#adoptedSince, listener);
  }

  #runHook(run: number): void {
    const preStop = this.#spec?.stop.preStop ?? null;
    if (preStop === null) return;
    const ended = new AbortController();
    this.#hook = ended;
    const running = loadPatiently(() => import('../probes/asking.ts')).then(({ runProgram }) =>
      runProgram(preStop.argv, this.#place(), ended.signal),
    );
    this.#then(running, (reason) => ({ type: 'hook-ended', run, reason: reason ?? null }));
  }

  /** Where programs of the service's own run: checks and hooks. */
  #place(): ProgramPlace {
    const { host } = this.#options.surroundings;
    return this.#requested === null ? { cwd: '/', environment: {} } : host.placeOf(this.#requested);
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
