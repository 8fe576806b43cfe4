/** The frame of `gsup top`: state and size of the terminal → its lines, each exactly as wide as the terminal; pure. */
import type { InstanceView } from '../api/types.ts';
import { formatDuration } from '../core/duration.ts';
import { describeExit } from '../core/record.ts';
import { formatSize } from '../core/size.ts';
import { paint } from './colour.ts';
import { stateColour, statePhrase } from './state.ts';
import { fitted, harmless } from './text.ts';
import { layoutOf, rowsOf, type Size, selectedView, type TopState } from './top-state.ts';
import { type FrameOptions, inverse, p95Of, topTable } from './top-table.ts';

const KEYS: readonly (readonly [string, string])[] = [
  ['↑ ↓ j k', 'select, or scroll the log'],
  ['PgUp PgDn g G', 'a page; the first, the last'],
  ['Tab', 'to the log and back'],
  ['Enter', 'one instance, its log; Esc leaves'],
  ['/', 'filter by name or state'],
  ['S', 'sort by the next column'],
  ['s x r', 'start, stop, restart the instance'],
  ['R', 'rolling restart of the service'],
  ['l a', 'log on or off; of all instances'],
  ['q Ctrl-C', 'quit; Ctrl-Z suspends'],
];
const HINTS = ['? help', 'q quit', 'x stop', 'r restart', 's start', 'R reload', '/ filter', 'S sort', 'Enter detail'];
/** Columns of the name of a fact, in the detail. */
const FACT_NAME = 11;
const STATES = ['running', 'starting', 'stopping', 'backoff', 'failed', 'exited', 'stopped'] as const;

/** As many lines as the terminal has. */
export function topFrame(state: TopState, { height, ...options }: FrameOptions & Size): readonly string[] {
  const status = statusLine(state, options);
  if (height <= 1) return [status].slice(0, height);
  const rows = rowsOf(state);
  const layout = layoutOf(state, { width: options.width, height }, rows.length);
  const body = height - 2;
  const middle =
    state.mode.kind === 'help'
      ? helpLines(options)
      : state.isDetail
        ? [...detailLines(state, layout.tableLines, options), ...logPane(state, layout.logLines, options)]
        : [
            ...filled(tableLines(state, rows, layout.tableLines, options), layout.tableLines + 1, options.width),
            ...logPane(state, layout.logLines, options),
          ];
  return [headLine(state, rows, options), ...filled(middle, body, options.width), status];
}

/** All rows and no more: for a pipe, or a look in passing. */
export function wholeTable(state: TopState, options: FrameOptions): readonly string[] {
  const rows = rowsOf(state);
  const lines = [headLine(state, rows, options), ...tableLines(state, rows, rows.length, options)];
  return lines.map((line) => line.trimEnd());
}

function headLine(state: TopState, rows: readonly InstanceView[], { width, colour }: FrameOptions): string {
  const counts = STATES.flatMap((name) => {
    const count = state.views.filter((view) => view.state === name).length;
    return count === 0 ? [] : [`${count} ${name}`];
  });
  const shown = state.filter === '' ? '' : `  /${state.filter} shows ${rows.length}`;
  const total = `${state.views.length} ${state.views.length === 1 ? 'instance' : 'instances'}`;
  const text = ` gsup top  ${[total, ...counts].join(', ')}${shown}  every ${formatDuration(state.intervalMs)}`;
  return paint(fitted(text, width), 'dim', colour);
}

function tableLines(
  state: TopState,
  rows: readonly InstanceView[],
  count: number,
  options: FrameOptions,
): readonly string[] {
  const table = topTable(state, rows, { ...options, from: state.offset, count });
  if (rows.length > 0) return table;
  return [
    ...table.slice(0, 1),
    fitted(state.views.length === 0 ? ' no services; "gsup start app.js" adds one' : ' nothing matches', options.width),
  ];
}

function logPane(state: TopState, count: number, options: FrameOptions): readonly string[] {
  if (count === 0) return [];
  const { width, colour } = options;
  const whose = state.isOfAll && !state.isDetail ? 'all' : (selectedView(state)?.instance ?? 'nobody');
  const where = state.scroll === 0 ? '' : `, ${state.scroll} lines up`;
  const title = ` log of ${whose}${where} `;
  const rule = fitted(`──${title}${'─'.repeat(Math.max(0, width - 2 - title.length))}`, width);
  const end = Math.max(0, state.log.length - state.scroll);
  const lines = state.log.slice(Math.max(0, end - (count - 1)), end).map(({ instance, isError, text }) => {
    const name = state.isOfAll && !state.isDetail ? `${instance} | ` : '';
    const line = fitted(`${name}${text}`, width);
    return isError ? paint(line, 'yellow', colour) : line;
  });
  return [paint(rule, state.focus === 'logs' ? 'bold' : 'dim', colour), ...lines];
}

function detailLines(state: TopState, count: number, { width, colour, now }: FrameOptions): readonly string[] {
  const view = selectedView(state);
  if (view === undefined) return [];
  const lines = factsOf(view, now).map(([name, value]) => {
    const text = fitted(value, Math.max(0, width - FACT_NAME));
    const tint = name === 'status' ? paint(text, stateColour(view), colour) : text;
    return width <= FACT_NAME
      ? fitted(` ${name}`, width)
      : `${paint(fitted(` ${name}`, FACT_NAME), 'dim', colour)}${tint}`;
  });
  return filled(lines, count, width);
}

function factsOf(view: InstanceView, now: number): readonly (readonly [string, string])[] {
  const { lastExit } = view;
  const exit =
    lastExit === null
      ? 'none'
      : `${describeExit(lastExit)}, by ${lastExit.by}, ${formatDuration(now - lastExit.at)} ago`;
  const used = view.memoryBytes === null ? '-' : `${view.cpuPercent ?? 0}% CPU, ${formatSize(view.memoryBytes)}`;
  const p95 = p95Of(view);
  return [
    ['instance', view.instance],
    ['status', harmless(statePhrase(view, now))],
    ['process', view.pid === null ? '-' : `pid ${view.pid}, ${used}`],
    ['restarts', `${view.restarts}; last exit: ${exit}`],
    ...(p95 === null ? [] : ([['stops', `p95 ${p95}`]] as const)),
    ...(view.status === null ? [] : ([['says', harmless(view.status)]] as const)),
  ];
}

function helpLines({ width, colour }: FrameOptions): readonly string[] {
  return KEYS.map(([keys, what]) =>
    width < 20
      ? fitted(` ${keys} ${what}`, width)
      : `${paint(fitted(` ${keys}`, 16), 'bold', colour)}${fitted(what, width - 16)}`,
  );
}

/** A question, what is typed, why nothing comes, what has happened, or the keys: the first that is. */
function statusLine(state: TopState, { width, colour, now }: FrameOptions): string {
  const { mode, message, lost } = state;
  if (mode.kind === 'question') return inverse(fitted(` ${mode.verb} ${mode.name}? y/n`, width), colour);
  if (mode.kind === 'filter') return fitted(` /${state.filter}_   Enter keeps, Esc drops it`, width);
  if (lost !== null) return paint(fitted(` ${lost}; trying again`, width), 'red', colour);
  if (message !== null && message.until > now) {
    const line = fitted(` ${message.text}`, width);
    return message.colour === null ? line : paint(line, message.colour, colour);
  }
  let hints = '';
  for (const hint of mode.kind === 'help' ? ['any key goes back'] : HINTS) {
    if (hints.length + hint.length + 3 <= width) hints += ` ${hint} `;
  }
  return paint(fitted(hints, width), 'dim', colour);
}

function filled(lines: readonly string[], count: number, width: number): readonly string[] {
  const missing = Math.max(0, count - lines.length);
  return [...lines.slice(0, count), ...Array.from({ length: missing }, () => ' '.repeat(width))];
}
