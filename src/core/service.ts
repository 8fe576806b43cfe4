/** What a service is once every default is filled in: the spec that the supervisor obeys. All lengths are in ms. */
import type { SignalName } from './signal.ts';

/** How a program is named: an argv, one line for /bin/sh (only when asked for), or a script with its interpreter. */
export type Program =
  | { readonly kind: 'command'; readonly argv: readonly [string, ...string[]] }
  | { readonly kind: 'shell'; readonly line: string }
  | {
      readonly kind: 'script';
      readonly script: string;
      readonly args: readonly string[];
      /** `null`: found by shebang or extension when the instance is started. */
      readonly interpreter: string | null;
      readonly interpreterArgs: readonly string[];
    };

/** What is to be asked to learn whether an instance is ready. */
export type Check =
  | { readonly kind: 'http'; readonly url: string }
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number }
  | { readonly kind: 'exec'; readonly argv: readonly [string, ...string[]] }
  | { readonly kind: 'log'; readonly pattern: string }
  | { readonly kind: 'message' }
  /** systemd's protocol: `READY=1` to NOTIFY_SOCKET; for liveness `WATCHDOG=1` in time. */
  | { readonly kind: 'notify' }
  /** A line on a descriptor of the process, as s6 has it. */
  | { readonly kind: 'fd'; readonly fd: number };

/** The checks that tell whether what was ready still lives. */
export type LiveCheck = Extract<Check, { kind: 'http' | 'tcp' | 'exec' | 'notify' }>;

export type ReadyPolicy = {
  readonly check: Check;
  /** Before the first try. Default 0. */
  readonly initialDelayMs: number;
  /** Between the end of one try and the begin of the next. Default 200 ms. */
  readonly intervalMs: number;
  /** For the whole of becoming ready. Default 30 s; reaching it is a failed start. */
  readonly timeoutMs: number;
  /** So many good answers, one after the other. Default 1. */
  readonly successThreshold: number;
};

/** Whether what has become ready still lives; asked only while it runs. */
export type LivePolicy = {
  readonly check: LiveCheck;
  /** From being ready to the first try. Default 0. */
  readonly initialDelayMs: number;
  /** Between the begins of two tries. Default 10 s. With `notify`: `failureThreshold` of them is the watchdog's time. */
  readonly intervalMs: number;
  /** Of one try. Default 1 s. */
  readonly timeoutMs: number;
  /** So many bad answers, one after the other, and it is stopped by the ladder, as a failure. Default 3. */
  readonly failureThreshold: number;
};

/** Where a socket listens. A `host` is an address, never a name. */
export type SocketAddress =
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number }
  | { readonly kind: 'unix'; readonly path: string };

/** A socket that is bound once and handed to every instance. */
export type SocketSpec = {
  readonly name: string;
  readonly address: SocketAddress;
  /** Connections that may wait. Default 511; the kernel's somaxconn is its ceiling. */
  readonly backlog: number;
  /** Of a Unix socket's file; `null`: as the umask says. */
  readonly mode: number | null;
};

/** How a rolling restart goes about it. */
export type RollingPolicy = {
  /** Instances beside the wanted ones. Default 1; 0 replaces in place. */
  readonly maxSurge: number;
  /** Wanted instances that may be down by it. Default 0; with `maxSurge` 0 it is at least 1. */
  readonly maxUnavailable: number;
  /** How long a new instance stays ready before an old one goes. Default 1 s. */
  readonly minReadyMs: number;
};

export type DependencyCondition = 'started' | 'ready' | 'completed';

export type RestartPolicy = {
  readonly policy: 'always' | 'on-failure' | 'never';
  /** The first delay of a backoff. Default 250 ms; 0 restarts at once, always. */
  readonly minDelayMs: number;
  /** The ceiling of a backoff. Default 60 s. */
  readonly maxDelayMs: number;
  /** Restarts allowed within `windowMs`. Default 10. */
  readonly limit: number;
  /** Default 60 s. */
  readonly windowMs: number;
  /** Exit codes that count as success. Default [0]. */
  readonly successExitCodes: readonly number[];
};

/** Whom signals reach: the leader softly and its whole group hard (`mixed`), the group always, or the leader only. */
type KillMode = 'mixed' | 'group' | 'leader';

type PreStopHook = { readonly argv: readonly [string, ...string[]]; readonly timeoutMs: number };

export type StopPolicy = {
  /** `null`: the signal that the supervisor got, else SIGTERM. */
  readonly signal: SignalName | null;
  /** From the stop signal to SIGKILL. Default 10 s. */
  readonly graceMs: number;
  readonly killMode: KillMode;
  /** Readiness is off and traffic still served for so long before the signal. Default 0. */
  readonly drainDelayMs: number;
  readonly preStop: PreStopHook | null;
  /** The message 'shutdown' over Node's IPC channel in place of the signal. Default false. */
  readonly message: boolean;
};

/** Files whose change restarts a service. */
export type WatchPolicy = {
  /** Files and folders, absolute. */
  readonly paths: readonly string[];
  /** Names, paths from the service's folder, or globs. `node_modules` and `.git` are ignored always. */
  readonly ignore: readonly string[];
  /** After the last change. Default 200 ms. */
  readonly debounceMs: number;
};

/** How the output of an instance is kept. */
export type LogPolicy = {
  /** `cri`: `time stream F line`, as Kubernetes' container logs are; `raw`: as it came; `json`: an object a line. */
  readonly format: 'cri' | 'raw' | 'json';
  /** A file that has grown to so many bytes is rotated. Default 10 MB. */
  readonly maxSizeBytes: number;
  /** Files kept, the one that is written included. Default 5. */
  readonly maxFiles: number;
  /** A file is rotated, and a rotated one removed, when it is so old; `null`: age does not count. */
  readonly maxAgeMs: number | null;
  /** Whether rotated files are gzipped. Default false. */
  readonly compress: boolean;
};

export type ServiceSpec = {
  readonly name: string;
  readonly program: Program;
  /** Absolute. */
  readonly cwd: string;
  readonly env: Readonly<Record<string, string>>;
  /** Absolute paths, re-read at every start; later files win. */
  readonly envFiles: readonly string[];
  /** Whether it inherits the environment of the command that started it; `null`: only if it runs as the user of gsup. */
  readonly inheritEnv: boolean | null;
  readonly instances: number;
  readonly dependsOn: Readonly<Record<string, DependencyCondition>>;
  readonly ready: ReadyPolicy | null;
  readonly live: LivePolicy | null;
  /** Descriptor 3 is the first one. */
  readonly sockets: readonly SocketSpec[];
  readonly rolling: RollingPolicy;
  readonly restart: RestartPolicy;
  readonly stop: StopPolicy;
  /** When it has failed for good, everything stops. Default false. */
  readonly critical: boolean;
  /** Above so many bytes of resident memory of the whole instance it is restarted gracefully; `null`: no limit. */
  readonly memoryLimitBytes: number | null;
  readonly logs: LogPolicy;
  /** `null`: nothing is watched. */
  readonly watch: WatchPolicy | null;
  /** A cron expression in local time: what runs then is restarted; `null`: never. */
  readonly schedule: string | null;
  /** Name or number; `null`: as the supervisor. */
  readonly user: string | null;
  readonly group: string | null;
  /** `null`: as the supervisor. */
  readonly umask: number | null;
  /** -20 to 19; `null`: as the supervisor. */
  readonly nice: number | null;
};

export const DEFAULT_READY_INTERVAL_MS = 200;
export const DEFAULT_READY_TIMEOUT_MS = 30_000;
export const DEFAULT_BACKLOG = 511;
export const DEFAULT_DEBOUNCE_MS = 200;
export const DEFAULT_PRE_STOP_TIMEOUT_MS = 5_000;

export const DEFAULT_LIVE: Omit<LivePolicy, 'check'> = {
  initialDelayMs: 0,
  intervalMs: 10_000,
  timeoutMs: 1_000,
  failureThreshold: 3,
};

export const DEFAULT_ROLLING: RollingPolicy = { maxSurge: 1, maxUnavailable: 0, minReadyMs: 1_000 };

export const DEFAULT_RESTART: RestartPolicy = {
  policy: 'always',
  minDelayMs: 250,
  maxDelayMs: 60_000,
  limit: 10,
  windowMs: 60_000,
  successExitCodes: [0],
};

export const DEFAULT_STOP: StopPolicy = {
  signal: null,
  graceMs: 10_000,
  killMode: 'mixed',
  drainDelayMs: 0,
  preStop: null,
  message: false,
};

export const DEFAULT_LOGS: LogPolicy = {
  format: 'cri',
  maxSizeBytes: 10_000_000,
  maxFiles: 5,
  maxAgeMs: null,
  compress: false,
};

/** What the whole supervisor is to do. */
export type SupervisorSpec = {
  readonly services: readonly ServiceSpec[];
  /** The budget of a whole shutdown; `null`: as long as the longest path of waves needs. */
  readonly shutdownTimeoutMs: number | null;
  /** `null`: the file wants none; absent: it is of no file, and says nothing of it. */
  readonly http?: HttpSpec | null;
};

/** Where health, metrics and the page are served. */
export type HttpSpec = {
  readonly host: string;
  readonly port: number;
  /** Who has it may see everything and act; `null`: on this machine everybody may see, and nobody act. */
  readonly token: string | null;
  /** Names that it goes by, beside those of this machine. */
  readonly hosts: readonly string[];
};
