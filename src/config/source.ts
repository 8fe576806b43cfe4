/** A file → its value and the place of each path in it. YAML and JSON are read by `yaml`; modules are imported. */
import { readFileSync, statSync } from 'node:fs';
import {
  isAlias,
  isMap,
  isPair,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  type Pair,
  parseDocument,
  visit,
  type YAMLParseError,
} from 'yaml';
import { formatSize } from '../core/size.ts';
import type { Diagnostic } from './diagnostic.ts';
import { interpolate } from './interpolate.ts';
import { isModule, loadModule } from './module.ts';
import type { Path, Problem } from './problem.ts';

export type Environment = Readonly<Record<string, string | undefined>>;
export type Source =
  | {
      readonly ok: true;
      readonly value: unknown;
      readonly problems: readonly Diagnostic[];
      locate(problem: Problem): Diagnostic;
    }
  | { readonly ok: false; readonly problems: readonly Diagnostic[] };

/** Of a key that is shown. */
const LONGEST_KEY = 80;
/** Nobody writes more by hand; a larger one is another file. */
const LARGEST_BYTES = 1024 * 1024;

/** Reads `file`, with the variables of `env` put in; `null`: it is a file of another program, where `${X}` is a text. */
export async function readSource(file: string, env: Environment | null): Promise<Source> {
  const refused = refusal(file);
  if (refused !== null) return { ok: false, problems: [plain(file, refused)] };
  if (isModule(file)) return readModule(file);
  const bytes = readFileSync(file);
  if (bytes.includes(0)) return { ok: false, problems: [plain(file, 'is a binary file, not YAML')] };
  const text = decode(bytes);
  return text === null ? { ok: false, problems: [plain(file, 'is not UTF-8 text')] } : readYaml(file, text, env);
}

function decode(bytes: Uint8Array): string | null {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    return null;
  }
}

/** A diagnostic of the whole file. */
export function plain(file: string, message: string): Diagnostic {
  return { file, line: null, column: null, length: 0, message, source: null };
}

/** Why `file` is not read at all. */
export function refusal(file: string): string | null {
  try {
    const stat = statSync(file);
    if (stat.isDirectory()) return 'is a directory; name a file in it';
    if (!stat.isFile()) return 'is no regular file';
    if (stat.size > LARGEST_BYTES) {
      return `has ${formatSize(stat.size)}; a configuration of over 1MiB is refused, is this the right file?`;
    }
    if (!isModule(file)) readFileSync(file);
    return null;
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') return 'does not exist; "gsup init" writes one';
    return code === 'EACCES' ? 'may not be read: no permission' : `cannot be read: ${message}`;
  }
}

async function readModule(file: string): Promise<Source> {
  const loaded = await loadModule(file);
  if (!loaded.ok) return { ok: false, problems: [loaded.problem] };
  return { ok: true, value: loaded.value, problems: [], locate: ({ message }) => plain(file, message) };
}

/** The text of `file`, already read. */
export function readYaml(file: string, text: string, env: Environment | null): Source {
  const counter = new LineCounter();
  const document = parsed(text, counter);
  if (document === null) return { ok: false, problems: [plain(file, 'is nested too deeply')] };
  const lines = text.split('\n');
  const at = (offset: number, length: number, message: string): Diagnostic => {
    const { line, col } = counter.linePos(Math.min(offset, text.length));
    return {
      file,
      line,
      column: col,
      length: Math.max(1, length),
      message,
      source: lines[line - 1]?.replace(/\r$/, '') ?? null,
    };
  };
  const errors = [...withoutEchoes(document.errors).filter(isFirstAt()), ...doubleKeys(document)];
  if (errors.length > 0) {
    const problems = errors
      .toSorted((a, b) => a.pos[0] - b.pos[0])
      .map(({ pos: [from, to], message }) => at(from, to - from, lower(message)));
    return { ok: false, problems };
  }
  const problems = putVariables(document, env, at);
  if (problems.some(({ message }) => message.endsWith('this alias'))) {
    return { ok: false, problems };
  }
  let value: unknown;
  try {
    value = document.toJS({ maxAliasCount: 100 });
  } catch (error) {
    return { ok: false, problems: [plain(file, (error as Error).message)] };
  }
  return { ok: true, value, problems, locate: (problem) => locate(document.contents, problem, at, file) };
}

/** `null`: its nesting exhausts the stack of the parser. */
function parsed(text: string, lineCounter: LineCounter): ReturnType<typeof parseDocument> | null {
  try {
    // The parser compares each key with each: see doubleKeys.
    return parseDocument(hideBraces(text), { lineCounter, prettyErrors: false, uniqueKeys: false });
  } catch (error) {
    if (error instanceof RangeError) return null;
    throw error;
  }
}

/** `{ PORT: ${PORT} }` is no YAML for its braces; letters of nobody's stand for them while it is parsed (as long, so places stay). */
const [OPEN, CLOSE] = ['\uE0F0', '\uE0F1'];

export function hideBraces(text: string): string {
  // The brace is optional, as in interpolate.ts.
  return text.replace(/\$\{([A-Za-z_][A-Za-z0-9_]*(?::-[^}\n]*)?)(\})?/g, (whole, inside: string, end?: string) =>
    end === undefined ? whole : `$${OPEN}${inside}${CLOSE}`,
  );
}

export function showBraces(text: string): string {
  return text.replaceAll(OPEN, '{').replaceAll(CLOSE, '}');
}

/** The parser stumbles on after its first mistake and reports every later token: one a mistake is enough. */
function withoutEchoes(errors: readonly YAMLParseError[]): readonly YAMLParseError[] {
  const first = errors.findIndex(({ code }) => code === 'UNEXPECTED_TOKEN');
  return first < 0 ? errors : errors.filter(({ code }, index) => index <= first || code !== 'UNEXPECTED_TOKEN');
}

type Mistake = { readonly pos: readonly [from: number, to: number]; readonly message: string };

/** Keys that are in their map already. */
function doubleKeys(document: ReturnType<typeof parseDocument>): readonly Mistake[] {
  const found: Mistake[] = [];
  visit(document, {
    Map(_, { items }) {
      const seen = new Set<unknown>();
      for (const { key } of items) {
        if (!isScalar(key)) continue;
        const [from, to] = key.range ?? [0, 0];
        const message = `the key ${String(key.value).slice(0, LONGEST_KEY)} is there twice`;
        if (seen.has(key.value)) found.push({ pos: [from, to], message });
        seen.add(key.value);
      }
    },
  });
  return found;
}

/** Whether no error before was the same at the same place. */
function isFirstAt(): (error: YAMLParseError) => boolean {
  const seen = new Set<string>();
  return ({ pos: [from], message }) => {
    const key = `${from} ${message}`;
    const isFirst = !seen.has(key);
    seen.add(key);
    return isFirst;
  };
}

/** A plain value that held a variable is read again, so that a number stays a number. */
function putVariables(
  document: ReturnType<typeof parseDocument>,
  env: Environment | null,
  at: (offset: number, length: number, message: string) => Diagnostic,
): Diagnostic[] {
  const problems: Diagnostic[] = [];
  visit(document, {
    Alias(_, node) {
      const [from, to] = node.range ?? [0, 0];
      if (!node.resolve(document)) problems.push(at(from, to - from, `no &${node.source} stands before this alias`));
    },
    Scalar(key, node, ancestors) {
      const isText = env !== null && isTextFor(ancestors);
      // YAML would make 1.1 of 1.10 and 22 of 0022.
      if (isText && key !== 'key' && node.value !== null) node.value = node.source ?? node.value;
      if (typeof node.value !== 'string') return;
      node.value = showBraces(node.value);
      if (key === 'key' || env === null) return;
      const { text, hasChanged, unset } = interpolate(String(node.value), env);
      for (const name of unset) {
        const [from, to] = node.range ?? [0, 0];
        problems.push(at(from, to - from, `\${${name}} is not set; set it, or give a default: \${${name}:-value}`));
      }
      if (text.includes('\0')) {
        const [from, to] = node.range ?? [0, 0];
        problems.push(at(from, to - from, 'no program can be given a text with a NUL in it'));
      }
      if (hasChanged) node.value = node.type === 'PLAIN' && !isText ? asPlain(text) : text;
    },
  });
  return problems;
}

/** Whose values go to a program, letter by letter. */
const TEXT_KEYS = new Set(['command', 'args', 'env', 'exec', 'interpreter', 'script', 'umask', 'user', 'group']);

function isTextFor(ancestors: readonly unknown[]): boolean {
  const path = ancestors.flatMap((node) => (isPair(node) && isScalar(node.key) ? [String(node.key.value)] : []));
  const below = path[0] === 'services' ? path.slice(2) : path[0] === 'defaults' ? path.slice(1) : [];
  return below.some((key) => TEXT_KEYS.has(key));
}

/** What YAML would have read, had the value of the variable stood in the file; nothing but numbers, true and false. */
function asPlain(text: string): string | number | boolean {
  if (/^(true|True|TRUE)$/.test(text)) return true;
  if (/^(false|False|FALSE)$/.test(text)) return false;
  return /^[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?$/i.test(text) ? Number(text) : text;
}

function locate(
  root: unknown,
  { path, at: which, message }: Problem,
  at: (offset: number, length: number, message: string) => Diagnostic,
  file: string,
): Diagnostic {
  const { key, value } = find(root, path);
  const node = (which === 'key' ? (key ?? value) : (value ?? key)) ?? null;
  const [from, to] = node?.range ?? [null, null];
  if (from === null || to === null) return plain(file, message);
  const found = at(from, isScalar(node) || isAlias(node) ? to - from : 1, message);
  // The line may have the token in it.
  return path[0] === 'http' ? { ...found, source: null } : found;
}

/** The nodes of the last step of a path, or of the last that is there. */
function find(root: unknown, path: Path): { key: Node | null; value: Node | null } {
  let key: Node | null = null;
  let value = root as Node | null;
  for (const step of path) {
    if (isMap(value)) {
      const pair = value.items.find((item) => isScalar(item.key) && String(item.key.value) === String(step)) as
        | Pair<Node, Node | null>
        | undefined;
      if (!pair) break;
      key = pair.key;
      value = pair.value;
    } else if (isSeq(value)) {
      key = null;
      // A list of names may be asked for by name, too.
      const items = value.items as Node[];
      value = items[Number(step)] ?? items.find((item) => isScalar(item) && item.value === step) ?? value;
    } else break;
  }
  return { key, value };
}

function lower(message: string): string {
  return message.charAt(0).toLowerCase() + message.slice(1);
}
