/** JSON as PM2's files have it (comments, tabs, keys without quotes), made into what a parser of YAML reads. */

/** Comments and tabs outside of texts become spaces, and one comes behind each colon: lines stay, columns nearly so. */
export function plainJson(text: string): string {
  // What begins a text or comment without its end goes to the end too: else it would be searched from each begin again.
  return text.replace(
    /"(?:[^"\\\n]|\\.)*"?|'(?:[^'\\\n]|\\.)*'?|\/\/[^\n]*|\/\*[\s\S]*?(?:\*\/|$)|\t|:(?=\S)/g,
    (found) => (/^["']/.test(found) ? found : found === ':' ? ': ' : found.replace(/[^\n]/g, ' ')),
  );
}
