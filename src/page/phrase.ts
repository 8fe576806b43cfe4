/** A row in the words of `gsup ls`. */
import type { InstanceView } from '../api/types.ts';
import { formatDuration } from '../core/duration.ts';
import { describeExit } from '../core/record.ts';
import type { FeedRow } from '../http/feed-message.ts';
import { stateColour, statePhrase } from '../view/state.ts';

/** `running 3h (ready)` */
export function phraseOf(row: FeedRow, now: number): string {
  return statePhrase(viewOf(row, now), now);
}

/** The class of its colour. */
export function toneOf(row: FeedRow): string {
  if (row.waitingFor.length > 0) return 'yellow';
  return stateColour({ ...row, uptimeMs: null });
}

/** `exit 1, by self, 5m ago` */
export function exitPhrase({ lastExit }: FeedRow, now: number): string {
  if (lastExit === null) return 'none';
  return `${describeExit(lastExit)}, by ${lastExit.by}, ${formatDuration(Math.max(0, now - lastExit.at))} ago`;
}

function viewOf({ startedAt, key: _, ...row }: FeedRow, now: number): InstanceView {
  return { ...row, uptimeMs: startedAt === null ? null : Math.max(0, now - startedAt) };
}
