/** Text as a terminal shows it: harmless, and as wide as it is there; pure. */
import stringWidth from 'string-width';
import { plainLine } from '../core/plain-text.ts';

const TAB = 8;
/** Of a line that is shown in part only; the rest is not even looked at. */
const LONGEST = 4_000;
const SEGMENTER = new Intl.Segmenter();

/** What others wrote, as one line that does nothing to a terminal and is not endless; tabs are spaces. */
export function harmless(text: string): string {
  return expanded(plainLine(text.length > LONGEST ? text.slice(0, LONGEST) : text));
}

/** Exactly `width` columns: cut with an ellipsis, or padded on the right. */
export function fitted(text: string, width: number): string {
  if (/^[ -~]*$/.test(text)) {
    if (text.length <= width) return text.padEnd(width);
    return width < 1 ? '' : `${text.slice(0, width - 1)}…`;
  }
  const all = stringWidth(text);
  if (all <= width) return text + ' '.repeat(width - all);
  if (width < 1) return '';
  const { head, columns } = headOf(text, width - 1);
  return `${head}…${' '.repeat(width - 1 - columns)}`;
}

/** The same with its last characters: the end of a name tells more than its middle. */
export function fittedInMiddle(text: string, width: number): string {
  if (stringWidth(text) <= width || width < 5) return fitted(text, width);
  const tail = [...SEGMENTER.segment(text)].map(({ segment }) => segment).slice(-Math.floor((width - 1) / 2));
  while (stringWidth(tail.join('')) > Math.floor((width - 1) / 2)) tail.shift();
  const end = tail.join('');
  const { head, columns } = headOf(text, width - 1 - stringWidth(end));
  return `${head}…${end}${' '.repeat(width - 1 - columns - stringWidth(end))}`;
}

function headOf(text: string, width: number): { readonly head: string; readonly columns: number } {
  let head = '';
  let columns = 0;
  for (const { segment } of SEGMENTER.segment(text)) {
    const its = stringWidth(segment);
    if (columns + its > width) break;
    head += segment;
    columns += its;
  }
  return { head, columns };
}

function expanded(text: string): string {
  if (!text.includes('\t')) return text;
  let line = '';
  let column = 0;
  for (const [index, part] of text.split('\t').entries()) {
    const gap = index > 0 ? TAB - (column % TAB) : 0;
    line += ' '.repeat(gap) + part;
    column += gap + stringWidth(part);
  }
  return line;
}
