/** A program → the argv that runs it: interpreter by option, shebang, then extension; looked up before it is tried. */
import { accessSync, closeSync, constants, existsSync, openSync, readSync, type Stats, statSync } from 'node:fs';
import { basename, delimiter, dirname, extname, isAbsolute, join, resolve } from 'node:path';
import { EXIT, GsupError } from '../core/error.ts';
import { INTERPRETERS, JAVASCRIPT, TYPESCRIPT } from '../core/interpreters.ts';
import type { Program } from '../core/service.ts';

export type Command = {
  readonly file: string;
  readonly args: readonly string[];
  /** Whether it is a Node script, which gets an IPC channel. */
  readonly isNodeScript: boolean;
};

/** @throws {GsupError} 127 when it isn't found, 126 when it can't be executed. */
export function resolveCommand(program: Program, cwd: string, path: string | undefined): Command {
  switch (program.kind) {
    case 'shell':
      return { file: '/bin/sh', args: ['-c', program.line], isNodeScript: false };
    case 'command': {
      const [name, ...args] = program.argv;
      const file = findProgram(name, cwd, path);
      return { file, args, isNodeScript: isNode(file) && args.some((arg) => !arg.startsWith('-')) };
    }
    case 'script':
      return resolveScript(program, cwd, path);
  }
}

/** Whether Node will run it: itself, or by the first line of the program. */
export function runsNode({ file, isNodeScript }: Command): boolean {
  if (isNodeScript || isNode(file)) return true;
  try {
    return readShebang(file)?.some((word) => isNode(word)) === true;
  } catch {
    // It may be executed and not read.
    return false;
  }
}

/** What was found in this turn of the loop: of a hundred services that start together many are the same program. */
const foundNow = new Map<string, string>();

/** The absolute path of a program, as execvp would find it. */
function findProgram(name: string, cwd: string, path: string | undefined): string {
  if (name.includes('/')) {
    const file = resolve(cwd, name);
    checkExecutable(file, name);
    return file;
  }
  const key = [name, cwd, path].join('\0');
  const found = foundNow.get(key) ?? findInPath(name, cwd, path);
  if (foundNow.size === 0) setImmediate(() => foundNow.clear());
  foundNow.set(key, found);
  return found;
}

function findInPath(name: string, cwd: string, path: string | undefined): string {
  let denied: string | null = null;
  for (const folder of (path ?? '/usr/local/bin:/usr/bin:/bin').split(delimiter)) {
    const file = join(isAbsolute(folder) ? folder : resolve(cwd, folder), name);
    const stat = statOf(file);
    if (!stat?.isFile()) continue;
    if (isExecutable(file)) return file;
    denied = file;
  }
  if (denied !== null) throw notExecutable(denied, 'no permission to execute it', `chmod +x ${denied}`);
  const asFile = existsSync(resolve(cwd, name));
  throw new GsupError(`cannot find the program ${name} in PATH`, {
    exitStatus: EXIT.notFound,
    hint: asFile
      ? `to run the file of this folder: gsup run ${name}, or ./${name}`
      : 'check its spelling and that it is installed',
  });
}

function resolveScript(program: Extract<Program, { kind: 'script' }>, cwd: string, path: string | undefined): Command {
  const { script, args, interpreter, interpreterArgs } = program;
  const stat = statOf(script);
  if (!stat)
    throw new GsupError(`cannot find the script ${script}`, { exitStatus: EXIT.notFound, hint: 'check the path' });
  if (stat.isDirectory()) throw notExecutable(script, 'it is a directory', 'name a script in it');
  const through = (name: string, before: readonly string[] = []): Command => {
    const file = findProgram(name, cwd, path);
    return { file, args: [...before, ...interpreterArgs, script, ...args], isNodeScript: isNode(file) };
  };
  if (interpreter !== null) return through(interpreter);
  const extension = extname(script).toLowerCase();
  const shebang = readShebang(script);
  const isForNode = shebang === null || /\bnode\b/.test(shebang.join(' '));
  if (JAVASCRIPT.has(extension) && isForNode) return through(process.execPath);
  if (TYPESCRIPT.has(extension) && isForNode) return resolveTypeScript(script, through);
  if (shebang !== null) {
    const [name = '/bin/sh', ...rest] = shebang;
    return through(name, rest);
  }
  const known = INTERPRETERS[extension];
  if (known !== undefined) return through(known);
  checkExecutable(script, script);
  return { file: script, args, isNodeScript: false };
}

/** The same Node where it strips types, else the project's own tsx; never another runtime in silence. */
function resolveTypeScript(script: string, through: (name: string, before?: readonly string[]) => Command): Command {
  if ('typescript' in process.features && process.features.typescript) return through(process.execPath);
  for (let folder = dirname(script); ; folder = dirname(folder)) {
    const tsx = join(folder, 'node_modules', 'tsx', 'dist', 'cli.mjs');
    if (existsSync(tsx)) return through(process.execPath, [tsx]);
    if (folder === dirname(folder)) break;
  }
  throw new GsupError(`cannot run ${script}: Node ${process.versions.node} does not strip types`, {
    exitStatus: EXIT.notExecutable,
    hint: 'use Node 22.18 or newer, or "npm i tsx" beside it, or name an --interpreter',
  });
}

function readShebang(file: string): readonly string[] | null {
  let text: string;
  try {
    const fd = openSync(file, 'r');
    const buffer = Buffer.alloc(256);
    text = buffer.toString('latin1', 0, readSync(fd, buffer, 0, buffer.length, 0));
    closeSync(fd);
  } catch (cause) {
    throw new GsupError(`cannot read the script ${file}`, {
      exitStatus: EXIT.notExecutable,
      hint: 'check its permissions',
      cause,
    });
  }
  const match = /^#!\s*(\S+)[ \t]*([^\n]*)/.exec(text);
  if (!match?.[1]) return null;
  const rest = match[2]?.trim() ?? '';
  return basename(match[1]) === 'env'
    ? rest.replace(/^-S\s+/, '').split(/\s+/)
    : [match[1], ...(rest === '' ? [] : [rest])];
}

function checkExecutable(file: string, name: string): void {
  const stat = statOf(file);
  if (!stat)
    throw new GsupError(`cannot find the program ${name}`, { exitStatus: EXIT.notFound, hint: 'check the path' });
  if (stat.isDirectory()) throw notExecutable(name, 'it is a directory', 'name a program in it');
  if (!isExecutable(file)) {
    throw notExecutable(name, 'no permission to execute it', `chmod +x ${name}, or name its interpreter`);
  }
}

/** What is there; `null` also for what may not be looked at, which a shell takes for missing, too. */
export function statOf(file: string): Stats | null {
  try {
    return statSync(file);
  } catch {
    return null;
  }
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

function notExecutable(name: string, why: string, hint: string): GsupError {
  return new GsupError(`cannot execute ${name}: ${why}`, { exitStatus: EXIT.notExecutable, hint });
}

function isNode(file: string): boolean {
  return file === process.execPath || /^node(js)?$/.test(basename(file));
}
