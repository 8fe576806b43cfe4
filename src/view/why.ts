/** `gsup why` as people read it, on one screen; pure. */
import type { EndView, WhyView } from '../api/types.ts';
import { formatDuration } from '../core/duration.ts';
import { plainLine } from '../core/plain-text.ts';
import { budgetText } from './budget.ts';
import { paint } from './colour.ts';
import { stateColour, statePhrase } from './state.ts';
import { wrap } from './table.ts';

export type WhyOptions = {
  readonly now: number;
  readonly width: number;
  readonly colour: boolean;
  /** Whether more than ASCII may be printed. */
  readonly unicode: boolean;
};

/** Sections in the order in which they are asked for: what it is, why, what was before, what to do. */
export function whyText(why: WhyView, options: WhyOptions): string {
  const sections = [
    head(why, options),
    section('why', [why.cause.sentence, ...why.cause.facts.map((fact) => `- ${fact}`)], options),
    ...(why.pending === null ? [] : [section('pending', [why.pending], options)]),
    ...(why.ends.length === 0 ? [] : [ends(why.ends, options)]),
    ...(why.stderr.length === 0 ? [] : [stderr(why.stderr, options)]),
    section('budget', [budgetText(why.budget, why.outer)], options),
    ...(why.cause.next === null ? [] : [section('next', [why.cause.next], options)]),
  ];
  const text = sections.join('\n');
  return options.unicode ? text : inAscii(text);
}

const LABEL = 9;

function head({ view, others, since, command }: WhyView, options: WhyOptions): string {
  const { now, colour } = options;
  const phrase = `${plainLine(statePhrase(view, now))}${view.pid === null ? '' : `, pid ${view.pid}`}`;
  const gap = ' '.repeat(Math.max(LABEL, view.instance.length + 2) - view.instance.length);
  const [first = '', ...more] = wrap(phrase, Math.max(20, options.width - view.instance.length - gap.length));
  const state = [first, ...more.map((row) => `${' '.repeat(view.instance.length + gap.length)}${row}`)];
  const rest = others.map((one) => `${one.instance} ${one.state}`).join(', ');
  return [
    `${paint(view.instance, 'bold', colour)}${gap}${state.map((row) => row.replace(/\S.*/, (text) => paint(text, stateColour(view), colour))).join('\n')}`,
    ...(since === null
      ? []
      : [section('since', [`${timeOf(since, now)} (${formatDuration(now - since)} ago)`], options)]),
    section('command', [command], options),
    ...(rest === '' ? [] : [section('others', [rest], options)]),
  ].join('\n');
}

/** A word in front of its lines, which are as wide as the terminal allows. */
function section(name: string, lines: readonly string[], { width, colour }: WhyOptions): string {
  const room = Math.max(20, width - LABEL);
  const rows = lines.flatMap((line) => wrap(plainLine(line.replace(/\s+/g, ' ').trim()), room));
  return rows
    .map((row, index) => `${index === 0 ? paint(name.padEnd(LABEL), 'dim', colour) : ' '.repeat(LABEL)}${row}`)
    .join('\n');
}

function ends(all: readonly EndView[], options: WhyOptions): string {
  const { now, width } = options;
  const room = Math.max(20, width - LABEL);
  const rows = all.map(({ at, ranMs, exit, reason, outcome }) => {
    const ran = ranMs === null ? '' : ` after ${formatDuration(ranMs)}`;
    const why = reason === null ? '' : ` (${reason})`;
    return cut(plainLine(`${timeOf(at, now)} ${exit}${ran}${why}${outcome === null ? '' : `, ${outcome}`}`), room);
  });
  return rows
    .map(
      (row, index) => `${index === 0 ? paint('ends'.padEnd(LABEL), 'dim', options.colour) : ' '.repeat(LABEL)}${row}`,
    )
    .join('\n');
}

function stderr(lines: readonly string[], { width, colour }: WhyOptions): string {
  const title = paint('stderr'.padEnd(LABEL), 'dim', colour);
  return [
    `${title}its last lines before the end:`,
    ...lines.map((line) => cut(`  | ${plainLine(line.trimEnd()).replaceAll('\t', '  ')}`, width)),
  ].join('\n');
}

function cut(text: string, width: number): string {
  return text.length > width ? `${text.slice(0, width - 1)}…` : text;
}

/** The time of today, the day too of what is older; in UTC, as the journal has it. */
function timeOf(at: number, now: number): string {
  const text = new Date(at).toISOString();
  return text.slice(0, 10) === new Date(now).toISOString().slice(0, 10)
    ? text.slice(11, 19)
    : text.slice(0, 19).replace('T', ' ');
}

const PLAIN: Readonly<Record<string, string>> = {
  '✓': 'ok',
  '✗': 'NO',
  '≤': '<=',
  '≥': '>=',
  '→': '->',
  '…': '~',
  '×': 'x',
};

/** What a terminal without UTF-8 can show; what has no counterpart becomes a question mark. */
function inAscii(text: string): string {
  return text.replace(/\P{ASCII}/gu, (one) => PLAIN[one] ?? '?');
}
