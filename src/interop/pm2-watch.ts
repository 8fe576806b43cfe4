/** PM2's keys of watching and of cron → `watch`, `schedule`. */
import { cronProblem } from '../config/cron.ts';
import { durationText, type ServiceInput } from './config.ts';
import { type Noting, show } from './note.ts';
import type { Fields } from './pm2-fields.ts';

/** What PM2 takes for no schedule. */
const NO_SCHEDULE: readonly unknown[] = [undefined, null, 0, '0', false, ''];

export function watchOf(fields: Fields, note: Noting): Pick<ServiceInput, 'watch'> {
  const watched = fields.raw('watch');
  if (watched === undefined || watched === null || watched === false || watched === 'false') return {};
  const isAll = watched === true || watched === 'true';
  const paths = isAll ? [] : fields.words('watch');
  const ignore = fields.words('ignore_watch');
  const delayMs = fields.duration('watch_delay');
  if (paths.length === 0 && ignore.length === 0 && delayMs === null) return { watch: true };
  if (ignore.some((one) => /[\\^$()|+]/.test(one)))
    note(fields.written('ignore_watch'), 'PM2 takes regular expressions too; here they are names, paths and globs');
  return {
    watch: {
      ...(paths.length === 0 ? {} : { paths: [...paths] }),
      ...(ignore.length === 0 ? {} : { ignore: [...ignore] }),
      ...(delayMs === null ? {} : { debounce: durationText(delayMs) }),
    },
  };
}

export function scheduleOf(fields: Fields, note: Noting): Pick<ServiceInput, 'schedule'> {
  const written = fields.raw('cron_restart');
  if (NO_SCHEDULE.includes(written)) return {};
  const schedule = String(written);
  const problem = cronProblem(schedule);
  if (problem === null) return { schedule };
  note(fields.written('cron_restart'), `${show(written)}: ${problem}`);
  return {};
}
