/** The table of `gsup top`: as many columns as fit, each as wide at every look; pure. */
import type { InstanceView } from '../api/types.ts';
import { formatDuration } from '../core/duration.ts';
import { formatSize } from '../core/size.ts';
import { paint } from './colour.ts';
import { stateColour, statePhrase } from './state.ts';
import { fitted, fittedInMiddle, harmless } from './text.ts';
import { rowKey, type TopState } from './top-state.ts';

export type FrameOptions = {
  readonly width: number;
  readonly colour: boolean;
  /** Epoch ms. */
  readonly now: number;
};

type Column = {
  readonly title: string;
  readonly sort?: TopState['sort'];
  readonly width: number;
  readonly text: (view: InstanceView) => string;
};

const MARK = 2;
const LONGEST_NAME = 32;
const LEAST_STATUS = 19;
/** The first goes first when there is no room for all. */
const DROPPED = ['UPTIME', 'P95', 'PID', 'RST', 'MEM', 'CPU'];

const COLUMNS: readonly Column[] = [
  { title: 'PID', width: 7, text: ({ pid }) => (pid === null ? '-' : String(pid)) },
  {
    title: 'UPTIME',
    sort: 'uptime',
    width: 7,
    text: ({ uptimeMs }) => (uptimeMs === null ? '-' : formatDuration(uptimeMs)),
  },
  { title: 'RST', sort: 'restarts', width: 4, text: ({ restarts }) => String(restarts) },
  { title: 'CPU', sort: 'cpu', width: 6, text: ({ cpuPercent }) => (cpuPercent === null ? '-' : `${cpuPercent}%`) },
  {
    title: 'MEM',
    sort: 'memory',
    width: 7,
    text: ({ memoryBytes }) => (memoryBytes === null ? '-' : formatSize(memoryBytes)),
  },
  { title: 'P95', width: 6, text: (view) => p95Of(view) ?? '-' },
];

/** The titles, and of `rows` those `from` … `from + count`; only these are laid out. */
export function topTable(
  state: TopState,
  rows: readonly InstanceView[],
  { from, count, ...options }: FrameOptions & { readonly from: number; readonly count: number },
): readonly string[] {
  const layout = columnsFor(rows, options.width);
  const titles = layout.columns.map(({ title, sort, width }) =>
    (sort === state.sort ? `${title}*` : title).padStart(width),
  );
  const name = fitted(state.sort === 'name' ? 'NAME*' : 'NAME', layout.name);
  const head = fitted([` ${name}`, fitted('STATUS', layout.status), ...titles].join(' '), options.width);
  return [
    paint(head, 'bold', options.colour),
    ...rows.slice(from, from + count).map((view) => rowLine(view, rowKey(view) === state.selected, layout, options)),
  ];
}

/** How long the last stops of its service took, `>10s` where SIGKILL ended those; `null`: there were none, or the daemon is an older one. */
export function p95Of({ stops }: InstanceView): string | null {
  if (typeof stops?.p95Ms !== 'number') return null;
  return `${stops.killed > stops.count * 0.05 ? '>' : ''}${formatDuration(stops.p95Ms)}`;
}

/** Inverse where the terminal may: seen without colours too, by its mark. */
export function inverse(text: string, isAllowed: boolean): string {
  return isAllowed ? `\u001b[7m${text}\u001b[0m` : text;
}

type TableLayout = { readonly name: number; readonly status: number; readonly columns: readonly Column[] };

function rowLine(view: InstanceView, isSelected: boolean, layout: TableLayout, options: FrameOptions): string {
  const { width, colour, now } = options;
  const before = `${isSelected ? '>' : ' '}${fittedInMiddle(view.instance, layout.name)} `;
  const phrase = fitted(harmless(statePhrase(view, now)), layout.status);
  const after = layout.columns.map((column) => ` ${column.text(view).padStart(column.width)}`).join('');
  const line = `${before}${phrase}${after}`;
  if (isSelected) return inverse(fitted(line, width), colour);
  // Narrower than the narrowest table.
  if (width < MARK + layout.name + layout.status) return fitted(line, width);
  return `${before}${paint(phrase, stateColour(view), colour)}${after}`;
}

function columnsFor(rows: readonly InstanceView[], width: number): TableLayout {
  const longest = rows.reduce((most, { instance }) => Math.max(most, instance.length), 4);
  const name = Math.min(longest, LONGEST_NAME, Math.max(5, Math.floor(width / 3)));
  const room = width - MARK - name;
  let columns = rows.some((view) => p95Of(view) !== null) ? COLUMNS : COLUMNS.filter(({ title }) => title !== 'P95');
  for (const dropped of DROPPED) {
    if (room - widthOf(columns) >= LEAST_STATUS) break;
    columns = columns.filter(({ title }) => title !== dropped);
  }
  return { name, columns, status: Math.max(1, room - widthOf(columns)) };
}

function widthOf(columns: readonly Column[]): number {
  return columns.reduce((sum, { width }) => sum + 1 + width, 0);
}
