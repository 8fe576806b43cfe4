/** Episodes: what became of an instance, or of a whole service, from a beginning to an end; made of records by history.ts. */
import type { InstanceName } from './name.ts';
import type { OomFinding } from './oom.ts';
import type { Verdict } from './record.ts';
import type { SignalName } from './signal.ts';

/** What every episode has. Lengths and `…Ms` are ms from its beginning, by the monotonic clock where the records have it. */
type EpisodeBase = {
  /** When it began by the wall clock, epoch ms. */
  readonly at: number;
  /** The same in ms on the one axis of all episodes, from which jumps of the wall clock are taken out: only differences say anything. */
  readonly axisMs: number;
  /** Its length; `null`: it is not over, or nobody knows when it was. */
  readonly ms: number | null;
  /** False: its beginning is not in the records any more. */
  readonly isWhole: boolean;
  /** The machine was switched off, or records are missing: its end will never be known. */
  readonly isLost: boolean;
};

type OfInstance = EpisodeBase & {
  readonly service: string;
  readonly instance: InstanceName;
  readonly run: number | null;
  readonly pid: number | null;
  /** When a new supervisor took it up. */
  readonly adoptedMs: readonly number[];
};

/** From the spawn until it was ready, or would never be. */
export type StartEpisode = OfInstance & {
  readonly kind: 'start';
  readonly command: string | null;
  /** The kind of check that it had to pass; `null`: none. */
  readonly check: string | null;
  /**
   * `started`: without a check that is all there is to know. `refused`: it could not be spawned. `exited`, `stopped`: before it
   * was ready. `null`: not over, or not known.
   */
  readonly outcome: 'ready' | 'started' | 'not-ready' | 'exited' | 'stopped' | 'refused' | null;
  readonly reason: string | null;
};

/** A phase of the ladder, entered at `fromMs` and left at `toMs` (`null`: not left, or not known when). */
export type RungBar = {
  readonly rung:
    | 'draining'
    | 'pre-stop'
    | 'signal-sent'
    | 'kill-sent'
    | 'exited'
    | 'survivors-signalled'
    | 'survivors-killed'
    | 'logs-drained';
  readonly fromMs: number;
  readonly toMs: number | null;
  /** What was sent, and to whom. */
  readonly signal: SignalName | 'message' | null;
  readonly target: 'leader' | 'group' | null;
  /** Why, or what was run. */
  readonly reason: string | null;
};

/** A phase that the app told of itself, inside of the ladder. */
export type AppBar = {
  readonly phase: string;
  readonly fromMs: number;
  readonly toMs: number | null;
  /** What it said last that it still had to do. */
  readonly pending: Readonly<Record<string, unknown>> | null;
};

/** A step within the app's phases, of its own report: a hook, a task. */
export type AppStep = {
  readonly kind: 'hook' | 'task' | 'worker' | 'state';
  readonly name: string;
  /** Hooks run one after the other: by their order and their phase; `null`: not known. */
  readonly fromMs: number | null;
  readonly ms: number;
  readonly outcome: string;
  readonly error: string | null;
};

/** What came behind an end by the restart policy; `null` fields: it does not say. */
export type Afterwards =
  | {
      readonly kind: 'backoff';
      readonly delayMs: number;
      readonly attempt: number | null;
      readonly reason: string | null;
    }
  | { readonly kind: 'failed'; readonly reason: string | null };

/** The way down of a run: a stop that was asked, or (`exit`) what came after it had ended by itself. */
export type EndEpisode = OfInstance & {
  readonly kind: 'stop' | 'exit';
  /** Why it was asked to stop; `null`: it wasn't, or that is not known. */
  readonly reason: string | null;
  readonly rungs: readonly RungBar[];
  /** The frame: from the stop signal to the deadline; `null`: no signal was sent. */
  readonly grace: { readonly fromMs: number; readonly ms: number } | null;
  readonly warnedMs: number | null;
  readonly app: readonly AppBar[];
  readonly appSteps: readonly AppStep[];
  /** What the app says it left undone. */
  readonly undone: readonly string[];
  readonly exit: { readonly code: number | null; readonly signal: SignalName | null; readonly atMs: number } | null;
  /** How long it had run when its leader ended; `null`: not known. */
  readonly ranMs: number | null;
  /** What a look at a SIGKILL of unknown origin found; `null`: there was none. */
  readonly oom: OomFinding | null;
  /** SIGKILL to the leader, and what the app still had to do as far as it had said. */
  readonly killed: {
    readonly atMs: number;
    readonly reason: string | null;
    readonly appPhase: string | null;
    readonly pending: Readonly<Record<string, unknown>> | null;
  } | null;
  readonly survivors: readonly { readonly pid: number; readonly command: string; readonly isKilled: boolean }[];
  /** What SIGKILL did not end, in words. */
  readonly stuck: string | null;
  /** False: another process held its output open for too long. */
  readonly hasAllOutput: boolean;
  /** `null`: it is not over, or it was not asked for. */
  readonly verdict: Verdict | null;
  /** Share of the grace period, 0 to 1; `null`: not known. */
  readonly graceUsed: number | null;
  readonly afterwards: Afterwards | null;
};

/** A rolling restart of a service. */
export type ReloadEpisode = EpisodeBase & {
  readonly kind: 'reload';
  readonly service: string;
  readonly reason: string | null;
  readonly instances: readonly InstanceName[];
  readonly steps: readonly { readonly atMs: number; readonly instance: InstanceName | null; readonly reason: string }[];
  readonly outcome: 'completed' | 'aborted' | null;
  /** Why it was given up, and the instance whose new run was no good. */
  readonly aborted: { readonly instance: InstanceName | null; readonly reason: string } | null;
};

/** A shutdown of everything. */
export type ShutdownEpisode = EpisodeBase & {
  readonly kind: 'shutdown';
  readonly reason: string | null;
  readonly signal: SignalName | 'message' | null;
  /** How much time there was for all of it. */
  readonly budgetMs: number | null;
  readonly waves: readonly { readonly atMs: number; readonly instances: readonly InstanceName[] }[];
  readonly verdict: Verdict | null;
};

export type InstanceEpisode = StartEpisode | EndEpisode;
export type Episode = InstanceEpisode | ReloadEpisode | ShutdownEpisode;

/** An episode that may go on; each call of `episode` tells how it stands. */
export type Draft = { isLost: boolean; episode(): Episode };
export type RunKey = { readonly service: string; readonly instance: InstanceName; readonly run: number | null };
