/** The state of an instance as one phrase: `running 3h (ready)`, `backoff, next try in 8s (5th)`, `failed: exit 1`; pure. */
import type { InstanceView } from '../api/types.ts';
import { formatDuration } from '../core/duration.ts';
import { describeExit } from '../core/record.ts';
import type { Colour } from './colour.ts';

/** `now` is epoch ms. */
export function statePhrase(view: InstanceView, now: number): string {
  if (view.spare === 'coming') return `coming: ${phraseOf(view, now)}`;
  if (view.spare === 'leaving' && view.state !== 'stopping') return `leaving: ${phraseOf(view, now)}`;
  return phraseOf(view, now);
}

function phraseOf(view: InstanceView, now: number): string {
  if (view.waitingFor.length > 0) return `waiting for ${view.waitingFor.join(', ')}`;
  const uptime = view.uptimeMs === null ? '' : ` ${formatDuration(view.uptimeMs)}`;
  switch (view.state) {
    case 'running':
      return `running${uptime}${view.hasCheck ? ' (ready)' : ''}`;
    case 'starting':
      return `starting${uptime}${view.hasCheck ? ' (not ready yet)' : ''}`;
    case 'stopping':
      return view.deadline === null
        ? `stopping (${view.phase})`
        : `stopping (${view.phase}, SIGKILL in ${formatDuration(view.deadline - now)})`;
    case 'backoff':
      return `backoff, next try in ${formatDuration((view.nextTryAt ?? now) - now)} (${ordinal(view.attempt ?? 1)})`;
    case 'failed':
      return `failed: ${view.reason ?? 'unknown'}`;
    case 'exited':
      return `exited: ${view.lastExit === null ? 'unknown' : describeExit(view.lastExit)}`;
    case 'stopped':
      return 'stopped';
  }
}

/** The colour of a state. */
export function stateColour({ state }: InstanceView): Colour {
  if (state === 'running') return 'green';
  if (state === 'failed') return 'red';
  return state === 'stopped' || state === 'exited' ? 'dim' : 'yellow';
}

/** 1st, 2nd, 3rd, 4th, 11th … */
function ordinal(n: number): string {
  const suffix = n % 100 >= 11 && n % 100 <= 13 ? 'th' : (['th', 'st', 'nd', 'rd'][n % 10] ?? 'th');
  return `${n}${suffix}`;
}
