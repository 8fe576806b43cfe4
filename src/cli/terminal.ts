/** What the terminal allows: colours and a width. */

/** https://no-color.org: any value that is not empty forbids it. */
export function allowsColour(stream: { readonly isTTY?: boolean }): boolean {
  return stream.isTTY === true && !process.env['NO_COLOR'] && process.env['TERM'] !== 'dumb';
}

/** Columns of a terminal; of anything else, lines may be as long as they are. */
export function terminalWidth(stream: { readonly isTTY?: boolean; readonly columns?: number }): number {
  return stream.isTTY === true ? (stream.columns ?? 80) : Number.POSITIVE_INFINITY;
}

/** Whether the locale writes UTF-8 (locale(7): LC_ALL before LC_CTYPE before LANG). */
export function allowsUnicode(environment: Readonly<Record<string, string | undefined>>): boolean {
  const locale = environment['LC_ALL'] || environment['LC_CTYPE'] || environment['LANG'] || '';
  return /utf-?8/i.test(locale);
}
