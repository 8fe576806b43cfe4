/** How many answers of a check were alike, one after the other, and what follows from it. */

/** One of the two is always 0. */
export type Health = { readonly good: number; readonly bad: number };

/** `open`: too few alike to say. */
export type HealthVerdict = 'well' | 'sick' | 'open';

export const FRESH_HEALTH: Health = { good: 0, bad: 0 };

/** Counts one answer, as Kubernetes does: the first of the other kind begins anew. */
export function judge(
  was: Health,
  isWell: boolean,
  { successThreshold, failureThreshold }: { readonly successThreshold: number; readonly failureThreshold: number },
): { readonly health: Health; readonly verdict: HealthVerdict } {
  if (isWell) {
    const good = was.good + 1;
    return { health: { good, bad: 0 }, verdict: good >= successThreshold ? 'well' : 'open' };
  }
  const bad = was.bad + 1;
  return { health: { good: 0, bad }, verdict: bad >= failureThreshold ? 'sick' : 'open' };
}
