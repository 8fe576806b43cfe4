/** What is wrong in a configuration, by path; and valibot's issues in that form. */
import type * as v from 'valibot';
import { nearest } from '../core/name.ts';
import { shortened } from './diagnostic.ts';
import { LIST } from './schema.ts';

export type Path = readonly (string | number)[];

export type Problem = {
  readonly path: Path;
  /** Whether the key is wrong, or its value. */
  readonly at: 'key' | 'value';
  readonly message: string;
};

const LONGEST_WORD = 80;
/** Of the keys of one map, so many are compared with those that there are. */
const MOST_HINTS = 100;

type Issue = v.BaseIssue<unknown>;

/** `services.api.stop` */
function showPath(path: Path): string {
  return path.length === 0
    ? 'the file'
    : path.map((key, i) => (typeof key === 'number' ? `[${key}]` : `${i ? '.' : ''}${word(key)}`)).join('');
}

/** Each issue as a problem below `base`; `knownAt` names the keys that an object may have. */
export function problemsOf(
  issues: readonly Issue[],
  base: Path,
  knownAt: (path: Path) => readonly string[],
): readonly Problem[] {
  return issues.flatMap((issue) => problemsOfIssue(issue, base, knownAt));
}

function problemsOfIssue(issue: Issue, base: Path, knownAt: (path: Path) => readonly string[]): readonly Problem[] {
  const keys = (issue.path ?? []).map(({ key }) => key as string | number);
  const path = [...base, ...keys];
  // Of the forms that a value may have, the one is meant whose inside was wrong.
  const inner = (issue.issues ?? []).filter((sub) => sub.path !== undefined);
  if (inner.length > 0) return problemsOf(inner, path, knownAt);
  if (issue.type === 'strict_object' && issue.expected === 'never')
    return unknownKeys(issue, path.slice(0, -1), knownAt);
  if (issue.received === 'undefined') {
    const parent = path.slice(0, -1);
    return [{ path: parent, at: 'key', message: `"${word(String(path.at(-1)))}" is missing in ${showPath(parent)}` }];
  }
  const isOwn = issue.type === 'raw_transform' || issue.message.startsWith('expected');
  const received = describe(issue.input);
  const wanted = isOwn ? issue.message : expectedOf(issue);
  const message = issue.type === 'raw_transform' ? wanted : `${wanted}, not ${received}${nearestChoice(issue)}`;
  return [{ path, at: 'value', message: `${showPath(path)}: ${message}` }];
}

/** valibot tells the first unknown key of a map only; people want all of them. */
function unknownKeys(issue: Issue, parent: Path, knownAt: (path: Path) => readonly string[]): readonly Problem[] {
  const known = knownAt(parent);
  const map = issue.path?.at(-1)?.input;
  const keys = typeof map === 'object' && map !== null ? Object.keys(map) : [];
  const unknown = keys.filter((key) => !known.includes(key));
  return unknown.map((key, index) => unknownKey([...parent, key], index < MOST_HINTS ? known : []));
}

/** `; did you mean "always"?` of a choice of words, or nothing. */
function nearestChoice(issue: Issue): string {
  const choices = [issue, ...(issue.issues ?? [])]
    .filter(({ type }) => type === 'picklist')
    .flatMap(({ expected }) => [...(expected ?? '').matchAll(/"([^"]+)"/g)].map(([, word = '']) => word));
  const near = typeof issue.input === 'string' ? nearest(issue.input, choices) : null;
  return near === null ? '' : `; did you mean "${near}"?`;
}

function unknownKey(path: Path, known: readonly string[]): Problem {
  const key = String(path.at(-1));
  const parent = path.slice(0, -1);
  const near = nearest(key, known);
  const hint = near === null ? `; it may have ${known.join(', ')}` : `; did you mean "${near}"?`;
  return {
    path,
    at: 'key',
    message: `unknown key "${word(key)}" in ${showPath(parent)}${known.length > 0 ? hint : ''}`,
  };
}

function expectedOf(issue: Issue): string {
  const names: Readonly<Record<string, string>> = { string: 'a text', number: 'a number', boolean: 'true or false' };
  if (issue.type === 'strict_object' || issue.type === 'record') return 'expected a map';
  return `expected ${names[issue.expected ?? ''] ?? issue.expected ?? 'another value'}`;
}

function describe(input: unknown): string {
  if (Array.isArray(input) && input.length === 0) return 'an empty list';
  if (Array.isArray(input) || input === LIST) return 'a list';
  if (input === null) return 'nothing';
  if (typeof input === 'object') return 'a map';
  return word(JSON.stringify(typeof input === 'string' ? input.slice(0, LONGEST_WORD) : input) ?? String(input));
}

/** A key or value of the file, as much of it as people need to find it. */
function word(text: string): string {
  return shortened(text, LONGEST_WORD);
}
