/** Texts that others wrote, made so that a terminal only shows them; linear in time, and pure. */

/** An escape sequence of ECMA-48: one that only colours (SGR), any other with a parameter or a text, one of two letters. */
const COLOUR = '(\\u001b\\[[0-9;:]*m)';
const CONTROL = '(?:\\u001b\\[|\\u009b)[0-?]*[ -/]*[@-~]';
const STRING =
  '(?:\\u001b[\\]PX^_]|[\\u0090\\u0098\\u009d-\\u009f])[^\\u0007\\u001b\\u0080-\\u009f]*(?:\\u0007|\\u001b\\\\|\\u009c)';
const SHORT = '\\u001b[ -/]*[0-OQ-WYZ\\\\`-~]';
/** What turns the direction of writing, or ends a line elsewhere than at `\n`. */
const INVISIBLE = '[\\p{Bidi_Control}\\u2028\\u2029]';
const ALL = new RegExp(`${COLOUR}|${CONTROL}|${STRING}|${SHORT}|${INVISIBLE}|\\p{Cc}`, 'gu');
const PLAIN = /^[\t -~]*$/;

/** One line without escape sequences; other control characters stand as `^X`, tabs stay. */
export function plainLine(text: string): string {
  return PLAIN.test(text) ? text : replaced(text, false);
}

/** The same of each line; those behind the first begin with `indent`, so that none of them looks like one of ours. */
export function plainLines(text: string, indent = '  '): string {
  return text
    .replace(/\r?\n$/, '')
    .split('\n')
    .map(plainLine)
    .join(`\n${indent}`);
}

/** One line with the colours that it has, which end with it; nothing else in it acts on a terminal. */
export function colouredLine(text: string): string {
  if (PLAIN.test(text)) return text;
  const shown = replaced(text.endsWith('\r') ? text.slice(0, -1) : text, true);
  return shown.includes('\u001b') ? `${shown}\u001b[0m` : shown;
}

/** Any number of lines for a terminal: as `colouredLine`, but what was coloured by us ends by itself. */
export function forTerminal(text: string): string {
  return text
    .split('\n')
    .map((line) => (PLAIN.test(line) ? line : replaced(line, true)))
    .join('\n');
}

function replaced(text: string, keepsColours: boolean): string {
  return text.replace(ALL, (found, colour: string | undefined) => {
    if (found === '\t' || (colour !== undefined && keepsColours)) return found;
    return found.length > 1 || found.charCodeAt(0) > 0xff ? '' : caret(found);
  });
}

/** Caret notation, `^[` for escape; of DEL and C1 the code. */
function caret(character: string): string {
  const code = character.charCodeAt(0);
  return code < 0x80 ? `^${String.fromCharCode(code ^ 0x40)}` : `\\x${code.toString(16)}`;
}

const UNSAFE_IN_JSON = /[\u007f-\u009f\u2028\u2029\p{Bidi_Control}]/gu;

/** JSON that means the same and acts on no terminal: JSON.stringify escapes C0 only. */
export function plainJson(json: string): string {
  return json.replace(UNSAFE_IN_JSON, (one) => `\\u${one.charCodeAt(0).toString(16).padStart(4, '0')}`);
}
