/** Policy and history → restart after a delay, give up, or leave it ended; always with the reason. */
import { formatDuration } from './duration.ts';
import type { RestartPolicy } from './service.ts';

/** A run of at least so long is restarted at once and begins the backoff anew. */
const STABLE_RUN_MS = 30_000;
const JITTER = 0.2;

/** What is remembered of earlier restarts: their moments within the window, and how many came one after the other. */
export type RestartHistory = { readonly restartedAt: readonly number[]; readonly attempt: number };
export const NO_RESTARTS: RestartHistory = { restartedAt: [], attempt: 0 };

export type EndOfRun = {
  readonly at: number;
  readonly ranMs: number;
  readonly exitCode: number | null;
  /** How it ended, for people: `exit 1`, `killed by SIGKILL`, `not ready within 30s`. */
  readonly cause: string;
  /** A failure whatever the code: not ready in time, or it could not be started. */
  readonly isFailure: boolean;
  /** The supervisor had no descriptor left to start it: not its failure, so it doesn't count towards the restart limit. */
  readonly isShortage?: boolean;
  /** 0 ≤ random < 1, for the jitter. */
  readonly random: number;
};

export type Decision =
  | { readonly kind: 'restart'; readonly delayMs: number; readonly reason: string; readonly history: RestartHistory }
  | { readonly kind: 'give-up'; readonly reason: string }
  | { readonly kind: 'leave'; readonly reason: string };

export function isSuccess(policy: RestartPolicy, end: Pick<EndOfRun, 'exitCode' | 'isFailure'>): boolean {
  return !end.isFailure && end.exitCode !== null && policy.successExitCodes.includes(end.exitCode);
}

/** What to do after a run has ended by itself. */
export function decideRestart(policy: RestartPolicy, history: RestartHistory, end: EndOfRun): Decision {
  const succeeded = isSuccess(policy, end);
  if (policy.policy === 'never' || (policy.policy === 'on-failure' && succeeded)) {
    return succeeded
      ? { kind: 'leave', reason: end.cause }
      : { kind: 'give-up', reason: `${end.cause}, restart policy never` };
  }
  const recent = history.restartedAt.filter((at) => at <= end.at && end.at - at < policy.windowMs);
  if (recent.length >= policy.limit && end.isShortage !== true) {
    const spread = formatDuration(end.at - (recent[0] ?? end.at) + end.ranMs);
    return { kind: 'give-up', reason: `${end.cause}, restarted ${recent.length}x in ${spread} (restart limit)` };
  }
  const isStable = end.ranMs >= STABLE_RUN_MS;
  const attempt = isStable ? 0 : history.attempt;
  return {
    kind: 'restart',
    delayMs: isStable ? 0 : backoffDelay(policy, attempt, end.random),
    reason: end.cause,
    history: { restartedAt: end.isShortage === true ? recent : [...recent, end.at], attempt: attempt + 1 },
  };
}

/** The delay of the attempt (0 is the first): doubling from `minDelayMs` up to `maxDelayMs`, ±20 %. */
function backoffDelay(policy: RestartPolicy, attempt: number, random: number): number {
  const plain = Math.min(policy.maxDelayMs, policy.minDelayMs * 2 ** Math.min(attempt, 40));
  if (policy.minDelayMs === policy.maxDelayMs) return plain;
  return Math.round(Math.min(policy.maxDelayMs, plain * (1 + JITTER * (2 * random - 1))));
}
