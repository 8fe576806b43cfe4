/** Problems with their place, told as a compiler would: file:line:column, the line, a caret. */
import { plainLine } from '../core/plain-text.ts';

export type Diagnostic = {
  /** As the user typed it. */
  readonly file: string;
  /** From 1; `null` where there is no place. */
  readonly line: number | null;
  readonly column: number | null;
  /** Letters to mark. */
  readonly length: number;
  readonly message: string;
  /** The whole line. */
  readonly source: string | null;
};

/** People read the first ones; a file of another kind has thousands. */
const MOST = 20;
const LONGEST_MESSAGE = 500;
/** Of a line, around its place. */
const BEFORE = 60;
const SHOWN = 110;

/** The first 20, then one that counts the others. */
export function firstProblems(diagnostics: readonly Diagnostic[]): readonly Diagnostic[] {
  const more = diagnostics.length - MOST;
  const [first] = diagnostics;
  if (first === undefined || more <= 0) return diagnostics;
  const message = `and ${more} more ${more === 1 ? 'problem' : 'problems'}`;
  const last = { file: first.file, line: null, column: null, length: 0, message, source: null };
  return [...diagnostics.slice(0, MOST), last];
}

/** At most 20, in the order given. `colour`: ANSI allowed. */
export function formatDiagnostics(diagnostics: readonly Diagnostic[], { colour }: { colour: boolean }): string {
  return firstProblems(diagnostics)
    .map((diagnostic) => formatOne(diagnostic, colour))
    .join('\n');
}

function formatOne({ line, column, length, source, ...texts }: Diagnostic, colour: boolean): string {
  const file = plainLine(texts.file);
  const message = plainLine(shortened(texts.message, LONGEST_MESSAGE));
  const paint = (code: number, text: string) => (colour ? `\u001b[${code}m${text}\u001b[0m` : text);
  if (line === null || column === null) return `${paint(1, file)}: ${message}`;
  const head = `${paint(1, `${file}:${line}:${column}`)} ${message}`;
  if (source === null) return head;
  const gutter = String(line);
  // A line of a machine can be endless: the part around the place is enough.
  const from = Math.max(0, column - BEFORE);
  // Letter by letter, so that the mark stays below its place.
  const shown = source.slice(from, from + SHOWN).replace(/(?!\t)\p{Cc}|[\p{Bidi_Control}\u2028\u2029]/gu, '\ufffd');
  const before = shown.slice(0, column - 1 - from).replace(/[^\t]/g, ' ');
  const marks = '^'.repeat(Math.max(1, Math.min(length, shown.length - before.length)));
  return `${head}\n  ${gutter} | ${shown}\n  ${' '.repeat(gutter.length)} | ${before}${paint(31, marks)}`;
}

/** With an ellipsis where it is longer than that. */
export function shortened(text: string, most: number): string {
  return text.length > most ? `${text.slice(0, most - 1)}…` : text;
}
