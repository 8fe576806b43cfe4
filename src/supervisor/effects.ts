/** Runs each effect of one instance in a few lines; what comes of it is reported as an event. */
import type { InstanceEffect } from '../core/effect.ts';
import type { InstanceEvent, InstanceRef, Timer } from '../core/event.ts';
import type { ReadyPolicy, ServiceSpec } from '../core/service.ts';
import type { SignalName } from '../core/signal.ts';
import type { Host, HostRun, StreamName, Streams } from '../host/host.ts';
import { LineSplitter } from '../logs/lines.ts';
import type { Clock } from './clock.ts';

/** How the streams of an instance are laid; asked at every start. */
export type StreamsOf = (of: InstanceRef, spec: ServiceSpec) => Streams;

type Surroundings = {
  readonly host: Host;
  readonly clock: Clock;
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly streamsOf: StreamsOf;
};

/** An event without its time: `report` adds it. */
type News = InstanceEvent extends infer E ? (E extends InstanceEvent ? Omit<E, 'at'> : never) : never;

/** The hands of one instance: its process, timers, check and hook. */
export class InstanceEffects {
  readonly #of: InstanceRef;
  readonly #spec: ServiceSpec;
  readonly #surroundings: Surroundings;
  readonly #report: (event: InstanceEvent) => void;
  readonly #timers = new Map<Timer, () => void>();
  #run: HostRun | null = null;
  #check: AbortController | null = null;
  #hook: AbortController | null = null;
  #onLog: ((stream: StreamName, chunk: Buffer) => void) | null = null;
  #onMessage: ((message: unknown) => void) | null = null;

  constructor(of: InstanceRef, spec: ServiceSpec, surroundings: Surroundings, report: (event: InstanceEvent) => void) {
    this.#of = of;
    this.#spec = spec;
    this.#surroundings = surroundings;
    this.#report = report;
  }

  /** Passes a signal on to the leader, without SIGCONT behind it. */
  forward(signal: SignalName): void {
    this.#run?.forward(signal);
  }

  /** Asks whether the leader is there, on the way that a signal will take. */
  rehearse(): void {
    this.#run?.signal(null, 'leader');
  }

  /** Stops or continues the whole group, as a shell does with a job. */
  suspend(signal: 'SIGSTOP' | 'SIGCONT'): void {
    this.#run?.signal(signal, 'group');
  }

  /** Resident bytes of the instance; 0 when it does not run. */
  async memory(): Promise<number> {
    return (await this.#run?.memory()) ?? 0;
  }

  /** Goes on reading output that was held back. */
  resume(): void {
    this.#run?.resume();
  }

  run(effect: InstanceEffect): void {
    switch (effect.do) {
      case 'spawn':
        this.#spawn(effect.run);
        break;
      case 'signal':
        this.#run?.signal(effect.signal, effect.target);
        break;
      case 'send-shutdown':
        this.#run?.sendShutdown();
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
        this.#then(this.#run?.findSurvivors(), (survivors) => ({
          type: 'survivors-found',
          run: effect.run,
          survivors: survivors ?? [],
        }));
        break;
      case 'signal-survivors':
        this.#then(this.#run?.signalSurvivors(effect.signal, effect.hasGroupIt), () => emptied(effect.run));
        break;
      case 'kill-survivors':
        this.#then(this.#run?.killSurvivors(), () => emptied(effect.run));
        break;
      case 'drain-logs':
        this.#then(this.#run?.drained(), () => ({ type: 'logs-ended', run: effect.run }));
        break;
      case 'release':
        this.#run?.release();
        this.#run = null;
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
    this.#report({ ...news, at: this.#surroundings.clock.now() } as InstanceEvent);
  }

  #then<T>(promise: Promise<T> | undefined, news: (result: T | undefined) => News): void {
    void Promise.resolve(promise).then((result) => this.#tell(news(result)));
  }

  #spawn(run: number): void {
    const streams = this.#surroundings.streamsOf(this.#of, this.#spec);
    const onChunk = (stream: StreamName, chunk: Buffer): boolean => {
      this.#onLog?.(stream, chunk);
      return streams.onChunk(stream, chunk);
    };
    const { host, environment } = this.#surroundings;
    const request = { of: this.#of, run, spec: this.#spec, environment, streams: { ...streams, onChunk } };
    this.#run = host.spawn(request, {
      spawned: (pid, command) => this.#tell({ type: 'spawned', run, pid, command }),
      spawnFailed: (reason, exitStatus) => this.#tell({ type: 'spawn-failed', run, reason, exitStatus }),
      exited: (code, signal) => this.#tell({ type: 'exited', run, code, signal }),
      message: (message) => this.#onMessage?.(message),
    });
  }

  #checkReady(run: number): void {
    const { ready } = this.#spec;
    if (ready === null) return;
    const { check } = ready;
    const tell = (by: string) => this.#tell({ type: 'ready', run, by });
    if (check.kind === 'log')
      this.#watchLog(new RegExp(check.pattern), () => tell(`log line matches ${check.pattern}`));
    else if (check.kind === 'message') this.#onMessage = (message) => message === 'ready' && tell('message');
    else void this.#ask(check, ready, () => tell(check.kind === 'http' ? check.url : check.kind));
  }

  async #ask(check: Exclude<ReadyPolicy['check'], { kind: 'log' | 'message' }>, ready: ReadyPolicy, tell: () => void) {
    const ended = new AbortController();
    this.#check = ended;
    const { untilReady } = await import('../probes/readiness.ts');
    const environment = { ...this.#surroundings.environment, ...this.#spec.env };
    if (await untilReady(check, ready, { cwd: this.#spec.cwd, environment }, ended.signal)) tell();
  }

  #watchLog(pattern: RegExp, tell: () => void): void {
    const see = (line: Buffer) => pattern.test(line.toString()) && tell();
    const splitters = { stdout: new LineSplitter(see), stderr: new LineSplitter(see) };
    this.#onLog = (stream, chunk) => splitters[stream].push(chunk);
  }

  #endCheck(): void {
    this.#check?.abort();
    this.#check = null;
    this.#onLog = null;
    this.#onMessage = null;
  }

  #runHook(run: number): void {
    const { preStop } = this.#spec.stop;
    if (preStop === null) return;
    const ended = new AbortController();
    this.#hook = ended;
    const environment = { ...this.#surroundings.environment, ...this.#spec.env };
    const running = import('../probes/check.ts').then(({ runProgram }) =>
      runProgram(preStop.argv, { cwd: this.#spec.cwd, environment }, ended.signal),
    );
    this.#then(running, (reason) => ({ type: 'hook-ended', run, reason: reason ?? null }));
  }

  #arm(timer: Timer, run: number, ms: number): void {
    this.#disarm(timer);
    const cancel = this.#surroundings.clock.after(ms, () => {
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
