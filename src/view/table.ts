/** Rows of cells → aligned columns of text; pure. */
import { type Colour, paint } from './colour.ts';

export type Cell = { readonly text: string; readonly colour?: Colour };
export type Column = {
  readonly title: string;
  readonly align?: 'right';
  /** Where a table too wide is made narrower: names in the middle, sentences by a second line. */
  readonly narrow?: 'middle' | 'wrap';
};

const GAP = 2;

/** `width` columns of a terminal at most, where columns that may be narrowed allow it. */
export function table(
  columns: readonly Column[],
  rows: readonly (readonly Cell[])[],
  { width, colour }: { readonly width: number; readonly colour: boolean },
): string {
  const widths = columns.map((column, index) =>
    Math.max(column.title.length, ...rows.map((row) => row[index]?.text.length ?? 0)),
  );
  narrow(columns, widths, width);
  const head = columns.map(({ title }) => ({ text: title, colour: 'bold' as const }));
  return [head, ...rows].flatMap((row) => lines(columns, widths, row, colour)).join('\n');
}

/** Takes from the columns that can give, the sentences first. */
function narrow(columns: readonly Column[], widths: number[], width: number): void {
  for (const kind of ['wrap', 'middle'] as const) {
    for (const [index, column] of columns.entries()) {
      const total = widths.reduce((sum, one) => sum + one, 0) + GAP * (columns.length - 1);
      if (total <= width || column.narrow !== kind) continue;
      const least = Math.max(column.title.length, kind === 'wrap' ? 20 : 12);
      widths[index] = Math.max(Math.min(least, widths[index] ?? least), (widths[index] ?? 0) - (total - width));
    }
  }
}

function lines(columns: readonly Column[], widths: readonly number[], row: readonly Cell[], colour: boolean): string[] {
  const parts = columns.map((column, index) => fitted(row[index]?.text ?? '', widths[index] ?? 0, column));
  const height = Math.max(...parts.map((part) => part.length));
  return Array.from({ length: height }, (_, line) =>
    columns
      .map(({ align }, index) => {
        const text = parts[index]?.[line] ?? '';
        const size = widths[index] ?? 0;
        const padded = align === 'right' ? text.padStart(size) : text.padEnd(size);
        const tint = row[index]?.colour;
        return tint === undefined ? padded : paint(padded, tint, colour);
      })
      .join(' '.repeat(GAP))
      .trimEnd(),
  );
}

function fitted(text: string, width: number, { narrow: kind }: Column): readonly string[] {
  if (text.length <= width || kind === undefined) return [text];
  if (kind === 'middle') {
    const head = Math.ceil((width - 1) / 2);
    return [`${text.slice(0, head)}…${text.slice(text.length - (width - 1 - head))}`];
  }
  return wrap(text, width);
}

/** Broken at spaces; a word longer than a line is broken where the line ends. */
export function wrap(text: string, width: number): readonly string[] {
  const broken: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    const next = line === '' ? word : `${line} ${word}`;
    if (next.length <= width) line = next;
    else {
      if (line !== '') broken.push(line);
      line = word;
    }
    for (; line.length > width; line = line.slice(width)) broken.push(line.slice(0, width));
  }
  return [...broken, line];
}
