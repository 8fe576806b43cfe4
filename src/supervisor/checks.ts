/** The checks of one run: whether it has become ready, and then whether it still lives; one at a time. */
import { formatDuration } from '../core/duration.ts';
import type { NotifyMessage } from '../core/notify.ts';
import type { LivePolicy, ReadyPolicy, ServiceSpec } from '../core/service.ts';
import type { RunProcesses, StreamName } from '../host/host.ts';
import type { ActiveCheck, Surroundings } from '../probes/check.ts';
import { whereItAsks } from '../probes/own-socket.ts';
import type { IsOurs } from '../probes/ownership.ts';
import { Watchdog } from '../probes/watchdog.ts';
import { LogPattern } from './log-pattern.ts';
import { loadPatiently } from './patient-load.ts';

export type ChecksOptions = {
  /** Where programs of the service's own run. */
  readonly place: () => Omit<Surroundings, 'isOurs' | 'isListening'>;
  /** Of the run itself; `null`: it has none. */
  readonly processes: () => RunProcesses | null;
  /** Of the other instances of its service. */
  readonly siblings: () => readonly RunProcesses[];
  /** Hands out once more what the run has written before; nothing where that isn't known. */
  readonly recall: (listener: (stream: StreamName, chunk: Buffer) => void) => void;
};

export type ReadyListener = {
  /** With how it was learned. */
  ready(by: string): void;
  /** What a check says that is not well; only when that changes. */
  notYet(reason: string): void;
};
type AskListener = { ready(): void } & Pick<ReadyListener, 'notYet'>;

export type LiveListener = {
  /** A bad answer, the `count`th in a row of `limit`. */
  failed(reason: string, count: number, limit: number): void;
  /** It was the last one allowed. */
  sick(reason: string): void;
};

export class Checks {
  readonly #options: ChecksOptions;
  #ended: AbortController | null = null;
  #watchdogMs: number | null = null;
  #onLog: ((stream: StreamName, chunk: Buffer) => void) | null = null;
  #onMessage: ((message: unknown) => void) | null = null;
  #onNotice: ((message: NotifyMessage) => void) | null = null;

  constructor(options: ChecksOptions) {
    this.#options = options;
  }

  ready(spec: ServiceSpec, { ready: tell, notYet }: ReadyListener): void {
    this.end();
    this.#watchdogMs = null;
    const { ready } = spec;
    if (ready === null) return;
    const { check } = ready;
    if (check.kind === 'log') {
      this.#watchLog(check.pattern, { ready: () => tell(`log line matches ${check.pattern}`), notYet });
      this.#options.recall((stream, chunk) => this.#onLog?.(stream, chunk));
    } else if (check.kind === 'message') this.#onMessage = (message) => message === 'ready' && tell('message');
    else if (check.kind === 'notify' || check.kind === 'fd')
      this.#onNotice = (message) => message.ready === true && tell(check.kind);
    else
      void this.#ask(check, spec, ready, { ready: () => tell(check.kind === 'http' ? check.url : check.kind), notYet });
  }

  live(spec: ServiceSpec, listener: LiveListener): void {
    this.end();
    const { live } = spec;
    if (live === null) return;
    if (live.check.kind === 'notify') this.#watchdog(live, listener);
    else void this.#watch(live.check, spec, live, listener);
  }

  /** A piece of output. */
  logged(stream: StreamName, chunk: Buffer): void {
    this.#onLog?.(stream, chunk);
  }

  /** A message over Node's channel or the link. */
  messaged(message: unknown): void {
    this.#onMessage?.(message);
  }

  /** A message of systemd's protocol. */
  notified(message: NotifyMessage): void {
    // It may come before the watchdog begins.
    if (message.watchdogMs !== undefined) this.#watchdogMs = message.watchdogMs;
    this.#onNotice?.(message);
  }

  end(): void {
    this.#ended?.abort();
    this.#ended = null;
    this.#onLog = null;
    this.#onMessage = null;
    this.#onNotice = null;
  }

  async #ask(check: ActiveCheck, spec: ServiceSpec, ready: ReadyPolicy, tell: AskListener): Promise<void> {
    const { signal } = this.#begin();
    const { untilReady } = await loadPatiently(() => import('../probes/asking.ts'));
    let last: string | null = null;
    const notYet = (reason: string): void => {
      if (reason !== last) tell.notYet(reason);
      last = reason;
    };
    if (await untilReady(check, ready, { surroundings: this.#placeOf(check, spec), signal, notYet })) tell.ready();
  }

  async #watch(check: ActiveCheck, spec: ServiceSpec, policy: LivePolicy, listener: LiveListener): Promise<void> {
    const { signal } = this.#begin();
    const { watchLiveness } = await loadPatiently(() => import('../probes/asking.ts'));
    const failed = (reason: string, count: number) => listener.failed(reason, count, policy.failureThreshold);
    const tell = { failed, sick: (reason: string) => listener.sick(reason), recovered: () => {} };
    await watchLiveness({ check, policy, surroundings: this.#placeOf(check, spec), signal, tell });
  }

  /** systemd's: the app has to say WATCHDOG=1 in time. */
  #watchdog({ intervalMs, failureThreshold }: LivePolicy, { failed, sick }: LiveListener): void {
    const late = (reason: string): void => {
      failed(reason, 1, 1);
      sick(reason);
    };
    const begin = (ms: number) => new Watchdog(ms, () => late(`no WATCHDOG=1 for ${formatDuration(ms)}`));
    const ownMs = this.#watchdogMs ?? intervalMs * failureThreshold;
    let watchdog = ownMs === 0 ? null : begin(ownMs);
    this.#begin().signal.addEventListener('abort', () => watchdog?.end());
    this.#onNotice = (message) => {
      if (message.watchdog === 'trigger') late('the app says WATCHDOG=trigger');
      if (message.watchdog === 'ping') watchdog?.ping();
      if (message.watchdogMs === undefined) return;
      watchdog?.end();
      // 0: none any more.
      watchdog = message.watchdogMs === 0 ? null : begin(message.watchdogMs);
    };
  }

  #begin(): AbortController {
    const ended = new AbortController();
    this.#ended = ended;
    return ended;
  }

  #watchLog(pattern: string, { ready, notYet }: AskListener): void {
    const listener = { matched: ready, failed: notYet };
    const streams = { stdout: new LogPattern(pattern, listener), stderr: new LogPattern(pattern, listener) };
    this.#onLog = (stream, chunk) => streams[stream].push(chunk);
  }

  /** Where a check is asked; on this machine with a look at who it is that answers. */
  #placeOf(check: ActiveCheck, { sockets }: ServiceSpec): Surroundings {
    const { place, processes, siblings } = this.#options;
    const where = whereItAsks(check, sockets);
    if (where === 'elsewhere') return place();
    const isOurs: IsOurs = (socket) => {
      const others = siblings();
      // Nobody could be taken for it; but the kernel answers for its own socket before anybody does.
      if (where === 'local' && others.length === 0) return true;
      const ours = processes();
      // Leaders first: all that belongs to each is found by a look at every process there is.
      const isHeld = ours?.answers(socket, 'leader') ?? null;
      if (isHeld !== false || others.some((other) => other.answers(socket, 'leader') === true)) return isHeld;
      if (ours?.answers(socket, 'all') === true) return true;
      // A proxy before it is no other instance.
      return !others.some((other) => other.answers(socket, 'all') === true);
    };
    const isListening = () => processes()?.isListening() ?? null;
    return { ...place(), isOurs, ...(where === 'own' ? { isListening } : {}) };
  }
}
