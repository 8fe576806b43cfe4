/** Texts whose secrets stand as references: what an export may show of command lines and variables. */
import { isSecret, maskedValue, passwordsIn } from '../core/secrets.ts';

/** A text in pieces; a secret is the name of the variable that will hold it. */
export type Text = readonly (string | { readonly secret: string })[];

export type Concealer = {
  /** The words of one command. */
  words(argv: readonly string[]): readonly Text[];
  /** A line for a shell. */
  line(text: string): Text;
  /** Every variable that may be referred to and the value that it hides, those of the environment first. */
  values(): ReadonlyMap<string, string>;
};

/** A shorter value may well be an ordinary word. */
const LEAST_LENGTH = 6;

/** Hides the secrets of `env` in other texts, and what is secret there by itself: `--token X`, `KEY=X`, `db://user:X@host`. */
export function concealer(env: Readonly<Record<string, string>>): Concealer {
  const values = new Map(Object.entries(env).filter(([name, value]) => isSecret(name, value)));
  const nameFor = (wanted: string, value: string): string => {
    const base = wanted.replace(/^-+/, '').replace(/\W/g, '_').toUpperCase();
    for (let n = 1; ; n++) {
      const name = n === 1 ? base : `${base}_${n}`;
      if (!(name in env) && !values.has(name)) values.set(name, value);
      if (values.get(name) === value) return name;
    }
  };
  const words = (argv: readonly string[]): readonly Text[] =>
    argv.map((word, index) => textOf(word, argv[index - 1] ?? '', { values, nameFor }));
  return {
    words,
    line: (text) => {
      const parts = text.split(/(\s+)/);
      return joined(parts.map((part, index) => textOf(part, parts[index - 2] ?? '', { values, nameFor })));
    },
    values: () => values,
  };
}

/** The text with each reference written as `write` does, everything else as `plain` does. */
export function render(text: Text, plain: (piece: string) => string, write: (secret: string) => string): string {
  return text.map((piece) => (typeof piece === 'string' ? plain(piece) : write(piece.secret))).join('');
}

export function hasSecret(text: Text): boolean {
  return text.some((piece) => typeof piece !== 'string');
}

/** The text when there is no secret in it. */
export function plainText(text: Text): string {
  return render(
    text,
    (plain) => plain,
    (secret) => `$${secret}`,
  );
}

/** One word for a POSIX shell, references as its variables. */
export function shellWord(text: Text): string {
  const quoted = (plain: string) =>
    /^[\w./:=@%+,-]+$/.test(plain) ? plain : `'${plain.replaceAll("'", () => `'\\''`)}'`;
  return text.length === 0 || (text.length === 1 && text[0] === '')
    ? "''"
    : render(text, quoted, (secret) => `"$${secret}"`);
}

type Knowledge = {
  readonly values: ReadonlyMap<string, string>;
  nameFor(wanted: string, value: string): string;
};

function textOf(word: string, before: string, { values, nameFor }: Knowledge): Text {
  const option = /^-{1,2}([\w-]+)$/.exec(before)?.[1];
  if (option !== undefined && !word.startsWith('-') && isSecretName(option)) {
    const value = valueIn(word);
    if (value !== null) return joined([[value.open], [{ secret: nameFor(option, value.its) }], [value.close]]);
  }
  const assignment = /^(-{0,2}([\w-]+)=)(.+)$/s.exec(word);
  if (assignment?.[1] && assignment[2] && isSecretName(assignment[2])) {
    const value = valueIn(assignment[3] ?? '');
    if (value !== null)
      return joined([[assignment[1], value.open], [{ secret: nameFor(assignment[2], value.its) }], [value.close]]);
  }
  const known = split([word], values);
  return joined(known.map((piece) => (typeof piece === 'string' ? withoutPassword(piece, nameFor) : [piece])));
}

/** What a shell's quotes and signs stand around; `null`: there is none, or a reference already. */
function valueIn(word: string): { readonly open: string; readonly its: string; readonly close: string } | null {
  const [, open = '', its = '', close = ''] = /^(["']?)(.*?)((?:\1[;|&)]*)?)$/s.exec(word) ?? [];
  return its === '' || its.startsWith('$') ? null : { open, its, close };
}

function isSecretName(name: string): boolean {
  return maskedValue(name, 'x') !== 'x';
}

/** Longest first: a value may hold another. */
function split(text: Text, values: ReadonlyMap<string, string>): Text {
  const longestFirst = [...values].filter(([, value]) => value.length >= LEAST_LENGTH);
  longestFirst.sort(([, a], [, b]) => b.length - a.length);
  return longestFirst.reduce<Text>(
    (pieces, [secret, value]) =>
      pieces.flatMap((piece) => {
        if (typeof piece !== 'string') return [piece];
        return piece.split(value).flatMap((part, index) => (index === 0 ? [part] : [{ secret }, part]));
      }),
    text,
  );
}

/** Every password in an address but those that are references already. */
function withoutPassword(text: string, nameFor: Knowledge['nameFor']): Text {
  const pieces: Text[number][] = [];
  let end = 0;
  for (const [from, to] of passwordsIn(text)) {
    if (text[from] === '$') continue;
    pieces.push(text.slice(end, from), { secret: nameFor('PASSWORD', text.slice(from, to)) });
    end = to;
  }
  return [...pieces, text.slice(end)];
}

function joined(texts: readonly Text[]): Text {
  const pieces: Text[number][] = [];
  for (const piece of texts.flat()) {
    const last = pieces.at(-1);
    if (typeof piece === 'string' && typeof last === 'string') pieces[pieces.length - 1] = last + piece;
    else if (piece !== '') pieces.push(piece);
  }
  return pieces;
}
