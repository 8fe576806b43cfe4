/** What `gsup top` knows and shows, and how news changes it; pure. */
import type { InstanceView, LogEntry } from '../api/types.ts';
import type { Colour } from './colour.ts';
import { harmless } from './text.ts';

export const SORTS = ['name', 'cpu', 'memory', 'restarts', 'uptime'] as const;
type Sort = (typeof SORTS)[number];
/** What is done to the selected instance; `reload` to its service. */
export type Verb = 'start' | 'stop' | 'restart' | 'reload';

type TopMode =
  | { readonly kind: 'table' }
  /** The line below is typed; `before` comes back with Escape. */
  | { readonly kind: 'filter'; readonly before: string }
  | { readonly kind: 'question'; readonly verb: Verb; readonly name: string }
  | { readonly kind: 'help' };

type LogLine = { readonly instance: string; readonly isError: boolean; readonly text: string };
type Message = { readonly text: string; readonly colour: Colour | null; readonly until: number };

export type TopState = {
  /** By name. */
  readonly views: readonly InstanceView[];
  /** Key of a row; `null`: there is none. */
  readonly selected: string | null;
  /** Where the selected row is, so that its neighbour is selected when it goes. */
  readonly position: number;
  /** The first row that is shown. */
  readonly offset: number;
  readonly sort: Sort;
  readonly filter: string;
  readonly mode: TopMode;
  readonly focus: 'table' | 'logs';
  /** One instance fills the screen. */
  readonly isDetail: boolean;
  readonly hasLogs: boolean;
  /** Of all instances, not only of the selected one. */
  readonly isOfAll: boolean;
  readonly log: readonly LogLine[];
  /** Lines between the end and what is shown; 0 follows. */
  readonly scroll: number;
  /** Why the daemon can't be asked; `null`: it answers. */
  readonly lost: string | null;
  readonly message: Message | null;
  readonly intervalMs: number;
};

/** Lines of log that are kept. */
export const MOST_LINES = 1_000;
/** Lines of the frame that aren't rows, log or detail: head, titles, status. */
const FRAME_LINES = 3;
/** Of the detail of an instance. */
const MOST_FACTS = 6;

export type Size = { readonly width: number; readonly height: number };

export function initialTop(intervalMs: number): TopState {
  return {
    views: [],
    selected: null,
    position: 0,
    offset: 0,
    sort: 'name',
    filter: '',
    mode: { kind: 'table' },
    focus: 'table',
    isDetail: false,
    hasLogs: true,
    isOfAll: false,
    log: [],
    scroll: 0,
    lost: null,
    message: null,
    intervalMs,
  };
}

/** The same instance has two rows while a rolling restart replaces it. */
export function rowKey({ instance, spare }: InstanceView): string {
  return spare === null ? instance : `${instance} ${spare}`;
}

/** The rows in their order: those that the filter lets through. */
export function rowsOf({ views, filter, sort }: TopState): readonly InstanceView[] {
  const wanted = filter.toLowerCase();
  const found =
    wanted === '' ? views : views.filter((view) => `${view.instance} ${view.state}`.toLowerCase().includes(wanted));
  if (sort === 'name') return found;
  return [...found].sort((a, b) => amountOf(b, sort) - amountOf(a, sort));
}

export function selectedView(state: TopState): InstanceView | undefined {
  return state.views.find((view) => rowKey(view) === state.selected);
}

/** Whose log is to be followed; `null`: nobody's. */
export function logTarget(state: TopState): string | null {
  if (!state.hasLogs && !state.isDetail) return null;
  return state.isOfAll && !state.isDetail ? 'all' : (selectedView(state)?.instance ?? null);
}

/** `tableLines`: rows, or in the detail its facts. `logLines`: with the title of the log. */
export type Layout = { readonly tableLines: number; readonly logLines: number };

/** How the lines between head and status are shared out. */
export function layoutOf(state: TopState, { height }: Size, rows = rowsOf(state).length): Layout {
  const body = Math.max(0, height - FRAME_LINES);
  if (state.isDetail) {
    const facts = Math.max(1, Math.min(MOST_FACTS, body - 3));
    return { tableLines: facts, logLines: Math.max(0, body + 1 - facts) };
  }
  if (!state.hasLogs || body < 5) return { tableLines: body, logLines: 0 };
  const tableLines = Math.min(Math.max(1, rows), Math.ceil(body / 2));
  return { tableLines, logLines: body - tableLines };
}

/** With a selection that exists and is in view. */
export function settled(state: TopState, size: Size): TopState {
  const rows = rowsOf(state);
  const found = rows.findIndex((view) => rowKey(view) === state.selected);
  const position = found >= 0 ? found : Math.max(0, Math.min(state.position, rows.length - 1));
  const row = rows[position];
  const { tableLines } = layoutOf(state, size, rows.length);
  const offset = Math.max(0, Math.min(state.offset, position, rows.length - tableLines));
  return {
    ...state,
    position,
    selected: row === undefined ? null : rowKey(row),
    offset: Math.max(offset, position - tableLines + 1),
    isDetail: state.isDetail && row !== undefined,
  };
}

/** The daemon has answered. */
export function listed(state: TopState, views: readonly InstanceView[]): TopState {
  return { ...state, views: [...views].sort(byName), lost: null };
}

/** The daemon can't be asked. */
export function lost(state: TopState, why: string): TopState {
  return { ...state, lost: harmless(why.split('\n')[0] ?? '') };
}

/** Lines have come. */
export function logged(state: TopState, entries: readonly LogEntry[]): TopState {
  const fresh = entries.slice(-MOST_LINES).map(({ instance, stream, line }) => ({
    instance,
    isError: stream === 'stderr',
    text: harmless(line),
  }));
  const log = [...state.log, ...fresh].slice(-MOST_LINES);
  // Who reads further up goes on reading there.
  return { ...state, log, scroll: state.scroll === 0 ? 0 : Math.min(state.scroll + fresh.length, log.length - 1) };
}

/** The log of another instance begins. */
export function logCleared(state: TopState): TopState {
  return { ...state, log: [], scroll: 0 };
}

/** A sentence for the last line, for some seconds. */
export function told(state: TopState, text: string, colour: Colour | null, now: number): TopState {
  return { ...state, message: { text: harmless(text.split('\n')[0] ?? ''), colour, until: now + 8_000 } };
}

/** `api:9` before `api:10`. A thousand at every look: a collator would take 5 ms. */
function byName(a: InstanceView, b: InstanceView): number {
  if (a.service === b.service) return a.index - b.index;
  return a.service < b.service ? -1 : 1;
}

function amountOf(view: InstanceView, sort: Exclude<Sort, 'name'>): number {
  switch (sort) {
    case 'cpu':
      return view.cpuPercent ?? -1;
    case 'memory':
      return view.memoryBytes ?? -1;
    case 'restarts':
      return view.restarts;
    case 'uptime':
      return view.uptimeMs ?? -1;
  }
}
