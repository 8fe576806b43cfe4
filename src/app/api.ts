/** The public types of `gsup/app`: what an app hands in, and what it gets back. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Server, Socket } from 'node:net';
import type { Duplex } from 'node:stream';

/** A length of time: milliseconds, or text like `500ms`, `10s`, `1m30s`. */
export type Duration = number | string;

/**
 * The phases of a shutdown, in order. Each is reported and has what is left of the deadline:
 * `draining` readiness is off, traffic is still served for `drainDelay`;
 * `closing-servers` nothing new is accepted, idle connections are closed;
 * `waiting` for requests, tasks and workers that have begun;
 * `persisting` states are saved; `closing` hooks, last registered first; `flushing` logs and metrics.
 */
export type Phase = 'draining' | 'closing-servers' | 'waiting' | 'persisting' | 'closing' | 'flushing';

/** What has begun and has not ended. `names` tells of which work, ten at most. */
export type Pending = {
  /** HTTP requests (and HTTP/2 streams) without their whole response. */
  readonly requests: number;
  /** Open connections of all servers, idle ones included. */
  readonly connections: number;
  readonly tasks: number;
  readonly workers: number;
  /** What `track()` was called for and has not been released. */
  readonly tracked: number;
  /** Clients of the `ws` servers handed in. */
  readonly websockets: number;
  readonly names: readonly string[];
};

/** A line for people and machines. */
export type LogRecord = {
  readonly level: 'info' | 'warn' | 'error';
  readonly msg: string;
  readonly [key: string]: unknown;
};

/** A pino logger, `console`, or anything with these three; one that has `flush` is flushed before the end. */
export type LevelLogger = {
  info(record: object, msg: string): void;
  warn(record: object, msg: string): void;
  error(record: object, msg: string): void;
};

/** What can be flushed: a function, a pino logger, or a destination of one (`sonic-boom`, a transport). */
export type Flushable =
  | (() => unknown)
  | { flush(done?: (error?: Error | null) => void): unknown }
  | { flushSync(): unknown };

/** Options of {@link createShutdown}; all have a default. */
export type ShutdownOptions = {
  /**
   * The whole shutdown, in ms or as a duration. Default 10 s; under gsup the grace period of the service.
   * Never more than `GSUP_GRACE_MS` less a margin (10 %, at least 500 ms), nor than what the supervisor sends.
   */
  readonly timeout?: Duration | undefined;
  /**
   * How long traffic is still served after readiness went off, so that load balancers look away first.
   * `'auto'` (default): 5 s in Kubernetes when there is a server, else 0. At most half of the deadline.
   */
  readonly drainDelay?: Duration | 'auto' | undefined;
  /** Which signals begin it. Default SIGTERM and SIGINT. */
  readonly signals?: readonly NodeJS.Signals[] | undefined;
  /**
   * A ceiling for single phases, below the deadline. Default: what is left of it; `waiting` leaves a tenth (1 s at most) to
   * states and hooks if there are any.
   */
  readonly phaseTimeouts?: { readonly [P in Phase]?: Duration } | undefined;
  /** No delay and no waiting: connections are cut, tasks told to end, then states, hooks and logs. Default false. */
  readonly immediate?: boolean | undefined;
  /** Gets every phase and the report. Default: only a report of what was left undone, as one JSON line on stderr. */
  readonly logger?: LevelLogger | ((record: LogRecord) => void) | undefined;
  /** What is to be flushed last, besides the logger. */
  readonly flush?: Flushable | readonly Flushable[] | undefined;
  /**
   * Whether the process is ended afterwards, with 0, or 1 when something was left undone.
   * `true` (default): after a shutdown that a signal, an error, the supervisor or the natural end began;
   * `'always'`: after `begin()` too, which else leaves the end to its caller; `false`: not by this one. Another shutdown in
   * the process that ends it waits for this one first.
   */
  readonly exit?: boolean | 'always' | undefined;
  /** Whether an uncaught exception or unhandled rejection begins it, with exit status 1. Default true. */
  readonly uncaught?: boolean | undefined;
};

/** Options of {@link Shutdown.server}. */
export type ServerOptions<C = Socket | Duplex> = {
  /** `'close'` (default): new connections are refused. `'reject'`: they get 503 with Retry-After, until the last request is done. */
  readonly whileDraining?: 'close' | 'reject' | undefined;
  /** What the report calls it. Default: its protocol and address. */
  readonly name?: string | undefined;
  /**
   * Called when draining begins, for each connection whose protocol only the app knows: all of a `net` server, upgraded ones
   * of an HTTP server; for a `ws` server each of its clients. Default: WebSockets are sent close 1001, after which nothing
   * can be sent to them; others are awaited, and cut at the deadline.
   */
  readonly onDrain?: ((connection: C) => void) | undefined;
};

/** A client of the `ws` package, or one like it. */
export type WebSocketLike = {
  close(code?: number, reason?: string): void;
  terminate(): void;
  once(event: 'close', listener: () => void): unknown;
};

/** A server of the `ws` package, or one like it. */
export type WebSocketServerLike = {
  readonly clients: Set<WebSocketLike>;
  close(done?: (error?: Error) => void): void;
};

/** Of any server: what it hands to `onDrain` fits, for both come from the same `server()`. */
export type HandedOptions = ServerOptions<never>;

/** What a server has: clients of a `ws` server, sockets of the others. */
export type ConnectionOf<S> = S extends { readonly clients: Set<infer C> } ? C : Socket | Duplex;

/** What a hook gets. */
export type HookContext = {
  /** Aborted when its time is over. */
  readonly signal: AbortSignal;
  /** How long it may take, in ms. */
  readonly remainingMs: number;
};

/** Options of {@link Shutdown.hook}. */
export type HookOptions = {
  /** Its own ceiling. Default: what is left of the deadline, less a little for the hooks after it and for flushing. */
  readonly timeout?: Duration | undefined;
  /** `close` (default): resources. `flush`: logs and metrics, after all the others. */
  readonly phase?: 'close' | 'flush' | undefined;
};

/** Options of {@link Shutdown.persist}. */
export type PersistOptions<T> = {
  /** Where it is kept, as JSON. Replaced atomically, with fsync; folders are made. */
  readonly file: string;
  /** Called at shutdown, after all work has ended. */
  readonly save: () => T | Promise<T>;
  /** The state when there is no file yet, or a broken one. Default `undefined`. */
  readonly fallback?: T | undefined;
  /** A ceiling for saving. Default: what is left of the deadline, less a little for the hooks after it. */
  readonly timeout?: Duration | undefined;
};

/** A cancellation: with its parent, or alone. It can stand wherever an AbortController is expected. */
export type CancellationToken = Disposable & {
  readonly signal: AbortSignal;
  /** Cancels it and its children, not its parent. Default reason: a `DOMException` named AbortError. */
  cancel(reason?: unknown): void;
  /** The same as `cancel`, by the name an AbortController has for it. */
  abort(reason?: unknown): void;
  child(): CancellationToken;
};

/** So many tasks at a time; the others wait in line. */
export type Pool = {
  readonly size: number;
  readonly running: number;
  readonly waiting: number;
  /** Like {@link Shutdown.run}; one that still waits when the shutdown begins is rejected with ShuttingDownError. */
  run<T>(name: string, work: (signal: AbortSignal) => T | Promise<T>): Promise<T>;
};

/** Answers `/livez` and `/readyz`; tells whether it did. */
export type HealthHandler = (
  request: IncomingMessage,
  response: ServerResponse,
  next?: (error?: unknown) => void,
) => boolean;

/** What began a shutdown. */
export type Trigger =
  | { readonly kind: 'signal'; readonly signal: NodeJS.Signals }
  | { readonly kind: 'error'; readonly error: string }
  | { readonly kind: 'supervisor' }
  | { readonly kind: 'message' }
  | { readonly kind: 'call' }
  /** The event loop had nothing left to do. */
  | { readonly kind: 'end' };

/** `late`: its time was over first. `cancelled`: it ended because it was told to. */
export type Outcome = 'done' | 'failed' | 'cancelled' | 'late' | 'skipped';

/** How one piece of work went. */
export type Step = {
  readonly name: string;
  readonly outcome: Outcome;
  readonly ms: number;
  readonly error?: string;
};

/** How the connections of one server went. */
export type ServerReport = {
  readonly name: string;
  /** Connections that were closed because nothing happened on them. */
  readonly idle: number;
  /** Connections in use that ended by themselves. */
  readonly finished: number;
  /** Connections that were cut. */
  readonly destroyed: number;
  /** Requests that were turned away with 503. */
  readonly rejected: number;
};

/** One of the common mistakes, recognised. */
export type Explanation = {
  readonly mistake:
    | 'task-cancelled'
    | 'channel-closed'
    | 'worker-failed'
    | 'deadline-elapsed'
    | 'connection-reset'
    | 'address-in-use'
    | 'broken-pipe'
    | 'database-closed-too-early'
    | 'ended-before-tasks'
    | 'handler-registered-twice';
  /** Where it was seen. */
  readonly where: string;
  readonly why: string;
  readonly todo: string;
};

/** How a shutdown went. */
export type ShutdownReport = {
  readonly reason: string;
  readonly trigger: Trigger;
  /** 0, or 1 when something was left undone or an error began it. */
  readonly exitCode: 0 | 1;
  /** When it began, in ms since 1970. */
  readonly startedAt: number;
  readonly durationMs: number;
  /** The deadline it had, in ms from its beginning. */
  readonly deadlineMs: number;
  readonly phases: readonly { readonly phase: Phase; readonly ms: number; readonly outcome: 'done' | 'late' }[];
  readonly servers: readonly ServerReport[];
  /** Those that had not ended when it began; one that then failed is left undone, unless it was cancelled. */
  readonly tasks: readonly Step[];
  /** Those that had not ended when it began, and those that failed before. */
  readonly workers: readonly Step[];
  readonly states: readonly Step[];
  readonly hooks: readonly (Step & { readonly phase: 'close' | 'flush' })[];
  /** What was left undone, a sentence each; empty: nothing. */
  readonly undone: readonly string[];
  /** Errors that nobody caught. */
  readonly errors: readonly string[];
  readonly explanations: readonly Explanation[];
};

/** The shutdown of one app. */
export type Shutdown = AsyncDisposable & {
  /** Aborted, with a ShuttingDownError as reason, as soon as it begins. */
  readonly signal: AbortSignal;
  /** Where it is: `running` before, `done` afterwards. */
  readonly phase: Phase | 'running' | 'done';
  readonly pending: Pending;
  /**
   * Answers `GET /livez` (200 while the process works) and `/readyz` (200, or 503 before `ready()` and from the beginning on).
   * Stands as the handler of a server of its own, as middleware, or is called first in a handler.
   * @example http.createServer(shutdown.health).listen(9000);
   * @example if (shutdown.health(request, response)) return;
   */
  readonly health: HealthHandler;
  /**
   * Drains this server: `http`, `https`, `http2`, `net`, or one of `ws`. Call it before `listen()`.
   * @returns the server itself.
   */
  server<S extends Server | WebSocketServerLike>(server: S, options?: ServerOptions<ConnectionOf<S>>): S;
  /**
   * Runs work that the shutdown waits for. Its signal is aborted when the shutdown begins.
   * @throws what `work` throws; {@link ShuttingDownError} when the shutdown has begun (`work` is not called then).
   */
  run<T>(name: string, work: (signal: AbortSignal) => T | Promise<T>): Promise<T>;
  /**
   * Work that goes on until its signal is aborted. One that fails is reported and ends nothing else.
   * @throws ShuttingDownError when the shutdown has begun.
   * @example shutdown.worker('poller', async (signal) => { while (!signal.aborted) await poll(signal); });
   */
  worker(name: string, work: (signal: AbortSignal) => unknown): void;
  /** A pool that runs at most `size` tasks at once. */
  pool(size: number): Pool;
  /** A token that is cancelled when the shutdown begins, or alone. Dispose it when what it is for has ended. */
  child(): CancellationToken;
  /** Counts something that has begun; the returned function says that it has ended (a second call does nothing). */
  track(name?: string): () => void;
  /**
   * Called at shutdown, last registered first. One that throws or hangs never stops the rest. One that is registered while
   * hooks run is run too, as long as there is time.
   * @returns a function that removes it.
   * @throws {@link ShuttingDownError} when the last hook has been run.
   * @example const remove = shutdown.hook('db', () => pool.end(), { timeout: '5s' });
   */
  hook(name: string, run: (context: HookContext) => unknown, options?: HookOptions): () => void;
  /**
   * Restores a state now and saves it at shutdown. A file that is no JSON is kept aside as `FILE.broken-TIME`.
   * The file keeps its mode, its owner and links to it.
   * @throws when the file is there and can't be read; it is not overwritten then. {@link ShuttingDownError} when the states have
   * been saved.
   * @example const jobs: Job[] = await shutdown.persist('jobs', { file: 'jobs.json', save: () => jobs, fallback: [] });
   */
  persist<T>(name: string, options: PersistOptions<T> & { readonly fallback: T }): Promise<T>;
  persist<T>(name: string, options: PersistOptions<T>): Promise<T | undefined>;
  /**
   * Readiness is on from now, and gsup is told; `ready(false)` takes it back for `/readyz`, while for gsup what was ready once
   * has started. Does nothing once it has begun.
   */
  ready(isReady?: boolean): void;
  /** Begins it; called again, it gives the same promise. Never rejects. */
  begin(reason?: string): Promise<ShutdownReport>;
  /** Gives back the signals and everything else that was captured. A shutdown under way goes on. */
  dispose(): void;
};
