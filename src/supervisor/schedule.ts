/** Moments of a cron expression, by the wall clock, which may jump. */
import { Cron } from 'croner';

/** A machine that slept, or whose clock was set, is late by so much at most. */
const LOOK_AGAIN_MS = 60_000;

/** Calls back at each moment from now on; what was missed comes once. The result ends it. */
export function onSchedule(expression: string, due: () => void): () => void {
  const cron = new Cron(expression, { paused: true });
  let next = cron.nextRun()?.getTime() ?? null;
  let timer: NodeJS.Timeout | null = null;
  const arm = (): void => {
    if (next === null) return;
    timer = setTimeout(look, Math.min(Math.max(next - Date.now(), 0), LOOK_AGAIN_MS)).unref();
  };
  const look = (): void => {
    if (next !== null && Date.now() >= next) {
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
