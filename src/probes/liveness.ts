/** Asks a check in a steady rhythm whether what has become ready still lives, until it does not. */
import { FRESH_HEALTH, judge } from '../core/health.ts';
import type { LivePolicy } from '../core/service.ts';
import { type ActiveCheck, checkOnce, type Surroundings } from './check.ts';
import { NOT_ASKED, OTHERS_ANSWER } from './ownership.ts';
import { pause } from './pause.ts';

/** What is told of the answers; what other instances answered counts neither way and is not told. */
type LivenessListener = {
  /** A bad answer, the `count`th in a row. */
  failed(reason: string, count: number): void;
  /** The bad answer was the last one allowed: nothing more is asked. */
  sick(reason: string): void;
  /** The first good answer after a bad one. */
  recovered(): void;
};

export type LivenessWatch = {
  readonly check: ActiveCheck;
  readonly policy: LivePolicy;
  readonly surroundings: Surroundings;
  readonly signal: AbortSignal;
  readonly tell: LivenessListener;
};

/** Resolves once it is sick or `signal` is aborted, after which nothing is told and no timer runs. */
export async function watchLiveness({ check, policy, surroundings, signal, tell }: LivenessWatch): Promise<void> {
  const thresholds = { successThreshold: 1, failureThreshold: policy.failureThreshold };
  let health = FRESH_HEALTH;
  await pause(policy.initialDelayMs, signal);
  while (!signal.aborted) {
    const begun = performance.now();
    const reason = await checkOnce(check, surroundings, policy.timeoutMs, signal);
    if (signal.aborted) return;
    if (reason !== OTHERS_ANSWER && reason !== NOT_ASKED) {
      const judged = judge(health, reason === null, thresholds);
      if (reason !== null) tell.failed(reason, judged.health.bad);
      else if (health.bad > 0) tell.recovered();
      if (reason !== null && judged.verdict === 'sick') return tell.sick(reason);
      health = judged.health;
    }
    await pause(Math.max(0, begun + policy.intervalMs - performance.now()), signal);
  }
}
