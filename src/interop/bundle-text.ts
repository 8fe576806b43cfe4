/** The text of a configuration file with references in the place of secrets, and every other letter as it was. */
import { isMap, isPair, isScalar, isSeq, parseDocument, type Scalar, visit } from 'yaml';
import { REFERENCE } from '../config/interpolate.ts';
import { hideBraces, showBraces } from '../config/source.ts';
import { isSecret } from '../core/secrets.ts';
import { concealer, hasSecret, render, type Text } from './references.ts';

export type Rewritten = {
  readonly text: string;
  /** The variables that it refers to. */
  readonly names: ReadonlySet<string>;
  /** Those of them whose values stood in it. */
  readonly written: readonly string[];
};

type Place = { readonly from: number; readonly to: number; readonly text: string };

export function withReferences(text: string): Rewritten {
  const nodes = scalarsOf(text);
  const reserved = namesIn(nodes);
  const written = new Set<string>();
  const values = new Map<string, string>();
  const places: Place[] = [];
  const placed = new Set<Scalar>();
  for (const { node, plain, variable } of nodes) {
    if (variable === null) continue;
    const open = withoutDefaults(plain, written);
    if (isReference(open) || !isSecret(variable, open)) continue;
    placed.add(node);
    places.push(placeOf(node, `\${${nameFor(asVariable(variable), open, { values, reserved })}}`));
  }
  const hidden = concealer({
    ...Object.fromEntries([...reserved].map((name) => [name, ''])),
    ...Object.fromEntries([...values].filter(([, value]) => !value.includes('${'))),
  });
  for (const { node, plain, list, index } of nodes) {
    if (placed.has(node)) continue;
    const open = withoutDefaults(plain, written);
    const its = list === null ? hidden.line(open) : (hidden.words(list.slice(0, index + 1)).at(-1) ?? []);
    const shown = list === null || hasSecret(its) ? rendered(its) : open;
    if (shown !== plain) places.push(placeOf(node, shown));
  }
  for (const name of [...values.keys(), ...hidden.values().keys()]) written.add(name);
  const changed = replaced(text, places);
  return { text: changed, names: namesIn(scalarsOf(changed)), written: [...written] };
}

type ScalarOfFile = {
  readonly node: Scalar;
  readonly plain: string;
  /** The variable of `env` whose value it is. */
  readonly variable: string | null;
  /** The words that it is one of. */
  readonly list: readonly string[] | null;
  readonly index: number;
};

/** Every value; keys and comments are none. */
function scalarsOf(text: string): readonly ScalarOfFile[] {
  const found: ScalarOfFile[] = [];
  visit(parseDocument(hideBraces(text), { prettyErrors: false }), {
    Scalar(key, node, ancestors) {
      if (key === 'key') return;
      const parent = ancestors.at(-1);
      const list = isSeq(parent) ? parent.items.map((item) => (isScalar(item) ? plainOf(item) : '')) : null;
      const index = typeof key === 'number' ? key : 0;
      found.push({ node, plain: plainOf(node), variable: list === null ? variableAt(ancestors) : null, list, index });
    },
  });
  return found;
}

function plainOf({ value, source }: Scalar): string {
  return showBraces(typeof value === 'string' ? value : (source ?? ''));
}

/** `services.NAME.env.X` and `defaults.env.X` are X; a service may have the name env. */
function variableAt(ancestors: readonly unknown[]): string | null {
  const path = ancestors.flatMap((node) => (isPair(node) && isScalar(node.key) ? [String(node.key.value)] : []));
  const [top] = path;
  const inside = top === 'services' ? path.slice(2) : top === 'defaults' ? path.slice(1) : [];
  const isValue = ancestors.filter(isMap).length === path.length;
  return inside[0] === 'env' && inside.length === 2 && isValue ? (inside[1] ?? null) : null;
}

function namesIn(nodes: readonly ScalarOfFile[]): ReadonlySet<string> {
  const names = nodes.flatMap(({ plain }) =>
    [...plain.matchAll(REFERENCE)].map(([, name, , end]) => (end === undefined ? undefined : name)),
  );
  return new Set(names.filter((name) => name !== undefined));
}

/** A default of a secret is a secret, and stands in the file. */
function withoutDefaults(text: string, written: Set<string>): string {
  return text.replace(REFERENCE, (whole, name?: string, fallback?: string, end?: string) => {
    if (name === undefined || fallback === undefined || end === undefined || !isSecret(name, fallback)) return whole;
    written.add(name);
    return `\${${name}}`;
  });
}

function isReference(text: string): boolean {
  return /^\$\{[A-Za-z_]\w*(:-)?\}$/.test(text);
}

type Names = { readonly values: Map<string, string>; readonly reserved: ReadonlySet<string> };

function nameFor(wanted: string, value: string, { values, reserved }: Names): string {
  for (let n = 1; ; n++) {
    const name = n === 1 ? wanted : `${wanted}_${n}`;
    if (reserved.has(name)) continue;
    if (!values.has(name)) values.set(name, value);
    if (values.get(name) === value) return name;
  }
}

function asVariable(name: string): string {
  const plain = name.replace(/\W/g, '_');
  return /^\d/.test(plain) ? `_${plain}` : plain;
}

function rendered(text: Text): string {
  return render(
    text,
    (plain) => plain,
    (secret) => `\${${secret}}`,
  );
}

function placeOf({ range }: Scalar, text: string): Place {
  const [from, to] = range ?? [0, 0];
  return { from, to, text };
}

/** The last one first, so that places stay where they are; a block keeps the end of its line. */
function replaced(text: string, places: readonly Place[]): string {
  return places
    .toSorted((a, b) => b.from - a.from)
    .reduce((before, { from, to, text: its }) => {
      const end = before.slice(from, to).endsWith('\n') ? '\n' : '';
      return `${before.slice(0, from)}${JSON.stringify(its)}${end}${before.slice(to)}`;
    }, text);
}
