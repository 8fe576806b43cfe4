/** Values that are nobody's business, known by the names of their variables; pure. */

const SECRET =
  /(pass(word|wd|phrase)?|secret|token|api_?key|private|credential|auth|session|cookie|signing|_key$|^key$|dsn|salt|jwt)/i;
const HARMLESS = /^(SSH_AUTH_SOCK|XDG_SESSION_.*|XAUTHORITY|GSUP_ID|DBUS_SESSION_BUS_ADDRESS|.*_KEYMAP)$/;
/** A password inside of an address: `postgres://user:secret@host`. */
const IN_ADDRESS = /^([a-z][a-z0-9+.-]*:\/\/[^/:@\s]*:)[^@\s]+(@)/i;

const MASK = '********';

/** The variables with the values of secrets masked. */
export function masked(environment: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(environment).map(([name, value]) => [name, maskedValue(name, value)]));
}

/** The value of one variable as it may be shown. */
export function maskedValue(name: string, value: string): string {
  if (value === '') return value;
  if (SECRET.test(name) && !HARMLESS.test(name)) return MASK;
  return value.replace(IN_ADDRESS, `$1${MASK}$2`);
}

/** Values of secrets that are long enough to be told from ordinary words, for masking them in other texts. */
export function secretValues(environment: Readonly<Record<string, string>>): readonly string[] {
  return Object.entries(environment)
    .filter(([name, value]) => value.length >= 6 && maskedValue(name, value) === MASK)
    .map(([, value]) => value);
}

/** A command line with the values of options and variables that are named like secrets masked. */
export function maskedCommand(command: string, values: readonly string[]): string {
  const options = /((?:^|\s)-{1,2}([\w-]+)[= ])(\S+)|((?:^|\s)(\w+)=)(\S+)/g;
  const plain = withoutSecrets(command, values);
  return plain.replace(options, (whole, option, name, value, assignment, variable, its) => {
    const before: string = option ?? assignment;
    const masked = maskedValue(name ?? variable, value ?? its);
    return masked === (value ?? its) ? whole : `${before}${masked}`;
  });
}

/** `text` without any of `values`. */
export function withoutSecrets(text: string, values: readonly string[]): string {
  return values.reduce((left, value) => left.replaceAll(value, MASK), text);
}
