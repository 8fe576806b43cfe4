/** Attributes and blocks → HCL2 in the layout of `hclfmt`, with every string a literal. */

export type HclValue = string | number | boolean | readonly HclValue[] | { readonly [key: string]: HclValue };

export type HclItem =
  | { readonly kind: 'attribute'; readonly name: string; readonly value: HclValue }
  | { readonly kind: 'block'; readonly type: string; readonly labels: readonly string[]; readonly body: HclBody }
  | { readonly kind: 'comment'; readonly text: string };

export type HclBody = readonly HclItem[];

export function attribute(name: string, value: HclValue): HclItem {
  return { kind: 'attribute', name, value };
}

export function block(type: string, labels: readonly string[], body: HclBody): HclItem {
  return { kind: 'block', type, labels, body };
}

/** One line; it begins no other thing, whatever it holds. */
export function comment(text: string): HclItem {
  return { kind: 'comment', text };
}

/** The text of a file. */
export function hclText(body: HclBody): string {
  return `${linesOf(body).join('\n')}\n`;
}

export function isIdentifier(text: string): boolean {
  return /^[A-Za-z_][A-Za-z0-9_-]*$/.test(text);
}

/** A quoted template without templates: `${` and `%{` are letters. */
export function hclString(text: string): string {
  const escaped = text
    .replaceAll('\\', '\\\\')
    .replaceAll('"', '\\"')
    // `$$${` is read in two ways: of several only the last may be doubled.
    .replace(/([$%])(\1*)\{/g, (_, sign: string, rest: string) => `${unicode(sign).repeat(rest.length)}${sign}${sign}{`)
    .replace(/[\p{Cc}\u2028\u2029\ufeff]/gu, (letter) => ESCAPES[letter] ?? unicode(letter));
  return `"${escaped}"`;
}

const ESCAPES: Readonly<Record<string, string>> = { '\n': '\\n', '\r': '\\r', '\t': '\\t' };

function unicode(letter: string): string {
  return `\\u${letter.charCodeAt(0).toString(16).padStart(4, '0')}`;
}

function linesOf(body: HclBody): string[] {
  const width = alignments(body);
  return body.flatMap((item, index) => {
    const before = body[index - 1];
    const isApart =
      before !== undefined && before.kind !== 'comment' && (item.kind === 'block' || before.kind === 'block');
    return [...(isApart ? [''] : []), ...itemLines(item, width[index] ?? 0)];
  });
}

/** Neighbouring attributes have their `=` below each other. */
function alignments(body: HclBody): readonly number[] {
  const widths: number[] = [];
  for (let from = 0; from < body.length; from++) {
    let to = from;
    while (body[to]?.kind === 'attribute') to++;
    const run = body.slice(from, to).map((item) => (item.kind === 'attribute' ? item.name.length : 0));
    for (let index = from; index < to; index++) widths[index] = Math.max(...run);
    from = to;
  }
  return widths;
}

function itemLines(item: HclItem, width: number): string[] {
  switch (item.kind) {
    case 'comment':
      return [`# ${item.text}`];
    case 'attribute': {
      const [first = '', ...rest] = valueLines(item.value);
      return [`${item.name.padEnd(width)} = ${first}`, ...rest];
    }
    case 'block': {
      const head = [item.type, ...item.labels.map(hclString)].join(' ');
      return item.body.length === 0 ? [`${head} {}`] : [`${head} {`, ...indented(linesOf(item.body)), '}'];
    }
  }
}

function valueLines(value: HclValue): string[] {
  if (typeof value === 'string') return [hclString(value)];
  if (typeof value !== 'object') return [String(value)];
  if (Array.isArray(value)) return [`[${value.map((one) => valueLines(one).join(' ')).join(', ')}]`];
  const entries = Object.entries(value).map(([key, one]) => `${hclString(key)} = ${valueLines(one).join(' ')}`);
  return entries.length === 0 ? ['{}'] : ['{', ...indented(entries), '}'];
}

function indented(lines: readonly string[]): string[] {
  return lines.map((line) => (line === '' ? '' : `  ${line}`));
}
