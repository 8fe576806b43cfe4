/** `gsup ls`: one row an instance; pure. */
import type { InstanceView } from '../api/types.ts';
import { formatDuration } from '../core/duration.ts';
import { plainLine } from '../core/plain-text.ts';
import { describeExit } from '../core/record.ts';
import { formatSize } from '../core/size.ts';
import { stateColour, statePhrase } from './state.ts';
import { type Cell, type Column, table } from './table.ts';

const COLUMNS: readonly Column[] = [
  { title: 'NAME', narrow: 'middle' },
  { title: 'STATUS', narrow: 'wrap' },
  { title: 'PID', align: 'right' },
  { title: 'RESTARTS', align: 'right' },
  { title: 'CPU', align: 'right' },
  { title: 'MEM', align: 'right' },
];
const WIDE: readonly Column[] = [
  { title: 'UPTIME', align: 'right' },
  { title: 'LAST EXIT', narrow: 'wrap' },
  { title: 'ID' },
];

export type InstancesOptions = {
  readonly now: number;
  readonly width: number;
  readonly colour: boolean;
  /** More columns, however wide they are. */
  readonly isWide: boolean;
};

/** A sentence when there is nothing. */
export function instancesTable(views: readonly InstanceView[], options: InstancesOptions): string {
  if (views.length === 0) return 'no services; "gsup start app.js" adds one';
  const columns = options.isWide ? [...COLUMNS, ...WIDE] : COLUMNS;
  const rows = views.map((view) => [...cells(view, options), ...(options.isWide ? wideCells(view, options) : [])]);
  return table(columns, rows, {
    width: options.isWide ? Number.POSITIVE_INFINITY : options.width,
    colour: options.colour,
  });
}

function cells(view: InstanceView, { now }: InstancesOptions): readonly Cell[] {
  return [
    { text: view.instance },
    { text: plainLine(statePhrase(view, now)), colour: stateColour(view) },
    { text: view.pid === null ? '-' : String(view.pid) },
    { text: restarts(view, now) },
    { text: view.cpuPercent === null ? '-' : `${view.cpuPercent}%` },
    { text: view.memoryBytes === null ? '-' : formatSize(view.memoryBytes) },
  ];
}

function wideCells(view: InstanceView, { now }: InstancesOptions): readonly Cell[] {
  const { lastExit } = view;
  const exit = lastExit === null ? '-' : `${describeExit(lastExit)}, by ${lastExit.by}, ${ago(lastExit.at, now)}`;
  return [
    { text: view.uptimeMs === null ? '-' : formatDuration(view.uptimeMs) },
    { text: exit },
    { text: view.id ?? '-' },
  ];
}

/** With the reason of the last one: `3 (exit 1 5m ago)`. */
function restarts({ restarts: count, lastExit }: InstanceView, now: number): string {
  if (count === 0 || lastExit === null) return String(count);
  const signal = lastExit.by === 'oom' ? 'OOM' : lastExit.signal;
  const why = signal ?? (lastExit.code === null ? 'unknown' : `exit ${lastExit.code}`);
  return `${count} (${why} ${ago(lastExit.at, now)})`;
}

function ago(at: number, now: number): string {
  return `${formatDuration(now - at)} ago`;
}
