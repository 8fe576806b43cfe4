/** What the control socket tells: instances, services, records, results. Lengths in ms, moments in epoch ms. */
import type { OuterLimit, StopBudget } from '../core/budget.ts';
import type { Cause } from '../core/explain-end.ts';
import type { InstanceName } from '../core/name.ts';
import type { Verdict } from '../core/record.ts';
import type { Recorded } from '../core/recorded.ts';
import type { LogPolicy, ServiceSpec } from '../core/service.ts';
import type { LastExit, StateName } from '../core/state.ts';
import type { StopTimes } from '../core/stop-times.ts';

/** One row of `gsup ls --json`. */
export type InstanceView = {
  readonly service: string;
  readonly instance: InstanceName;
  readonly index: number;
  /** GSUP_ID of the present run. */
  readonly id: string | null;
  readonly pid: number | null;
  readonly state: StateName;
  readonly ready: boolean;
  readonly restarts: number;
  /** Since the present run began. */
  readonly uptimeMs: number | null;
  /** Of one processor, over the time since somebody looked last; of the whole tree. */
  readonly cpuPercent: number | null;
  /** Resident, of the whole tree. */
  readonly memoryBytes: number | null;
  readonly lastExit: LastExit | null;
  /** While stopping: the rung. */
  readonly phase: string | null;
  /** While stopping: when SIGKILL comes. */
  readonly deadline: number | null;
  /** Why it failed, or is tried again. */
  readonly reason: string | null;
  /** In backoff: when the next try comes, and the how many-th it is. */
  readonly nextTryAt: number | null;
  readonly attempt: number | null;
  /** Asked to start and waiting for these services. */
  readonly waitingFor: readonly string[];
  readonly hasCheck: boolean;
  /** During a rolling restart, of a second run: not there yet, or on its way out. `null`: the one that serves. */
  readonly spare: 'coming' | 'leaving' | null;
  /** What the app says of itself by systemd's STATUS=. */
  readonly status: string | null;
  /** How long the last stops of its service took; `null`: there were none. */
  readonly stops: StopTimes | null;
};

/** What `gsup show` tells of a service; values of secret variables are masked. */
export type ServiceView = {
  readonly service: string;
  readonly spec: ServiceSpec;
  readonly instances: readonly InstanceView[];
  readonly stops: StopTimes | null;
  readonly dependents: readonly string[];
  readonly logFiles: readonly string[];
  readonly logFormat: LogPolicy['format'];
};

export type PingReply = {
  readonly version: string;
  readonly protocol: number;
  readonly pid: number;
  readonly startedAt: number;
  readonly home: string;
  readonly services: number;
  readonly instances: number;
  /** Whether exits of adopted instances come by event, and no byte of a log can be lost with the daemon. */
  readonly native: boolean;
  /** Whether systemd runs it, and starts the next one. */
  readonly managed: boolean;
};

/** What a daemon answers when a call can't be obeyed. */
export type Refusal = { readonly error: string; readonly exitStatus: number; readonly hint?: string };

/** A record with its moments, as it goes over the wire. */
export type Told = Recorded;

/** What an apply will do, or has done, to one service. */
export type Change = {
  readonly service: string;
  readonly action: 'add' | 'replace' | 'update' | 'scale' | 'remove' | 'start' | 'none';
  /** The keys that differ, or the counts. */
  readonly what: string;
};

/** How one instance came out of an operation. */
export type Outcome = {
  readonly instance: InstanceName;
  readonly isOk: boolean;
  /** `ready after 1.2s`, `stopped cleanly`, `exit 1 after 40ms; tried again in 250ms`. */
  readonly message: string;
  readonly verdict: Verdict | null;
  /** It was waited for in vain. */
  readonly isTimeout: boolean;
  /** The end of what it wrote to stderr, when it failed. */
  readonly stderr: readonly string[];
};

/** One line of the stream that an operation answers with; `result` comes last. */
export type OperationLine =
  | { readonly type: 'record'; readonly record: Told }
  | { readonly type: 'plan'; readonly changes: readonly Change[] }
  | {
      readonly type: 'result';
      readonly exitStatus: number;
      readonly outcomes: readonly Outcome[];
      /** What went wrong before anything was done. */
      readonly error: string | null;
      readonly hint: string | null;
    };

/** One line of `gsup logs`. */
export type LogEntry = {
  readonly instance: InstanceName;
  /** `null`: the format has no time. */
  readonly at: number | null;
  readonly stream: 'stdout' | 'stderr' | null;
  readonly line: string;
};

/** All lines of the past have been sent; only where it is asked for. */
export type EndOfPast = { readonly isEndOfPast: true };

/** `gsup env`: what the next start would get; values of secret variables are masked. */
export type EnvironmentView = {
  readonly service: string;
  readonly environment: Readonly<Record<string, string>>;
  /** What `--update-env` with the caller's environment would change; `null`: not asked. */
  readonly diff: readonly { readonly name: string; readonly from: string | null; readonly to: string | null }[] | null;
};

/** One end of a run, as `why` lists them. */
export type EndView = {
  readonly at: number;
  readonly pid: number | null;
  /** How long it ran; `null`: it never did, or its start is not recorded any more. */
  readonly ranMs: number | null;
  /** `exit 1`, `killed by SIGKILL`, `could not be started`. */
  readonly exit: string;
  /** Who or what ended it; `null`: it did by itself. */
  readonly reason: string | null;
  /** `again in 250ms`, `given up`; `null`: it was to end. */
  readonly outcome: string | null;
};

/** `gsup why`: how an instance stands and why. */
export type WhyView = {
  readonly view: InstanceView;
  /** Of its service, the other instances. */
  readonly others: readonly InstanceView[];
  /** When it came to be as it is; `null`: it is not recorded any more. */
  readonly since: number | null;
  readonly command: string;
  readonly cause: Cause;
  /** The last ones, oldest first. */
  readonly ends: readonly EndView[];
  /** What the app said last of its own shutdown, in the run that is explained: `closing, pending hooks db`. */
  readonly pending: string | null;
  /** What it wrote last before its end. */
  readonly stderr: readonly string[];
  readonly budget: StopBudget;
  readonly outer: OuterLimit | null;
};

/** What a command needs to start one more instance of a service itself: nothing is masked. */
export type SpareView = {
  readonly spec: ServiceSpec;
  /** What its instances inherit. */
  readonly environment: Readonly<Record<string, string>>;
  /** The services it depends on that aren't as it needs them. */
  readonly missing: readonly string[];
};
