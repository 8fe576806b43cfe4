/** Problems with their place, told as a compiler would: file:line:column, the line, a caret. */

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

/** All of them, in the order given. `colour`: ANSI allowed. */
export function formatDiagnostics(diagnostics: readonly Diagnostic[], { colour }: { colour: boolean }): string {
  return diagnostics.map((diagnostic) => formatOne(diagnostic, colour)).join('\n');
}

function formatOne({ file, line, column, length, message, source }: Diagnostic, colour: boolean): string {
  const paint = (code: number, text: string) => (colour ? `\u001b[${code}m${text}\u001b[0m` : text);
  if (line === null || column === null) return `${paint(1, file)}: ${message}`;
  const head = `${paint(1, `${file}:${line}:${column}`)} ${message}`;
  if (source === null) return head;
  const gutter = String(line);
  // A line of a machine can be endless: the part around the place is enough.
  const from = Math.max(0, column - 60);
  const shown = source.slice(from, from + 110);
  const before = shown.slice(0, column - 1 - from).replace(/[^\t]/g, ' ');
  const marks = '^'.repeat(Math.max(1, Math.min(length, shown.length - before.length)));
  return `${head}\n  ${gutter} | ${shown}\n  ${' '.repeat(gutter.length)} | ${before}${paint(31, marks)}`;
}
