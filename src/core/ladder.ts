/** The ladder: the whole stop of an instance as one list of rungs, from the request to the last byte of its output. */
import type { StopPolicy } from './service.ts';

/** From SIGKILL to the report that a process can't be killed. */
const KILL_WAIT_MS = 5_000;
/** For reading an ended instance's output to its end. */
const LOG_WAIT_MS = 2_000;
/** For one look at what outlived the leader. */
const LOOK_WAIT_MS = 2_000;
/** The share of the grace period after which a warning is due. */
export const WARN_AT = 0.8;

export type RungName =
  | 'draining'
  | 'pre-stop'
  | 'signal-sent'
  | 'kill-sent'
  | 'exited'
  | 'survivors-signalled'
  | 'survivors-killed'
  | 'logs-drained';

export type Rung = {
  readonly name: RungName;
  /** What it does when it is entered. */
  readonly enter:
    | 'nothing'
    | 'run-hook'
    | 'signal'
    | 'kill'
    | 'find-survivors'
    | 'signal-survivors'
    | 'kill-survivors'
    | 'drain-logs';
  /** The news that ends it. The leader's exit ends every rung that stands before `exited`. */
  readonly until: 'exited' | 'hook-ended' | 'survivors-found' | 'group-emptied' | 'logs-ended';
  readonly atMost: number | 'rest-of-grace';
  /** Whether this policy has it at all. */
  readonly isWanted: boolean;
  /** A second SIGINT skips what is not hard. */
  readonly isHard: boolean;
};

/** The rungs of a stop policy, in order. */
export function stopLadder(stop: StopPolicy): readonly Rung[] {
  const all = stop.killMode !== 'leader';
  return [
    rung('draining', 'nothing', 'exited', stop.drainDelayMs, { isWanted: stop.drainDelayMs > 0 }),
    rung('pre-stop', 'run-hook', 'hook-ended', stop.preStop?.timeoutMs ?? 0, { isWanted: stop.preStop !== null }),
    rung('signal-sent', 'signal', 'exited', stop.graceMs),
    rung('kill-sent', 'kill', 'exited', KILL_WAIT_MS, { isHard: true }),
    rung('exited', 'find-survivors', 'survivors-found', LOOK_WAIT_MS, { isHard: true, isWanted: all }),
    rung('survivors-signalled', 'signal-survivors', 'group-emptied', 'rest-of-grace', { isWanted: all }),
    rung('survivors-killed', 'kill-survivors', 'group-emptied', KILL_WAIT_MS, { isHard: true, isWanted: all }),
    rung('logs-drained', 'drain-logs', 'logs-ended', LOG_WAIT_MS, { isHard: true }),
  ];
}

/** Where the ladder stands: what decides which rung is needed next. */
export type Standing = {
  readonly hasExited: boolean;
  readonly hasSurvivors: boolean;
  readonly isForced: boolean;
  readonly restOfGraceMs: number;
};

/** The first rung behind `after` (null: the first of all) that is needed, or `null` at the top. */
export function nextRung(ladder: readonly Rung[], after: RungName | null, standing: Standing): Rung | null {
  const from = after === null ? 0 : ladder.findIndex(({ name }) => name === after) + 1;
  return ladder.slice(from).find((candidate) => isNeeded(candidate, standing)) ?? null;
}

/** The ceiling of a rung in ms. */
export function ceiling(rung: Rung, standing: Standing): number {
  return rung.atMost === 'rest-of-grace' ? standing.restOfGraceMs : rung.atMost;
}

/** `stop` cut to a budget for drain delay, pre-stop and grace together: the grace period first, then the hook, then the delay. */
export function fitStop(stop: StopPolicy, budgetMs: number | null): StopPolicy {
  if (budgetMs === null) return stop;
  const graceMs = Math.min(stop.graceMs, budgetMs);
  const hookMs = Math.min(stop.preStop?.timeoutMs ?? 0, budgetMs - graceMs);
  return {
    ...stop,
    graceMs,
    preStop: stop.preStop === null || hookMs === 0 ? null : { ...stop.preStop, timeoutMs: hookMs },
    drainDelayMs: Math.min(stop.drainDelayMs, budgetMs - graceMs - hookMs),
  };
}

function isNeeded(rung: Rung, standing: Standing): boolean {
  if (!rung.isWanted || (standing.isForced && !rung.isHard)) return false;
  switch (rung.name) {
    case 'draining':
    case 'pre-stop':
    case 'signal-sent':
    case 'kill-sent':
      return !standing.hasExited;
    case 'survivors-signalled':
      return standing.hasSurvivors && standing.restOfGraceMs > 0;
    case 'survivors-killed':
      return standing.hasSurvivors;
    case 'exited':
    case 'logs-drained':
      return true;
  }
}

function rung(
  name: RungName,
  enter: Rung['enter'],
  until: Rung['until'],
  atMost: Rung['atMost'],
  { isWanted = true, isHard = false }: { isWanted?: boolean; isHard?: boolean } = {},
): Rung {
  return { name, enter, until, atMost, isWanted, isHard };
}
