/** The stop budget as people read it: `app 27s < grace 30s < systemd 45s ✓`; pure. */
import type { OuterLimit, StopBudget } from '../core/budget.ts';
import { formatDuration } from '../core/duration.ts';

/** The sum of the waves, and how it stands to the limits around it. */
export function budgetText({ waves, pathMs, timeoutMs, fits, appMs }: StopBudget, outer: OuterLimit | null): string {
  const own =
    timeoutMs === null ? '' : ` ${fits ? '≤' : '>'} shutdown.timeout ${formatDuration(timeoutMs)} ${fits ? '✓' : '✗'}`;
  const total = Math.min(pathMs, timeoutMs ?? pathMs);
  const isInside = outer !== null && total < outer.limitMs;
  const around =
    outer === null
      ? ''
      : ` ${isInside ? '<' : '≥'} ${outer.name} ${formatDuration(outer.limitMs)} ${isInside ? '✓' : '✗'}`;
  const [wave] = waves;
  const [alone] = wave?.services ?? [];
  if (waves.length === 1 && wave?.services.length === 1 && alone !== undefined)
    return `app ${formatDuration(appMs)} < grace ${formatDuration(wave.graceMs)}${wave.needMs > wave.graceMs ? ` < stop ${formatDuration(wave.needMs)}` : ''}${own}${around}`;
  const path = waves.map(({ services, needMs }) => `${services.join('+')} ${formatDuration(needMs)}`).join(' → ');
  return `${path} = ${formatDuration(pathMs)}${own}${around}`;
}

/** What does not fit, and what to do. */
export function budgetWarnings({ pathMs, timeoutMs, fits }: StopBudget, outer: OuterLimit | null): readonly string[] {
  const warnings: string[] = [];
  if (!fits && timeoutMs !== null) {
    warnings.push(
      `stopping may need ${formatDuration(pathMs)}, shutdown.timeout is ${formatDuration(timeoutMs)}: grace periods will be cut; raise it, or shorten them`,
    );
  }
  const total = Math.min(pathMs, timeoutMs ?? pathMs);
  if (outer !== null && total >= outer.limitMs) {
    const limit = `the ${outer.name === 'outer' ? 'outer limit' : `limit of ${outer.name}`} is ${formatDuration(outer.limitMs)}`;
    warnings.push(
      `stopping may need ${formatDuration(total)}, ${limit}: gsup itself will be killed; raise ${outer.key} above ${formatDuration(total)}, or set shutdown.timeout below it`,
    );
  }
  return warnings;
}
