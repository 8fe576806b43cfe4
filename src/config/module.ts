/** A configuration that is a module: imported, its default export (or its `apps`) taken, its failure told with the place. */
import { execFileSync } from 'node:child_process';
import { readFileSync, realpathSync } from 'node:fs';
import { extname, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { Diagnostic } from './diagnostic.ts';

export type Loaded =
  | { readonly ok: true; readonly value: unknown }
  | { readonly ok: false; readonly problem: Diagnostic };

const MODULES = new Set(['.js', '.mjs', '.cjs', '.ts', '.mts', '.cts']);

export function isModule(file: string): boolean {
  return MODULES.has(extname(file));
}

/** scripts/build.mjs keeps this one import() as it is: as a require() it would know no URLs. */
const importUrl = (url: string): Promise<Readonly<Record<string, unknown>>> => import(url);

/** Never throws for what is in the file. */
export async function loadModule(file: string): Promise<Loaded> {
  const isTyped = /\.[mc]?ts$/.test(file);
  if (isTyped && !('typescript' in process.features && process.features.typescript))
    return failed(file, `needs Node 22.18 or newer, which strips types; this is ${process.version}`);
  try {
    const module = await importUrl(pathToFileURL(resolve(file)).href);
    // PM2's files may export it by name.
    const value = module['default'] ?? (module['apps'] === undefined ? undefined : { ...module });
    return value === undefined ? failed(file, 'has no default export') : { ok: true, value };
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    return failed(file, `cannot be loaded: ${message}`, error instanceof Error ? placeOf(file, error) : null);
  }
}

type Place = { readonly line: number; readonly column: number | null; readonly length: number };

function failed(file: string, message: string, place: Place | null = null): Loaded {
  if (place === null)
    return { ok: false, problem: { file, line: null, column: null, length: 0, message, source: null } };
  const source = readFileSync(file, 'utf8').split('\n')[place.line - 1]?.replace(/\r$/, '') ?? null;
  const column = place.column ?? 1;
  return { ok: false, problem: { file, line: place.line, column, length: place.length, message, source } };
}

/** Where in the file: of what it throws in the stack, of what is no JavaScript in front of it, or only there for who asks. */
function placeOf(file: string, error: Error): Place | null {
  const stack = error.stack ?? '';
  return (
    placeIn(file, stack) ?? (error instanceof SyntaxError || error.name === 'SyntaxError' ? syntaxPlace(file) : null)
  );
}

/** `file:3:32` of a stack, or `file:3`, the line and `   ^^^^` of a syntax error. */
function placeIn(file: string, text: string): Place | null {
  const path = realpathSync(file);
  const names = [path, pathToFileURL(path).href, resolve(file)];
  for (const line of text.split('\n')) {
    const name = names.find((one) => line.includes(`${one}:`));
    const [, row, column] =
      name === undefined ? [] : (/^:(\d+)(?::(\d+))?/.exec(line.slice(line.indexOf(name) + name.length)) ?? []);
    if (row === undefined) continue;
    const marks = column === undefined ? /^( *)(\^+)$/m.exec(text) : null;
    if (marks) return { line: Number(row), column: (marks[1]?.length ?? 0) + 1, length: marks[2]?.length ?? 1 };
    return { line: Number(row), column: column === undefined ? null : Number(column), length: 1 };
  }
  return null;
}

/** An ES module's SyntaxError has no place; `node --check` prints it. */
function syntaxPlace(file: string): Place | null {
  try {
    execFileSync(process.execPath, ['--check', resolve(file)], { stdio: ['ignore', 'ignore', 'pipe'], timeout: 5_000 });
    return null;
  } catch (error) {
    return placeIn(file, String((error as { stderr?: unknown }).stderr ?? ''));
  }
}
