/** A configuration that is a module: evaluated by a Node process of its own, so that a changed file is always read anew. */
import { execFileSync, spawn } from 'node:child_process';
import { readFileSync, realpathSync } from 'node:fs';
import type { Socket } from 'node:net';
import { extname, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { deserialize } from 'node:v8';
import { formatDuration } from '../core/duration.ts';
import type { Diagnostic } from './diagnostic.ts';

export type Loaded =
  | { readonly ok: true; readonly value: unknown }
  | { readonly ok: false; readonly problem: Diagnostic };

const MODULES = new Set(['.js', '.mjs', '.cjs', '.ts', '.mts', '.cts']);
/** A module that has not exported anything by then never will. */
const LOAD_WAIT_MS = 30_000;
/** Of what it exports. */
const LARGEST_ANSWER_BYTES = 16 * 1024 * 1024;

export function isModule(file: string): boolean {
  return MODULES.has(extname(file));
}

/** What the process sends back. */
type Answer =
  | { readonly value: unknown }
  | { readonly thrown: 'load' | 'call'; readonly name: string; readonly message: string; readonly stack: string }
  | { readonly notData: string };

/**
 * The program of that process. Descriptor 3 is a socket: the answer goes out on it, and its end means that nobody waits
 * for the answer any more. Modules that export by name (PM2's `apps`) are taken as a whole.
 */
const LOADER = `
const { serialize } = require('node:v8');
const socket = new (require('node:net').Socket)({ fd: 3 });
const url = process.argv.splice(1, 1)[0];
socket.on('error', () => process.exit(1)).on('end', () => process.exit(1)).resume().unref();
const answer = (what) => socket.end(serialize(what), () => process.exit(0));
const thrown = (stage) => (error) => {
  const { name, message, stack } = error instanceof Error ? error : { name: '', message: String(error), stack: '' };
  answer({ thrown: stage, name: String(name), message: String(message), stack: String(stack) });
};
const notData = (value, path, seen) => {
  if (typeof value === 'function' || typeof value === 'symbol') return path + ' is a ' + typeof value;
  if (typeof value !== 'object' || value === null || seen.has(value)) return null;
  seen.add(value);
  for (const key of Object.keys(value)) {
    const found = notData(value[key], path === '' ? key : path + '.' + key, seen);
    if (found !== null) return found;
  }
  return null;
};
import(url).then(async (module) => {
  const given = module.default ?? (module.apps === undefined ? undefined : { ...module });
  try {
    const value = await (typeof given === 'function' ? given() : given);
    const found = notData(value, '', new Set());
    answer(found === null ? { value } : { notData: found });
  } catch (error) {
    thrown('call')(error);
  }
}, thrown('load'));
`;

/** Never throws for what is in the file. */
export async function loadModule(file: string): Promise<Loaded> {
  const isTyped = /\.[mc]?ts$/.test(file);
  if (isTyped && !('typescript' in process.features && process.features.typescript))
    return failed(file, `needs Node 22.18 or newer, which strips types; this is ${process.version}`);
  const answer = await evaluate(pathToFileURL(resolve(file)).href);
  if (typeof answer === 'string') return failed(file, answer);
  if ('notData' in answer) return failed(file, `${answer.notData}; a configuration can only have data`);
  if ('thrown' in answer) {
    const { thrown, message } = answer;
    const what = thrown === 'call' ? 'what it exports failed' : 'cannot be loaded';
    return failed(file, `${what}: ${message}`, thrown === 'load' ? placeOf(file, answer) : null);
  }
  return answer.value === undefined ? failed(file, 'has no default export') : { ok: true, value: answer.value };
}

/** What the module answers, or why there is no answer. */
function evaluate(url: string): Promise<Answer | string> {
  return new Promise((done) => {
    // What it prints is for people: our stdout is for data.
    const child = spawn(process.execPath, ['-e', LOADER, url], { stdio: ['ignore', 2, 2, 'pipe'] });
    const socket = child.stdio[3] as Socket;
    const chunks: Buffer[] = [];
    let bytes = 0;
    const end = (answer: Answer | string): void => {
      clearTimeout(limit);
      child.kill('SIGKILL');
      socket.removeAllListeners('data').destroy();
      child.removeAllListeners('close');
      done(answer);
    };
    const limit = setTimeout(() => end(`did not load within ${formatDuration(LOAD_WAIT_MS)}`), LOAD_WAIT_MS);
    child.on('error', ({ message }) => end(`cannot be loaded: ${message}`));
    socket.on('error', () => {});
    socket.on('data', (chunk: Buffer) => {
      bytes += chunk.length;
      if (bytes > LARGEST_ANSWER_BYTES) end('exports more than 16MiB; is this the right file?');
      else chunks.push(chunk);
    });
    child.on('close', (code, signal) => {
      end(read(Buffer.concat(chunks)) ?? `ended with ${signal ?? `status ${code}`} before it exported anything`);
    });
  });
}

/** `null`: the process ended before the answer was complete. */
function read(bytes: Buffer): Answer | null {
  try {
    return deserialize(bytes) as Answer;
  } catch {
    return null;
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
function placeOf(file: string, { name, stack }: { readonly name: string; readonly stack: string }): Place | null {
  return placeIn(file, stack) ?? (name === 'SyntaxError' ? syntaxPlace(file) : null);
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
