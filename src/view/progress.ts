/** An operation for people: its plan, what goes on, how it came out; pure but for what a board remembers. */
import type { Change, Outcome, Told } from '../api/types.ts';
import { formatDuration } from '../core/duration.ts';
import { plainLine, plainLines } from '../core/plain-text.ts';
import { recordMessage } from '../core/record.ts';
import { type Colour, paint } from './colour.ts';

/** `+0.004  api:0  SIGTERM to 812, grace 10s`; `beganAt` is epoch ms. */
export function progressLine(record: Told, beganAt: number, colour: boolean): string {
  const offset = `+${(Math.max(0, record.at - beganAt) / 1000).toFixed(3)}`;
  return `${paint(offset, 'dim', colour)}  ${paint(record.instance ?? record.service ?? 'gsup', 'bold', colour)}  ${tinted(record, colour)}`;
}

/** The plan of an apply, a line a service. */
export function planLines(changes: readonly Change[], colour: boolean): string {
  if (changes.length === 0) return 'nothing to do';
  const width = Math.max(...changes.map(({ service }) => service.length));
  return changes
    .map(({ service, action, what }) => {
      const { sign, tint, words } = ACTIONS[action];
      const line = `${sign} ${service.padEnd(width)}  ${words}${what === '' ? '' : `: ${plainLine(what)}`}`;
      return tint === null ? line : paint(line, tint, colour);
    })
    .join('\n');
}

/** How each instance came out; under a failure the end of its stderr. */
export function outcomeLines(outcomes: readonly Outcome[], colour: boolean): string {
  return outcomes
    .map(({ instance, isOk, message, stderr }) => {
      const sign = isOk ? paint('✓', 'green', colour) : paint('✗', 'red', colour);
      const errors =
        stderr.length === 0 ? [] : [`  the end of its stderr:`, ...stderr.map((line) => `  | ${plainLine(line)}`)];
      return [`${sign} ${instance}  ${plainLines(message)}`, ...errors].map((line) => `${line}\n`).join('');
    })
    .join('');
}

/** The last word of each instance, for a terminal where lines are drawn over. */
export class ProgressBoard {
  readonly #last = new Map<string, Told>();

  take(record: Told): void {
    if (record.instance !== undefined) this.#last.set(record.instance, record);
  }

  /** A line an instance, none wider than the terminal. */
  draw({ now, width, colour }: { readonly now: number; readonly width: number; readonly colour: boolean }): string {
    const names = Math.max(0, ...[...this.#last.keys()].map((name) => name.length));
    return [...this.#last]
      .map(([name, record]) => {
        const since = formatDuration(Math.max(0, now - record.at));
        const room = Math.max(10, width - names - since.length - 5);
        const message = plainLine(recordMessage(record));
        const fitted = message.length > room ? `${message.slice(0, room - 1)}…` : message.padEnd(0);
        const tint = tintOf(record);
        const text = tint === null ? fitted : paint(fitted, tint, colour);
        return `${paint(name.padEnd(names), 'bold', colour)}  ${text}  ${paint(since, 'dim', colour)}`;
      })
      .join('\n');
  }
}

const ACTIONS: Readonly<Record<Change['action'], { sign: string; tint: Colour | null; words: string }>> = {
  add: { sign: '+', tint: 'green', words: 'add' },
  replace: { sign: '~', tint: 'yellow', words: 'replace, by a rolling restart' },
  update: { sign: '~', tint: 'yellow', words: 'change without restart' },
  scale: { sign: '~', tint: 'yellow', words: 'scale' },
  remove: { sign: '-', tint: 'red', words: 'stop and remove' },
  start: { sign: '>', tint: 'green', words: 'start' },
  none: { sign: ' ', tint: 'dim', words: 'as it is' },
};

function tinted(record: Told, colour: boolean): string {
  const tint = tintOf(record);
  const message = plainLines(recordMessage(record));
  return tint === null ? message : paint(message, tint, colour);
}

function tintOf({ level }: Told): Colour | null {
  return level === 'error' ? 'red' : level === 'warn' ? 'yellow' : null;
}
