/** PM2's keys of restarting → `restart`. */
import { durationText, type ServiceInput } from './config.ts';
import { type Noting, show } from './note.ts';
import type { Fields } from './pm2-fields.ts';

type Restart = Exclude<NonNullable<ServiceInput['restart']>, string>;

/** The cap of PM2's exponential backoff. */
const BACKOFF_CAP_MS = 15_000;
const PM2_MIN_UPTIME_MS = 1_000;
/** gsup's own, where the file says nothing. */
const [MIN_DELAY_MS, MAX_DELAY_MS, WINDOW_MS] = [250, 60_000, 60_000];
const LONGEST_MS = 2_147_483_000;
const MOST = 1_000_000;

export function restartOf(fields: Fields, note: Noting): Pick<ServiceInput, 'restart'> {
  const delays = delaysOf(fields);
  const restart: Restart = {
    ...policyOf(fields, note),
    ...(delays === null ? {} : { minDelay: durationText(delays.min), maxDelay: durationText(delays.max) }),
    ...limitOf(fields, delays ?? { min: MIN_DELAY_MS, max: MAX_DELAY_MS }, note),
  };
  return Object.keys(restart).length > 0 ? { restart } : {};
}

/** Codes that stop are the only successes, so that 0 is restarted as PM2 does it. */
function policyOf(fields: Fields, note: Noting): Restart {
  if (fields.flag('autorestart') === false) return { policy: 'never' };
  const codes = fields.words('stop_exit_codes');
  const isCode = (code: string) => /^\d{1,3}$/.test(code) && Number(code) <= 255;
  const wrong = codes.filter((code) => !isCode(code));
  if (wrong.length > 0) note(fields.written('stop_exit_codes'), `${show(wrong)}: exit codes go from 0 to 255`);
  const successExitCodes = [...new Set(codes.filter(isCode).map(Number))];
  return successExitCodes.length > 0 ? { policy: 'on-failure', successExitCodes } : {};
}

type Delays = { readonly min: number; readonly max: number };

function delaysOf(fields: Fields): Delays | null {
  const backoff = fields.duration('exp_backoff_restart_delay') ?? 0;
  const delay = fields.duration('restart_delay') ?? 0;
  if (backoff > 0) return { min: backoff, max: Math.max(backoff, BACKOFF_CAP_MS) };
  return delay > 0 ? { min: delay, max: delay } : null;
}

/** PM2 counts runs that are shorter than min_uptime; here so many restarts within the time that they take at least. */
function limitOf(fields: Fields, delays: Delays, note: Noting): Restart {
  const written = fields.number('max_restarts');
  const minUptime = fields.duration('min_uptime');
  if (written === null) {
    if (minUptime !== null)
      note(
        fields.written('min_uptime'),
        'gsup counts every restart within restart.window (10 in 60s), however long it ran',
      );
    return {};
  }
  const limit = Math.min(MOST, Math.max(0, Math.trunc(written)));
  const window = Math.max(WINDOW_MS, windowFor(limit, delays) + limit * (minUptime ?? PM2_MIN_UPTIME_MS));
  return { limit, window: durationText(Math.min(LONGEST_MS, Math.ceil(window / 1000) * 1000)) };
}

/** All the delays together, a fifth longer for their jitter. */
function windowFor(limit: number, { min, max }: Delays): number {
  const doubling = Math.max(0, Math.min(limit, Math.ceil(Math.log2(max / min))));
  const rising = min * (2 ** doubling - 1);
  return 1.2 * (rising + (limit - doubling) * max);
}
