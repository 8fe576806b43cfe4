/** Asks a check again and again, never two at once, until it is well. */
import { FRESH_HEALTH, judge } from '../core/health.ts';
import type { ReadyPolicy } from '../core/service.ts';
import { type ActiveCheck, checkOnce, type Surroundings } from './check.ts';
import { NOT_ASKED, OTHERS_ANSWER } from './ownership.ts';
import { pause } from './pause.ts';

/** One try may take so long at most. */
const TRY_TIMEOUT_MS = 5_000;

export type Asked = {
  readonly surroundings: Surroundings;
  readonly signal: AbortSignal;
  /** Takes the reason of each bad answer. */
  notYet(reason: string): void;
};

/** Resolves with true when the check is well often enough, with false when `signal` is aborted before. */
export async function untilReady(
  check: ActiveCheck,
  policy: ReadyPolicy,
  { surroundings, signal, notYet }: Asked,
): Promise<boolean> {
  const tryMs = Math.min(TRY_TIMEOUT_MS, policy.timeoutMs);
  const thresholds = { successThreshold: policy.successThreshold, failureThreshold: Number.POSITIVE_INFINITY };
  let health = FRESH_HEALTH;
  if (policy.initialDelayMs > 0) await pause(policy.initialDelayMs, signal);
  while (!signal.aborted) {
    const reason = await checkOnce(check, surroundings, tryMs, signal);
    if (signal.aborted) return false;
    if (reason !== OTHERS_ANSWER && reason !== NOT_ASKED) {
      const judged = judge(health, reason === null, thresholds);
      if (judged.verdict === 'well') return true;
      if (reason !== null) notYet(reason);
      health = judged.health;
    }
    await pause(policy.intervalMs, signal);
  }
  return false;
}
