/** What runs a script that names no interpreter, by its extension. */

export const JAVASCRIPT: ReadonlySet<string> = new Set(['.js', '.mjs', '.cjs']);
export const TYPESCRIPT: ReadonlySet<string> = new Set(['.ts', '.mts', '.cts']);

/** Of everything but Node's own scripts. */
export const INTERPRETERS: Readonly<Record<string, string>> = {
  '.py': 'python3',
  '.sh': 'sh',
  '.bash': 'bash',
  '.rb': 'ruby',
  '.pl': 'perl',
  '.php': 'php',
  '.lua': 'lua',
};
