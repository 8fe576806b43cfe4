// Rows as Markdown tables, one a group, and a text put between two markers of a file.
import { readFileSync, writeFileSync } from 'node:fs';

const BEGIN = '<!-- bench:begin -->';
const END = '<!-- bench:end -->';
const OWN = 'gsup';

/** `groups`: `{ title, rows }` each with columns of its own. */
export function tablesOf(groups) {
  return groups
    .filter(({ rows }) => rows.length > 0)
    .map(({ title, rows }) => `${title}\n\n${tableOf(rows)}`)
    .join('\n\n');
}

function tableOf(rows) {
  const names = [...new Set(rows.flatMap(({ supervisors }) => Object.keys(supervisors)))];
  const hasPeers = rows.some(({ isToPeer }) => isToPeer);
  const head = ['', ...names, ...(hasPeers ? ['gsup ×'] : []), 'goal', ''];
  const lines = rows.map((row) => [
    titleOf(row),
    ...names.map((name) => cellOf(row, row.supervisors[name])),
    ...(hasPeers ? [peerCell(row)] : []),
    goalText(row),
    metText(row.supervisors[OWN]?.isMet),
  ]);
  return markdown(head, lines);
}

export function markdown(head, lines) {
  const line = (cells) => `| ${cells.join(' | ')} |`;
  return [line(head), `|${head.map(() => '---|').join('')}`, ...lines.map(line)].join('\n');
}

/** The median, and in brackets the least and the most. */
function shown({ median, min, max }, digits) {
  const text = (number) => number.toFixed(digits);
  return text(min) === text(max) ? text(median) : `${text(median)} (${text(min)}–${text(max)})`;
}

function titleOf({ title, unit, reference, isToPeer }) {
  if (reference !== null && !isToPeer) return `${title}, × ${reference}`;
  return unit === '' ? title : `${title}, ${unit}`;
}

function cellOf({ isCount, isToPeer, reference, digits }, figures) {
  if (figures === undefined) return '';
  if (isCount) return figures.total.toFixed(digits);
  if (reference === null || isToPeer) return shown(figures, digits);
  return figures.ratio === null ? '–' : shown(figures.ratio, 2);
}

function peerCell({ isToPeer, reference, supervisors }) {
  const ratio = supervisors[OWN]?.ratio;
  return isToPeer && ratio ? `${ratio.median.toFixed(2)} ${reference}` : '';
}

function goalText({ goal, reference }) {
  if (goal === null) return '';
  const text = ({ atMost, atLeast }) => (atMost === undefined ? `≥ ${atLeast}` : `≤ ${atMost}`);
  return [
    ...(goal.value === undefined ? [] : [text(goal.value)]),
    ...(goal.ratio === undefined ? [] : [`${text(goal.ratio)} × ${reference}`]),
  ].join(', ');
}

function metText(isMet) {
  if (isMet === null || isMet === undefined) return '';
  return isMet ? 'met' : '**missed**';
}

/** Between the markers where the file has them, else the whole file. */
export function writeMarkdown(file, text) {
  writeFileSync(file, filled(readIfThere(file), text));
}

export function filled(before, text) {
  const [begin, end] = [before.indexOf(BEGIN), before.indexOf(END)];
  if (begin < 0 || end < begin) return `${text}\n`;
  return `${before.slice(0, begin + BEGIN.length)}\n${text}\n${before.slice(end)}`;
}

function readIfThere(file) {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    if (error.code === 'ENOENT') return '';
    throw error;
  }
}
