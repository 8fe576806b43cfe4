/** A line → words, as a shell would split and unquote it, but without a shell: nothing is expanded. */

export type Words =
  | { readonly ok: true; readonly words: readonly string[] }
  | { readonly ok: false; readonly problem: string };

const NEEDS_SHELL = /[|&;<>()$`\n]/;

/** Single and double quotes and backslashes group; an unquoted `| & ; < > ( ) $` or backtick asks for a shell. */
export function splitWords(line: string): Words {
  const words: string[] = [];
  let word: string | null = null;
  let quote: string | null = null;
  for (let at = 0; at < line.length; at++) {
    const letter = line.charAt(at);
    if (quote === "'") {
      if (letter === "'") quote = null;
      else word += letter;
    } else if (letter === '\\') {
      at++;
      const next = line.charAt(at);
      if (next === '') return { ok: false, problem: 'ends with a backslash' };
      word = (word ?? '') + (quote === '"' && !'"\\$`'.includes(next) ? `\\${next}` : next);
    } else if (quote === '"') {
      if (letter === '"') quote = null;
      else word += letter;
    } else if (letter === '"' || letter === "'") {
      quote = letter;
      word ??= '';
    } else if (letter === ' ' || letter === '\t') {
      if (word !== null) words.push(word);
      word = null;
    } else if (NEEDS_SHELL.test(letter)) {
      return { ok: false, problem: `needs a shell for ${letter === '\n' ? 'its line break' : letter}` };
    } else word = (word ?? '') + letter;
  }
  if (quote !== null) return { ok: false, problem: `has no closing ${quote}` };
  if (word !== null) words.push(word);
  return words.length === 0 ? { ok: false, problem: 'is empty' } : { ok: true, words };
}
