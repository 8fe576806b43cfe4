/** What has happened: the events that a supervisor's decisions are made from. Past participles; `at` is the clock's ms. */
import type { OomFinding } from './oom.ts';
import type { Survivor } from './record.ts';
import type { ServiceSpec } from './service.ts';
import type { SignalName } from './signal.ts';

export type Timer = 'ready' | 'rung' | 'warning' | 'backoff' | 'settled';

/** News of an instance. Those with a `run` tell of that run only; of another run they are stale. */
export type InstanceEvent =
  | { readonly type: 'start-requested'; readonly at: number; readonly reason: string }
  | {
      readonly type: 'stop-requested';
      readonly at: number;
      readonly reason: string;
      /** The signal that the supervisor got, if one. */
      readonly signal: SignalName | null;
      /** For drain delay, pre-stop and grace together; `null`: as long as the spec says. */
      readonly budgetMs: number | null;
      readonly next: 'stopped' | 'start';
    }
  | { readonly type: 'forced'; readonly at: number }
  | { readonly type: 'dependency-failed'; readonly at: number; readonly reason: string }
  | {
      readonly type: 'spawned';
      readonly at: number;
      readonly run: number;
      readonly pid: number;
      readonly command: string;
    }
  | {
      readonly type: 'spawn-failed';
      readonly at: number;
      readonly run: number;
      readonly reason: string;
      /** 126, 127, or null when another try may help; `shortage`: it does as soon as the supervisor has descriptors again. */
      readonly exitStatus: number | 'shortage' | null;
    }
  | { readonly type: 'ready'; readonly at: number; readonly run: number; readonly by: string }
  /** Its liveness check says so. */
  | { readonly type: 'unhealthy'; readonly at: number; readonly run: number; readonly reason: string }
  /** One bad answer of it, of so many that make it unhealthy. */
  | {
      readonly type: 'check-failed';
      readonly at: number;
      readonly run: number;
      readonly reason: string;
      readonly count: number;
      readonly limit: number;
    }
  /** The app asks for more time, for becoming ready or for its stop: so long from now. */
  | { readonly type: 'extended'; readonly at: number; readonly run: number; readonly ms: number }
  /** What its readiness check says as long as it isn't. */
  | { readonly type: 'not-ready-yet'; readonly at: number; readonly run: number; readonly reason: string }
  | { readonly type: 'timed-out'; readonly at: number; readonly run: number; readonly timer: Timer }
  | { readonly type: 'signal-forwarded'; readonly at: number; readonly signal: SignalName }
  | { readonly type: 'hook-ended'; readonly at: number; readonly run: number; readonly reason: string | null }
  | {
      readonly type: 'exited';
      readonly at: number;
      readonly run: number;
      readonly code: number | null;
      readonly signal: SignalName | null;
    }
  | {
      readonly type: 'survivors-found';
      readonly at: number;
      readonly run: number;
      readonly survivors: readonly Survivor[];
    }
  | { readonly type: 'group-emptied'; readonly at: number; readonly run: number }
  | { readonly type: 'logs-ended'; readonly at: number; readonly run: number }
  /** A new supervisor has looked for what the one before it left: the pid of the leader that lives, or `null`. */
  | {
      readonly type: 'restored';
      readonly at: number;
      readonly run: number;
      readonly pid: number | null;
      /** When that process started, where it is another than the state has: of a run that was never saved. */
      readonly startedAt?: number;
    }
  /** What is known of a SIGKILL that was not ours. It comes when the next run may have begun, so it is no news of a run. */
  | {
      readonly type: 'killer-found';
      readonly at: number;
      readonly pid: number;
      /** When that process ended. */
      readonly exitedAt: number;
      readonly oom: OomFinding;
    }
  /** What the app says of its own shutdown. */
  | {
      readonly type: 'app-told';
      readonly at: number;
      readonly run: number;
      readonly appPhase: string;
      readonly pending: Readonly<Record<string, unknown>> | null;
    };

export type InstanceEventType = InstanceEvent['type'];

/** Which of the two places of its index a run has: during a rolling restart both are taken. */
export type Lane = 0 | 1;

/** An instance by its service and index; without a lane the one that serves is meant. */
export type InstanceRef = { readonly service: string; readonly index: number; readonly lane?: Lane };
/** One of the two places of an index, for good. */
export type Slot = Required<InstanceRef>;

/** News for the root: of an instance, or of the whole. */
export type SupervisorEvent =
  | { readonly type: 'instance'; readonly of: InstanceRef; readonly event: InstanceEvent }
  | {
      readonly type: 'start';
      readonly at: number;
      readonly services: readonly string[];
      readonly reason: string;
      /** Default: all of them. */
      readonly indexes?: readonly number[];
    }
  | { readonly type: 'stop'; readonly at: number; readonly instances: readonly InstanceRef[]; readonly reason: string }
  | {
      readonly type: 'restart';
      readonly at: number;
      readonly instances: readonly InstanceRef[];
      readonly reason: string;
    }
  | {
      readonly type: 'define';
      readonly at: number;
      readonly spec: ServiceSpec;
      readonly reason: string;
      /** Whether what runs of it is stopped and begins anew with the new spec. */
      readonly replaces: boolean;
    }
  /** A rolling restart of the instances with these indexes, to another spec or (`null`) to the same one anew. */
  | {
      readonly type: 'roll';
      readonly at: number;
      readonly service: string;
      readonly spec: ServiceSpec | null;
      /** Default: all of them. */
      readonly indexes?: readonly number[];
      /** What they inherit is another, though the spec may be the same. Default false. */
      readonly isChange?: boolean;
      readonly reason: string;
    }
  /** No further with it: what has not taken over goes, what serves stays. */
  | { readonly type: 'abort-roll'; readonly at: number; readonly services: readonly string[]; readonly reason: string }
  /** The budget of a whole shutdown, from a file. */
  | { readonly type: 'configure'; readonly at: number; readonly shutdownTimeoutMs: number | null }
  | { readonly type: 'remove'; readonly at: number; readonly services: readonly string[]; readonly reason: string }
  | {
      readonly type: 'shutdown';
      readonly at: number;
      readonly reason: string;
      readonly signal: SignalName | null;
      /** Everything counts as stopped by hand: a new supervisor starts none of it. Default false. */
      readonly isByHand?: boolean;
    }
  | { readonly type: 'force'; readonly at: number; readonly reason: string };
