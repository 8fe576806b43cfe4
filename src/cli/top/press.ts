/** What a key does in `gsup top`: state and key → state, and what is to be done; pure. */
import {
  layoutOf,
  MOST_LINES,
  rowKey,
  rowsOf,
  type Size,
  SORTS,
  selectedView,
  type TopState,
  type Verb,
} from '../../view/top-state.ts';
import type { Key } from './keys.ts';

export type TopAction =
  | { readonly kind: 'operate'; readonly verb: Verb; readonly name: string }
  | { readonly kind: 'quit' }
  | { readonly kind: 'suspend' }
  | { readonly kind: 'redraw' };
export type Pressed = { readonly state: TopState; readonly action: TopAction | null };

const VERBS: Readonly<Record<string, Verb>> = { s: 'start', x: 'stop', r: 'restart', R: 'reload' };

export function press(state: TopState, key: Key, size: Size): Pressed {
  if (key === 'ctrl-c') return { state, action: { kind: 'quit' } };
  if (key === 'ctrl-z') return { state, action: { kind: 'suspend' } };
  if (key === 'ctrl-l') return { state, action: { kind: 'redraw' } };
  switch (state.mode.kind) {
    case 'question':
      return answered(state, state.mode, key);
    case 'filter':
      return only(typed(state, state.mode.before, key, size));
    case 'help':
      return key === 'q' ? { state, action: { kind: 'quit' } } : only(inTable(state));
    case 'table':
      return pressedInTable(state, key, size);
  }
}

function pressedInTable(state: TopState, key: Key, size: Size): Pressed {
  if (key === 'q') return { state, action: { kind: 'quit' } };
  const verb = VERBS[key];
  if (verb !== undefined) return wanted(state, verb);
  return only(shown(state, key) ?? moved(state, key, size));
}

/** What changes what is shown; `null`: the key is none of these. */
function shown(state: TopState, key: Key): TopState | null {
  switch (key) {
    case '?':
    case 'h':
      return { ...state, mode: { kind: 'help' } };
    case '/':
      return { ...state, mode: { kind: 'filter', before: state.filter }, focus: 'table', isDetail: false };
    case 'S':
      return { ...state, sort: SORTS[(SORTS.indexOf(state.sort) + 1) % SORTS.length] ?? 'name', offset: 0 };
    case 'l':
      return { ...state, hasLogs: !state.hasLogs, focus: 'table', scroll: 0 };
    case 'a':
      return { ...state, isOfAll: !state.isOfAll, hasLogs: true };
    case 'tab':
      return { ...state, focus: state.focus === 'table' ? 'logs' : 'table', hasLogs: true };
    case 'enter':
      return state.selected === null ? state : { ...state, isDetail: !state.isDetail, focus: 'table', scroll: 0 };
    case 'escape':
      return left(state);
    default:
      return null;
  }
}

/** One step back. */
function left(state: TopState): TopState {
  if (state.isDetail) return { ...state, isDetail: false, focus: 'table', scroll: 0 };
  if (state.focus === 'logs') return { ...state, focus: 'table', scroll: 0 };
  return { ...state, filter: '' };
}

function wanted(state: TopState, verb: Verb): Pressed {
  const view = selectedView(state);
  if (view === undefined) return only(state);
  const name = verb === 'reload' ? view.service : view.instance;
  if (verb === 'start' || verb === 'reload') return { state, action: { kind: 'operate', verb, name } };
  return only({ ...state, mode: { kind: 'question', verb, name } });
}

function answered(state: TopState, { verb, name }: { verb: Verb; name: string }, key: Key): Pressed {
  if (key !== 'y' && key !== 'Y') return only(inTable(state));
  return { state: inTable(state), action: { kind: 'operate', verb, name } };
}

function typed(state: TopState, before: string, key: Key, size: Size): TopState {
  if (key === 'enter') return inTable(state);
  if (key === 'escape') return inTable({ ...state, filter: before });
  if (key === 'backspace') {
    if (state.filter === '') return inTable(state);
    return { ...state, filter: [...state.filter].slice(0, -1).join('') };
  }
  if (key === 'ctrl-u') return { ...state, filter: '' };
  if (key === 'up' || key === 'down') return moved(state, key, size);
  if (key.startsWith('paste:')) return { ...state, filter: state.filter + key.slice('paste:'.length) };
  return [...key].length === 1 ? { ...state, filter: state.filter + key } : state;
}

function moved(state: TopState, key: Key, size: Size): TopState {
  const { tableLines, logLines } = layoutOf(state, size);
  const inLog = state.focus === 'logs' || state.isDetail;
  const steps = stepsOf(key, Math.max(1, (inLog ? logLines - 1 : tableLines) - 1));
  if (steps === null) return state;
  if (inLog) {
    const most = Math.max(0, state.log.length - Math.max(1, logLines - 1));
    return { ...state, scroll: Math.max(0, Math.min(most, state.scroll - steps)) };
  }
  const rows = rowsOf(state);
  const position = Math.max(0, Math.min(rows.length - 1, state.position + steps));
  const row = rows[position];
  return row === undefined ? state : { ...state, position, selected: rowKey(row) };
}

/** Down is positive. */
function stepsOf(key: Key, page: number): number | null {
  switch (key) {
    case 'up':
    case 'k':
      return -1;
    case 'down':
    case 'j':
      return 1;
    case 'pageup':
      return -page;
    case 'pagedown':
    case ' ':
      return page;
    case 'home':
    case 'g':
      return -MOST_LINES * 10;
    case 'end':
    case 'G':
      return MOST_LINES * 10;
    default:
      return null;
  }
}

function inTable(state: TopState): TopState {
  return { ...state, mode: { kind: 'table' } };
}

function only(state: TopState): Pressed {
  return { state, action: null };
}
