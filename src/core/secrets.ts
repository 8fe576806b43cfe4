/** Values that are nobody's business, known by the names of their variables; pure. */
import type { PhaseRecord } from './record.ts';
import type { Check, Program, ServiceSpec } from './service.ts';

const SECRET =
  /(pass(word|wd|phrase)|(^|[_-])pass([_-]|$)|.[_-]pwd$|secret|token(?!izer)|api[_-]?key|private|credential|auth(?!or)|session|cookie|signing|[_-]keys?$|^key$|dsn|salt|jwt|[_-]pat$)/i;
const HARMLESS =
  /^(SSH_AUTH_SOCK|XDG_SESSION_.*|DESKTOP_SESSION|XAUTHORITY|GSUP_ID|DBUS_SESSION_BUS_ADDRESS|.*_KEYMAP)$/;
const MASK = '********';

/** The variables with the values of secrets masked. */
export function masked(environment: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(environment).map(([name, value]) => [name, maskedValue(name, value)]));
}

/** The value of one variable as it may be shown. */
export function maskedValue(name: string, value: string): string {
  if (value === '') return value;
  return isSecretName(name) ? MASK : withMasks(value, passwordsIn(value));
}

/** Whether the value of a variable must not be shown, wholly or in part. */
export function isSecret(name: string, value: string): boolean {
  return maskedValue(name, value) !== value;
}

function isSecretName(name: string): boolean {
  return SECRET.test(name) && !HARMLESS.test(name);
}

/** From (included) and to (excluded), in UTF-16 units. */
type Span = readonly [from: number, to: number];

const SCHEME_LETTER = /[a-z0-9+.-]/i;

/** The passwords in addresses, `postgres://user:secret@host`, in order; takes linear time whatever the text. */
export function passwordsIn(text: string): readonly Span[] {
  const spans: Span[] = [];
  const userEnd = /[/:@\s]/g;
  const wordEnd = /[\s,]/g;
  /** Where an address may begin: behind the password before it. */
  let free = 0;
  /** Of the word that was looked at last: where it ends, and its last `@`. */
  let end = 0;
  let sign = -1;
  for (let mark = text.indexOf('://'); mark >= 0; mark = text.indexOf('://', mark + 1)) {
    if (!hasScheme(text, free, mark)) continue;
    userEnd.lastIndex = mark + 3;
    const from = (userEnd.exec(text)?.index ?? text.length) + 1;
    if (text[from - 1] !== ':') continue;
    if (from >= end) {
      wordEnd.lastIndex = from;
      end = wordEnd.exec(text)?.index ?? text.length;
      sign = from + text.slice(from, end).lastIndexOf('@');
    }
    if (sign <= from) continue;
    spans.push([from, sign]);
    free = sign + 1;
    mark = sign;
  }
  return spans;
}

/** Whether `mark` stands directly behind a scheme: letters, digits, `+ . -`, with at least one letter. */
function hasScheme(text: string, free: number, mark: number): boolean {
  for (let at = mark - 1; at >= free; at--) {
    const letter = text[at] ?? '';
    if (!SCHEME_LETTER.test(letter)) return false;
    if (/[a-z]/i.test(letter)) return true;
  }
  return false;
}

/** A shorter value may well be an ordinary word of a text. */
const LEAST_LENGTH = 6;
/** Behind a text that was cut, and as much of its end as is looked at. */
const CUT = '…';
const LONGEST_BEGIN = 200;
/** More values than this are searched for together. */
const MANY = 256;

const valuesOf = new WeakMap<Readonly<Record<string, string>>, readonly string[]>();

/** Values of secrets, for masking them in other texts; computed once for each environment object, which must not change. */
export function secretValues(environment: Readonly<Record<string, string>>): readonly string[] {
  const known = valuesOf.get(environment);
  if (known !== undefined) return known;
  const found = Object.entries(environment).flatMap(([name, value]) =>
    isSecretName(name) ? [value] : passwordsIn(value).map(([from, to]) => value.slice(from, to)),
  );
  const values = [...new Set(found.filter((value) => value.length >= LEAST_LENGTH))];
  valuesOf.set(environment, values);
  return values;
}

/** A spec as it may be shown: values of variables, and what is secret in its texts; `values`: of its whole environment. */
export function maskedSpec(spec: ServiceSpec, values: readonly string[] = secretValues(spec.env)): ServiceSpec {
  const { program, ready, live, stop } = spec;
  return {
    ...spec,
    env: masked(spec.env),
    program: maskedProgram(program, values),
    ready: ready && { ...ready, check: maskedCheck(ready.check, values) },
    live: live && { ...live, check: maskedCheck(live.check, values) },
    stop: { ...stop, preStop: stop.preStop && { ...stop.preStop, argv: maskedArgv(stop.preStop.argv, values) } },
  };
}

function maskedCheck<C extends Check>(check: C, values: readonly string[]): C {
  switch (check.kind) {
    case 'http':
      return { ...check, url: maskedCommand(check.url, values) };
    case 'exec':
      return { ...check, argv: maskedArgv(check.argv, values) };
    case 'log':
      return { ...check, pattern: withoutSecrets(check.pattern, values) };
    case 'tcp':
    case 'message':
    case 'notify':
    case 'fd':
      return check;
  }
}

function maskedArgv(argv: readonly [string, ...string[]], values: readonly string[]): readonly [string, ...string[]] {
  const [first = '', ...rest] = maskedWords(argv, values);
  return [first, ...rest];
}

/** A record as it may go out: every text in it that is not a name of gsup's own. */
export function maskedRecord<R extends PhaseRecord>(record: R, values: readonly string[]): R {
  const { command, reason, check, appPhase, pending, survivors } = record;
  return {
    ...record,
    ...(command === undefined ? {} : { command: maskedCommand(command, values) }),
    ...(reason === undefined ? {} : { reason: maskedCommand(reason, values) }),
    ...(check === undefined ? {} : { check: maskedCommand(check, values) }),
    ...(appPhase === undefined ? {} : { appPhase: maskedCommand(appPhase, values) }),
    ...(pending === undefined ? {} : { pending: maskedTexts(pending, values) }),
    ...(survivors === undefined
      ? {}
      : { survivors: survivors.map((one) => ({ ...one, command: maskedCommand(one.command, values) })) }),
  };
}

/** Plain data with every text in it masked, those behind secret names wholly; keys stay. */
export function maskedTexts<T>(data: T, values: readonly string[]): T {
  return maskedBelow(data, '', values) as T;
}

function maskedBelow(data: unknown, name: string, values: readonly string[]): unknown {
  if (typeof data === 'string') return isSecretName(name) && data !== '' ? MASK : maskedCommand(data, values);
  if (Array.isArray(data)) return data.map((one) => maskedBelow(one, name, values));
  if (typeof data !== 'object' || data === null) return data;
  return Object.fromEntries(Object.entries(data).map(([key, value]) => [key, maskedBelow(value, key, values)]));
}

function maskedProgram(program: Program, values: readonly string[]): Program {
  switch (program.kind) {
    case 'command':
      return { ...program, argv: maskedArgv(program.argv, values) };
    case 'shell':
      return { ...program, line: maskedCommand(program.line, values) };
    case 'script':
      return {
        ...program,
        interpreterArgs: maskedWords(program.interpreterArgs, values),
        args: maskedWords(program.args, values),
      };
  }
}

/** `--token`, `abc` are two words of which the second is masked; `--token=abc` is one. */
function maskedWords(words: readonly string[], values: readonly string[]): readonly string[] {
  return words.map((word, index) => {
    const option = /^-{1,2}([\w-]+)$/.exec(words[index - 1] ?? '')?.[1] ?? '';
    const isValue = !word.startsWith('-') && !option.startsWith('no-') && isSecretName(option);
    return isValue && word !== '' ? MASK : maskedCommand(word, values);
  });
}

const WORDS = /((?:^|\s)-{1,2}(?!no-)([\w-]+)(?:=|\s+(?!-)))(?!\w+=)(\S+)|((?:^|\s)(\w+)=)(\S+)|(?<=^|\s)(?!-)(\S+)/g;
/** `?token=secret&…` of an address. */
const IN_QUERY = /([?&]([\w-]+)=)([^&#\s]+)/g;

/** A command line or sentence with the values of options and variables that are named like secrets masked, and passwords in addresses. */
export function maskedCommand(command: string, values: readonly string[]): string {
  const plain = withoutSecrets(command, values).replace(
    WORDS,
    (_whole, option = '', name, value, assignment = '', variable, assigned, word) =>
      `${option}${assignment}${maskedValue(name ?? variable ?? '', value ?? assigned ?? word)}`,
  );
  return plain.replace(IN_QUERY, (_whole, start: string, name: string, value: string) => {
    return `${start}${maskedValue(name, value)}`;
  });
}

/** `text` without any of `values`. */
export function withoutSecrets(text: string, values: readonly string[]): string {
  if (text.length < LEAST_LENGTH || values.length === 0) return text;
  const shown = withMasks(text, values.length > MANY ? spansOfMany(text, values) : spansOf(text, values));
  return shown.endsWith(CUT) ? withoutBegin(shown, values) : shown;
}

/** Without the begin of a secret where a text was cut off in it. */
function withoutBegin(text: string, values: readonly string[]): string {
  const end = text.slice(-LONGEST_BEGIN);
  for (const value of values.slice(0, MANY))
    for (let length = Math.min(value.length, LONGEST_BEGIN) - 1; length >= LEAST_LENGTH; length--)
      if (end.endsWith(value.slice(0, length) + CUT)) return text.slice(0, -length - 1) + MASK + CUT;
  return text;
}

function spansOf(text: string, values: readonly string[]): readonly Span[] {
  const spans: Span[] = [];
  for (const value of values)
    for (let at = text.indexOf(value); at >= 0; at = text.indexOf(value, at + value.length))
      spans.push([at, at + value.length]);
  return spans;
}

const prefixesOf = new WeakMap<readonly string[], ReadonlyMap<string, number>>();

/** One pass for any number of values: where the first letters of one stand, as much is masked as the longest such value has. */
function spansOfMany(text: string, values: readonly string[]): readonly Span[] {
  let longest = prefixesOf.get(values);
  if (longest === undefined) {
    const lengths = new Map<string, number>();
    for (const value of values) {
      const prefix = value.slice(0, LEAST_LENGTH);
      lengths.set(prefix, Math.max(value.length, lengths.get(prefix) ?? 0));
    }
    longest = lengths;
    prefixesOf.set(values, longest);
  }
  const spans: Span[] = [];
  for (let at = 0; at + LEAST_LENGTH <= text.length; at++) {
    const length = longest.get(text.slice(at, at + LEAST_LENGTH));
    if (length !== undefined) spans.push([at, at + length]);
  }
  return spans;
}

/** Each span as one mask; spans that overlap share one. */
function withMasks(text: string, spans: readonly Span[]): string {
  if (spans.length === 0) return text;
  let shown = '';
  let end = 0;
  for (const [from, to] of spans.toSorted(([a], [b]) => a - b)) {
    if (from >= end) shown += text.slice(end, from) + MASK;
    end = Math.max(end, to);
  }
  return shown + text.slice(end);
}
