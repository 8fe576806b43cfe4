/** The values of one app of an ecosystem file by PM2's own keys, read as PM2 reads them; what is not understood is noted. */
import { parseDuration } from '../core/duration.ts';
import { type Noting, show } from './note.ts';
import { canonical, noteUnknown, noteUnmapped } from './pm2-keys.ts';

export type Fields = {
  /** As it is written; `undefined` where it is not, or is null. */
  raw(key: string): unknown;
  /** How the key is written. */
  written(key: string): string;
  text(key: string): string | null;
  flag(key: string): boolean | null;
  number(key: string): number | null;
  /** In ms. */
  duration(key: string): number | null;
  words(key: string): readonly string[];
};

/** Every key that PM2 knows; the others, and those without a counterpart, are noted. */
export function fieldsOf(app: Readonly<Record<string, unknown>>, note: Noting): Fields {
  const found = new Map<string, { readonly written: string; readonly value: unknown }>();
  for (const [written, value] of Object.entries(app)) {
    if (/^env_\S/.test(written) && written !== 'env_file') continue;
    const key = canonical(written);
    if (key === null) noteUnknown(written, note);
    // As in PM2 another name counts only where the first has nothing.
    else if (written === key || !found.get(key)?.value) found.set(key, { written, value });
  }
  for (const [key, { written, value }] of found) noteUnmapped(key, written, value, note);
  const raw = (key: string) => found.get(key)?.value ?? undefined;
  const written = (key: string) => found.get(key)?.written ?? key;
  const read = <T>(key: string, what: string, parse: (value: unknown) => T | null): T | null => {
    const value = raw(key);
    if (value === undefined) return null;
    const result = parse(value);
    if (result === null) note(written(key), `${show(value)} is no ${what}; left out`);
    return result;
  };
  return {
    raw,
    written,
    text: (key) => read(key, 'text', textOf),
    flag: (key) => read(key, 'true or false', flagOf),
    number: (key) => read(key, 'number', numberOf),
    duration: (key) => read(key, 'length of time', durationOf),
    words: (key) => read(key, 'list of words', wordsOf) ?? [],
  };
}

/** A text that a program can be given. */
export function textOf(value: unknown): string | null {
  if (typeof value === 'number' || typeof value === 'boolean') return String(value);
  return typeof value === 'string' && value !== '' && !value.includes('\0') ? value : null;
}

function flagOf(value: unknown): boolean | null {
  if (value === 'true' || value === 'false') return value === 'true';
  return typeof value === 'boolean' ? value : null;
}

function numberOf(value: unknown): number | null {
  if (typeof value !== 'number' && typeof value !== 'string') return null;
  const number = value === '' ? Number.NaN : Number(value);
  return Number.isFinite(number) ? number : null;
}

function durationOf(value: unknown): number | null {
  return typeof value === 'number' || typeof value === 'string' ? parseDuration(value) : null;
}

/** PM2 splits at spaces, keeps what is quoted together, and takes the quotes away when they are around the whole word. */
const WORD = /[^\s"'=]+="[^"]*"|[^\s"'=]+='[^']*'|"[^"]*"|'[^']*'|\S+/g;

/** A quote alone is nothing, as in PM2. */
function unquoted(word: string): string {
  const isQuoted = /^["']/.test(word) && word.endsWith(word.charAt(0));
  return isQuoted ? word.slice(1, -1) : word;
}

function wordsOf(value: unknown): readonly string[] | null {
  if (typeof value === 'string' && !value.includes('\0')) {
    return (value.match(WORD) ?? []).map(unquoted).filter((word) => word.trim() !== '');
  }
  const list = Array.isArray(value) ? value : typeof value === 'number' ? [value] : null;
  const words = list?.map((one) => (one === '' ? '' : textOf(one))) ?? [null];
  return words.every((word) => word !== null) ? words : null;
}
