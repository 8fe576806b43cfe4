/** The shutdown of everything: waves in reverse dependency order, and one deadline shared out over them. */

/** What every later wave keeps of the budget, however long the earlier ones take. */
const WAVE_FLOOR_MS = 1_000;

/**
 * The budget of the first of `needsMs` (one length a wave still to come) out of `remainingMs`: all that is left
 * but the floors of the later waves, so unused time flows on. When there is too little for the floors, an equal share.
 */
export function waveBudget(needsMs: readonly number[], remainingMs: number): number {
  const [need = 0, ...later] = needsMs;
  const left = Math.max(0, remainingMs);
  const floors = later.reduce((sum, length) => sum + Math.min(length, WAVE_FLOOR_MS), 0);
  const own = Math.min(need, WAVE_FLOOR_MS);
  return floors + own > left ? Math.floor(left / needsMs.length) : Math.min(need, left - floors);
}
