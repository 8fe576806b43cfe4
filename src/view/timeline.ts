/** Occasions as bars of text, within a width; pure. */
import { formatDuration } from '../core/duration.ts';
import type { Occasion } from '../core/occasion.ts';
import { plainLine } from '../core/plain-text.ts';
import { type Colour, paint } from './colour.ts';
import { type BarKind, LEAST_AXIS_MS, type Picture, pictureOf, type Row, type Tone } from './timeline-picture.ts';

export type TimelineOptions = {
  /** Columns, at least 60. */
  readonly width: number;
  readonly colour: boolean;
  /** Only characters that every terminal has. */
  readonly ascii: boolean;
  /** Epoch ms, for what is not over. */
  readonly now: number;
};

const LEAST_WIDTH = 60;
const UNICODE: Glyphs = {
  start: '█',
  drain: '░',
  hook: '▒',
  grace: '█',
  kill: 'X',
  survivors: '▓',
  output: '·',
  app: '━',
  frame: '─',
  end: '┤',
  beyond: '›',
  cut: '…',
};
const ASCII: Glyphs = {
  start: '=',
  drain: '.',
  hook: ':',
  grace: '=',
  kill: 'X',
  survivors: '%',
  output: ',',
  app: '~',
  frame: '-',
  end: '|',
  beyond: '>',
  cut: '...',
};
type Glyphs = Readonly<Record<BarKind | 'frame' | 'end' | 'beyond' | 'cut', string>>;

const TINTS: Readonly<Record<BarKind, Colour>> = {
  start: 'green',
  drain: 'cyan',
  hook: 'cyan',
  grace: 'blue',
  kill: 'red',
  survivors: 'yellow',
  output: 'dim',
  app: 'magenta',
};
const OF_TONE: Readonly<Record<Tone, Colour | null>> = { good: 'green', warn: 'yellow', bad: 'red', plain: null };

/** One block an occasion, the newest last. */
export function timelineText(occasions: readonly Occasion[], options: TimelineOptions): string {
  const text = occasions.map((one) => block(pictureOf(one, options.now), options)).join('\n\n');
  return options.ascii ? plain(text) : text;
}

type Layout = {
  readonly names: number;
  readonly bars: number;
  readonly notes: number;
  readonly axisMs: number;
  readonly glyphs: Glyphs;
  readonly colour: boolean;
};

function block(picture: Picture, { width: wanted, colour, ascii }: TimelineOptions): string {
  const width = Math.max(LEAST_WIDTH, wanted);
  const { rows, axisMs } = picture;
  const longest = Math.max(0, ...rows.map((row) => indent(row) + row.label.length));
  const names = Math.min(Math.max(12, longest), Math.floor(width * 0.3));
  const notes = Math.min(Math.max(8, ...rows.map(({ note }) => note.length)), Math.floor(width * 0.32));
  const bars = width - names - notes - 4;
  const layout: Layout = { names, bars, notes, axisMs, glyphs: ascii ? ASCII : UNICODE, colour };
  const tint = OF_TONE[picture.tone];
  const when = `${new Date(picture.at).toISOString().slice(0, 19).replace('T', ' ')}Z`;
  const title = wrapped(`${picture.title}`, width - when.length - 2, '  ');
  const [first = '', ...more] = title;
  const gap = ' '.repeat(Math.max(2, width - first.length - when.length));
  return [
    `${paint(first, 'bold', colour)}${gap}${paint(when, 'dim', colour)}`,
    ...more.map((line) => paint(line, 'bold', colour)),
    ...(picture.outcome === '' ? [] : wrapped(picture.outcome, width - 2, '')).map(
      (line) => `  ${tint === null ? line : paint(line, tint, colour)}`,
    ),
    ...(axisMs > LEAST_AXIS_MS ? [axisLine(layout)] : []),
    ...rows.flatMap((row) => rowLines(row, layout, width)),
  ].join('\n');
}

function rowLines(row: Row, layout: Layout, width: number): readonly string[] {
  const { names, notes, glyphs, colour } = layout;
  const below = row.below.flatMap((text) =>
    wrapped(text, width - 4, '  ').map((line) => {
      const tint = row.tone === 'good' ? null : OF_TONE[row.tone];
      return `    ${tint === null ? line : paint(line, tint, colour)}`;
    }),
  );
  if (row.label === '' && row.bars.length === 0) return below;
  const label = fitted(' '.repeat(indent(row)) + row.label, names, glyphs.cut);
  const note = fitted(row.note, notes, glyphs.cut).trimEnd();
  const tint = OF_TONE[row.tone];
  const line = [
    row.depth === 0 ? paint(label, 'bold', colour) : label,
    barsOf(row, layout),
    tint === null || note === '' ? note : paint(note, tint, colour),
  ].join('  ');
  return [line.trimEnd(), ...below];
}

/** Cells of the axis; a bar has at least one, and what comes later lies over what was there. */
function barsOf({ bars, frame }: Row, layout: Layout): string {
  const { glyphs, colour } = layout;
  const cells: { text: string; tint: Colour | null }[] = Array.from({ length: layout.bars }, () => ({
    text: ' ',
    tint: null,
  }));
  const put = (from: number, to: number, text: string, tint: Colour): void => {
    for (let cell = from; cell < Math.min(to, cells.length); cell++) cells[cell] = { text, tint };
  };
  if (frame !== null) {
    const from = cellAt(frame.fromMs, layout);
    const isWithin = frame.toMs <= layout.axisMs;
    const last = isWithin ? Math.max(from, cellAt(frame.toMs, layout, true) - 1) : cells.length - 1;
    put(from, last, glyphs.frame, 'dim');
    put(last, last + 1, isWithin ? glyphs.end : glyphs.beyond, 'dim');
  }
  for (const bar of bars) {
    const from = Math.min(cellAt(bar.fromMs, layout), cells.length - 1);
    put(from, Math.max(from + 1, cellAt(bar.toMs, layout, true)), glyphs[bar.kind], TINTS[bar.kind]);
  }
  return runs(cells)
    .map(({ text, tint }) => (tint === null ? text : paint(text, tint, colour)))
    .join('');
}

function cellAt(ms: number, { axisMs, bars }: Layout, isEnd = false): number {
  const cell = (ms / axisMs) * bars;
  return Math.min(bars, Math.max(0, isEnd ? Math.round(cell) : Math.floor(cell)));
}

/** Neighbours of one colour are one. */
function runs(cells: readonly { readonly text: string; readonly tint: Colour | null }[]) {
  const joined: { text: string; tint: Colour | null }[] = [];
  for (const { text, tint } of cells) {
    const last = joined.at(-1);
    if (last !== undefined && last.tint === tint) last.text += text;
    else joined.push({ text, tint });
  }
  return joined;
}

/** Moments at whole lengths of time, each over the cell where it is. */
function axisLine(layout: Layout): string {
  const { names, bars, axisMs, colour } = layout;
  const stepMs = stepOf(axisMs, Math.max(2, Math.floor(bars / 10)));
  let line = '';
  for (let ms = 0; ms <= axisMs; ms += stepMs) {
    const cell = cellAt(ms, layout);
    const text = `|${formatDuration(ms)}`;
    if (cell >= line.length && cell + text.length <= bars) line = line.padEnd(cell) + text;
  }
  return paint(`${' '.repeat(names + 2)}${line}`, 'dim', colour).trimEnd();
}

/** The length of time between two ticks, so that there are `most` at most. */
function stepOf(axisMs: number, most: number): number {
  const steps = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 15_000, 30_000, 60_000, 120_000];
  return (
    [...steps, 300_000, 600_000, 1_800_000].find((step) => axisMs / step <= most) ??
    3_600_000 * Math.ceil(axisMs / 3_600_000 / most)
  );
}

function indent({ depth }: Row): number {
  return depth * 2;
}

function fitted(words: string, width: number, cut: string): string {
  const text = plainLine(words).replaceAll('\t', ' ');
  if (text.length <= width) return text.padEnd(width);
  return `${text.slice(0, width - cut.length)}${cut}`;
}

/** Broken at spaces; lines behind the first begin with `prefix`. */
function wrapped(text: string, width: number, prefix: string): readonly string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of plainLine(text.replace(/\s+/g, ' ').trim()).split(' ')) {
    const next = line === '' ? word : `${line} ${word}`;
    if (next.length <= width) line = next;
    else {
      if (line.trim() !== '') lines.push(line);
      line = lines.length === 0 ? word : `${prefix}${word}`;
    }
    for (; line.length > width; line = `${prefix}${line.slice(width)}`) lines.push(line.slice(0, width));
  }
  return [...lines, line];
}

/** What a name or a reason has that ASCII hasn't. */
function plain(text: string): string {
  return text.replaceAll('…', '.').replace(/[^\p{Cc} -~]/gu, '?');
}
