/** Writes unit files, systemd.syntax(7): sections of keys, comments on lines of their own, values that stay what they are. */

export type Entry = { readonly key: string; readonly value: string; readonly comment?: string };
export type Section = { readonly name: string; readonly entries: readonly Entry[] };

/** The text of a unit; `comments` stand above it. */
export function unitText(comments: readonly string[], sections: readonly Section[]): string {
  const head = comments.map((line) => `# ${line}\n`).join('');
  return head + sections.map(({ name, entries }) => `\n[${name}]\n${entries.map(entryText).join('')}`).join('');
}

function entryText({ key, value, comment }: Entry): string {
  return `${comment === undefined ? '' : `# ${comment}\n`}${key}=${value}\n`;
}

/** A value that is one text: nothing in it is a specifier, and it has no second line. */
export function plainValue(text: string): string {
  return oneLine(text).replaceAll('%', '%%');
}

/** A command line, systemd.service(5): words as they are, no variables, no specifiers. */
export function commandValue(argv: readonly string[]): string {
  return argv.map((word) => quoted(word).replaceAll('%', '%%').replaceAll('$', '$$$$')).join(' ');
}

/** `NAME=value` for Environment=. */
export function assignmentValue(name: string, value: string): string {
  return quoted(`${name}=${value}`).replaceAll('%', '%%');
}

/** As `systemctl` calls a unit: letters, digits and `:-_.\@` stay, the rest is escaped (systemd-escape(1)). */
export function unitName(name: string): string {
  return [...Buffer.from(name)]
    .map((byte, index) => {
      const letter = String.fromCharCode(byte);
      const isPlain = /[A-Za-z0-9:_-]/.test(letter) || (letter === '.' && index > 0);
      return isPlain ? letter : `\\x${byte.toString(16).padStart(2, '0')}`;
    })
    .join('');
}

function quoted(word: string): string {
  if (/^[A-Za-z0-9_@%+=:,./$-]+$/.test(word)) return word;
  return `"${word.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n').replaceAll('\t', '\\t').replaceAll('\r', '\\r')}"`;
}

function oneLine(text: string): string {
  return text.replace(/\s*[\r\n]+\s*/g, ' ');
}
