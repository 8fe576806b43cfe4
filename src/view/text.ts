/** Text as a terminal shows it: harmless, and as wide as it is there; pure. */
import stringWidth from 'string-width';
import stripAnsi from 'strip-ansi';

const TAB = 8;
/** Of a line that is shown in part only; the rest is not even looked at. */
const LONGEST = 4_000;
const SEGMENTER = new Intl.Segmenter();

/** What others wrote, as one line that does nothing to a terminal: escape sequences and what turns the direction of writing are gone, tabs are spaces, other control characters stand as `^X`. */
export function harmless(text: string): string {
  const short = text.length > LONGEST ? text.slice(0, LONGEST) : text;
  if (/^[ -~]*$/.test(short)) return short;
  const plain = stripAnsi(short).replace(/[\p{Bidi_Control}\u2028\u2029]/gu, '');
  return expanded(plain).replace(/\p{Cc}/gu, caret);
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
  for (const [index, part] of text.split('\t').entries()) {
    if (index > 0) line += ' '.repeat(TAB - (stringWidth(line) % TAB));
    line += part;
  }
  return line;
}

/** caret notation, `^[` for escape; of C1 the code. */
function caret(character: string): string {
  const code = character.charCodeAt(0);
  return code < 0x80 ? `^${String.fromCharCode(code ^ 0x40)}` : `\\x${code.toString(16)}`;
}
