/** Asks a check again and again, never two at once, until it is well. */
import type { ReadyPolicy } from '../core/service.ts';
import { type ActiveCheck, checkOnce, type Surroundings } from './check.ts';

/** One try may take so long at most. */
const TRY_TIMEOUT_MS = 5_000;

/** Resolves with true when the check is well, with false when `signal` is aborted before. */
export async function untilReady(
  check: ActiveCheck,
  policy: ReadyPolicy,
  surroundings: Surroundings,
  signal: AbortSignal,
): Promise<boolean> {
  const tryMs = Math.min(TRY_TIMEOUT_MS, policy.timeoutMs);
  while (!signal.aborted) {
    if ((await checkOnce(check, surroundings, tryMs, signal)) === null) return !signal.aborted;
    await pause(policy.intervalMs, signal);
  }
  return false;
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    const end = () => {
      clearTimeout(timer);
      signal.removeEventListener('abort', end);
      resolve();
    };
    const timer = setTimeout(end, ms);
    signal.addEventListener('abort', end, { once: true });
  });
}
