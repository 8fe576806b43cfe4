/** Values that are nobody's business, known by the names of their variables; pure. */
import type { Program, ServiceSpec } from './service.ts';

const SECRET =
  /(pass(word|wd|phrase)|(^|[_-])pass([_-]|$)|.[_-]pwd$|secret|token(?!izer)|api[_-]?key|private|credential|auth(?!or)|session|cookie|signing|[_-]keys?$|^key$|dsn|salt|jwt|[_-]pat$)/i;
const HARMLESS =
  /^(SSH_AUTH_SOCK|XDG_SESSION_.*|DESKTOP_SESSION|XAUTHORITY|GSUP_ID|DBUS_SESSION_BUS_ADDRESS|.*_KEYMAP)$/;
/** A password inside of an address: `postgres://user:secret@host`. */
const IN_ADDRESS = /([a-z][a-z0-9+.-]*:\/\/[^/:@\s]*:)([^\s,]+)(@)/gi;

const MASK = '********';

/** The variables with the values of secrets masked. */
export function masked(environment: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(environment).map(([name, value]) => [name, maskedValue(name, value)]));
}

/** The value of one variable as it may be shown. */
export function maskedValue(name: string, value: string): string {
  if (value === '') return value;
  if (SECRET.test(name) && !HARMLESS.test(name)) return MASK;
  return value.replace(IN_ADDRESS, `$1${MASK}$3`);
}

/** Whether the value of a variable must not be shown, wholly or in part. */
export function isSecret(name: string, value: string): boolean {
  return maskedValue(name, value) !== value;
}

/** A shorter value may well be an ordinary word of a text. */
const LEAST_LENGTH = 6;

/** Values of secrets, for masking them in other texts. */
export function secretValues(environment: Readonly<Record<string, string>>): readonly string[] {
  return Object.entries(environment)
    .flatMap(([name, value]) =>
      maskedValue(name, value) === MASK
        ? [value]
        : [...value.matchAll(IN_ADDRESS)].map(([, , password = '']) => password),
    )
    .filter((value) => value.length >= LEAST_LENGTH);
}

/** A spec as it may be shown: values of variables, and what is secret in command lines. */
export function maskedSpec(spec: ServiceSpec): ServiceSpec {
  const values = secretValues(spec.env);
  const words = <T extends readonly string[]>(argv: T) => maskedWords(argv, values) as unknown as T;
  const { program, ready, stop } = spec;
  return {
    ...spec,
    env: masked(spec.env),
    program: maskedProgram(program, values),
    ready:
      ready?.check.kind === 'exec' ? { ...ready, check: { ...ready.check, argv: words(ready.check.argv) } } : ready,
    stop: stop.preStop === null ? stop : { ...stop, preStop: { ...stop.preStop, argv: words(stop.preStop.argv) } },
  };
}

function maskedProgram(program: Program, values: readonly string[]): Program {
  switch (program.kind) {
    case 'command': {
      const [first, ...rest] = maskedWords(program.argv, values);
      return { ...program, argv: [first ?? '', ...rest] };
    }
    case 'shell':
      return { ...program, line: maskedCommand(program.line, values) };
    case 'script':
      return { ...program, args: maskedWords(program.args, values) };
  }
}

/** `--token`, `abc` are two words of which the second is masked; `--token=abc` is one. */
function maskedWords(words: readonly string[], values: readonly string[]): readonly string[] {
  return words.map((word, index) => {
    const option = /^-{1,2}([\w-]+)$/.exec(words[index - 1] ?? '')?.[1];
    return option === undefined || word.startsWith('-') ? maskedCommand(word, values) : maskedValue(option, word);
  });
}

/** A command line with the values of options and variables that are named like secrets masked, and passwords in addresses. */
export function maskedCommand(command: string, values: readonly string[]): string {
  const words = /((?:^|\s)-{1,2}(?!no-)([\w-]+)(?:=|\s+(?!-)))(?!\w+=)(\S+)|((?:^|\s)(\w+)=)(\S+)|(?<=^|\s)(?!-)(\S+)/g;
  const plain = withoutSecrets(command, values);
  return plain.replace(words, (_whole, option = '', name, value, assignment = '', variable, its, word) => {
    return `${option}${assignment}${maskedValue(name ?? variable ?? '', value ?? its ?? word)}`;
  });
}

/** `text` without any of `values`. */
export function withoutSecrets(text: string, values: readonly string[]): string {
  const longestFirst = values.toSorted((a, b) => b.length - a.length);
  return longestFirst.reduce((left, value) => left.replaceAll(value, MASK), text);
}
