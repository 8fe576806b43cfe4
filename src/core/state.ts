/** The states of an instance: plain JSON, each with exactly its own data, so that they survive the supervisor. */
import type { InstanceEffect } from './effect.ts';
import type { Lane } from './event.ts';
import type { RungName } from './ladder.ts';
import type { Survivor } from './record.ts';
import { NO_RESTARTS, type RestartHistory } from './restart.ts';
import type { ServiceSpec, StopPolicy } from './service.ts';
import type { SignalName } from './signal.ts';

/** How a run ended and by whom: itself, the supervisor's signal, a signal from elsewhere, or the kernel for want of memory. */
export type LastExit = {
  readonly code: number | null;
  readonly signal: SignalName | null;
  readonly by: 'self' | 'gsup' | 'outside' | 'oom' | 'unknown';
  readonly at: number;
};

/** What every state keeps. */
export type Life = {
  readonly lane: Lane;
  /** Number of the current or last run, from 1; 0 before the first. */
  readonly run: number;
  readonly restarts: number;
  readonly history: RestartHistory;
  readonly lastExit: LastExit | null;
  /** What has been reached since it was last asked to start, for those that depend on it. */
  readonly reached: { readonly started: boolean; readonly ready: boolean; readonly completed: boolean };
};

/** A process that lives. */
type Live = { readonly pid: number; readonly startedAt: number; readonly forwarded: readonly SignalName[] };

/** What was asked: a stop and what comes after it. */
type StopRequest = {
  readonly at: number;
  readonly reason: string;
  readonly signal: SignalName | null;
  readonly budgetMs: number | null;
  readonly next: 'stopped' | 'start';
};

export type Stopping = Life & {
  readonly name: 'stopping';
  readonly pid: number;
  readonly startedAt: number;
  readonly rung: RungName;
  /** Asked for (by hand, shutdown, readiness), or only clearing up behind a run that ended by itself. */
  readonly isAsked: boolean;
  readonly askedAt: number;
  readonly reason: string;
  /** The policy of this stop, cut to its budget. */
  readonly stop: StopPolicy;
  readonly signal: SignalName;
  /** Signals that were passed on to it. */
  readonly forwarded: readonly SignalName[];
  /** When the stop signal was sent; `null` before. */
  readonly signalledAt: number | null;
  /** When the grace period ends; `null` before the signal. */
  readonly deadline: number | null;
  /** Beyond it the app gets no more time, however much it asks for; `null`: only the cap counts. */
  readonly latest: number | null;
  /** What the app said last of its own shutdown; `null`: nothing. */
  readonly appSays: { readonly appPhase: string; readonly pending: Readonly<Record<string, unknown>> | null } | null;
  readonly exit: LastExit | null;
  readonly survivors: readonly Survivor[];
  readonly hasKilled: boolean;
  /** Survivors that even SIGKILL has not ended; absent: none. */
  readonly alive?: readonly number[];
  readonly isForced: boolean;
  /** What comes after: rest, a start at once, or what the restart policy says. */
  readonly next: 'stopped' | 'start' | 'policy';
  /** Why it counts as a failure whatever its exit code; `null` otherwise. */
  readonly failure: string | null;
  /** It died of a signal that was only passed on to it, or of SIGPIPE: no failure, and no restart. */
  readonly isFinal: boolean;
};

export type InstanceState =
  | (Life & { readonly name: 'stopped' })
  | (Life & { readonly name: 'exited' })
  | (Life & {
      readonly name: 'failed';
      readonly reason: string;
      /** What `gsup run` ends with when there was no process: 126 or 127; else `null`. */
      readonly exitStatus: number | null;
      /** A process that could not be killed and still lives: nothing is started beside it. */
      readonly stuckPid: number | null;
    })
  | (Life & { readonly name: 'backoff'; readonly until: number; readonly reason: string })
  | (Life & {
      readonly name: 'starting';
      readonly pid: number | null;
      readonly startedAt: number;
      /** Who asked for this run; `null`: the restart policy, or nobody knows. */
      readonly startedBy: string | null;
      readonly forwarded: readonly SignalName[];
      readonly stopAsked: StopRequest | null;
      /** When it has to be ready; `null`: not spawned yet, or nothing tells. */
      readonly readyBy: number | null;
      /** The app has asked for more time, and got it. */
      readonly isExtended: boolean;
      /** What its readiness check said last; `null`: nothing. */
      readonly checkSays: string | null;
    })
  | (Life & Live & { readonly name: 'running' })
  | Stopping;

export type StateName = InstanceState['name'];
export type InState<S extends StateName> = Extract<InstanceState, { name: S }>;

/** What a decision may know beside state and event. */
export type Context = {
  readonly spec: ServiceSpec;
  /** 0 ≤ random < 1. */
  readonly random: number;
};

export type Step = readonly [InstanceState, readonly InstanceEffect[]];

/** An instance that was never started. */
export const FRESH: InstanceState = {
  name: 'stopped',
  lane: 0,
  run: 0,
  restarts: 0,
  history: NO_RESTARTS,
  lastExit: null,
  reached: { started: false, ready: false, completed: false },
};

/** What of a state is kept in the next. */
export function lifeOf({ lane, run, restarts, history, lastExit, reached }: Life): Life {
  return { lane, run, restarts, history, lastExit, reached };
}

/** Whether nothing of it runs and nothing will without being asked. */
export function isDown(state: InstanceState): boolean {
  return state.name === 'stopped' || state.name === 'exited' || state.name === 'failed';
}

/** Whether it is on its way down and stays down afterwards. */
export function isGoingDown(state: InstanceState): boolean {
  if (state.name === 'starting') return state.stopAsked?.next === 'stopped';
  return state.name === 'stopping' && state.next === 'stopped';
}

/** The pid of its leader, if one lives. */
export function pidOf(state: InstanceState): number | null {
  switch (state.name) {
    case 'starting':
    case 'running':
      return state.pid;
    case 'stopping':
      return state.exit === null ? state.pid : null;
    default:
      return null;
  }
}
