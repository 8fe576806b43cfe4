/** Moments of a cron expression, by the wall clock, which may be set forward or back at any time. */
import { Cron } from 'croner';

/** The longest delay after the machine slept or its clock was set. */
const LOOK_AGAIN_MS = 60_000;

/** Calls back at each moment from now on; missed moments are made up for once. The result ends it. */
export function onSchedule(expression: string, due: () => void): () => void {
  const cron = new Cron(expression, { paused: true });
  let next = cron.nextRun()?.getTime() ?? null;
  let lastLookAt = Date.now();
  let timer: NodeJS.Timeout | null = null;
  const arm = (): void => {
    if (next === null) return;
    timer = setTimeout(look, Math.min(Math.max(next - Date.now(), 0), LOOK_AGAIN_MS)).unref();
  };
  const look = (): void => {
    const now = Date.now();
    // The clock was set back: the moment that was computed before may now be hours away.
    if (now < lastLookAt) next = cron.nextRun()?.getTime() ?? null;
    lastLookAt = now;
    if (next !== null && now >= next) {
      next = cron.nextRun()?.getTime() ?? null;
      due();
    }
    arm();
  };
  arm();
  return () => {
    if (timer !== null) clearTimeout(timer);
  };
}
