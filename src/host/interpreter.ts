/** A program → the argv that runs it: interpreter by option, shebang, then extension; looked up before it is tried. */
import { basename, delimiter, dirname, extname, isAbsolute, join, resolve } from 'node:path';
import { EXIT, GsupError } from '../core/error.ts';
import { INTERPRETERS, JAVASCRIPT, TYPESCRIPT } from '../core/interpreters.ts';
import type { Program, ServiceSpec } from '../core/service.ts';
import { identityOf } from './identity.ts';
import { type Rights, rightsOf } from './rights.ts';
import { FileError, readStart } from './service-file.ts';

export type Command = {
  readonly file: string;
  readonly args: readonly string[];
  /** Whether it is a Node script, which gets an IPC channel. */
  readonly isNodeScript: boolean;
};

type Runner = Pick<ServiceSpec, 'program' | 'cwd' | 'user' | 'group'>;

/** Where a program is looked up, and with which rights. */
type Place = {
  readonly cwd: string;
  readonly path: string | undefined;
  readonly spec: Runner;
  readonly rights: Rights;
};

/** @throws {GsupError} 127 when it isn't found, 126 when its user can't execute it. */
export function resolveCommand(spec: Runner, path: string | undefined): Command {
  const { program, cwd } = spec;
  const place: Place = { cwd, path, spec, rights: rightsOf(identityOf(spec)) };
  switch (program.kind) {
    case 'shell':
      return { file: '/bin/sh', args: ['-c', program.line], isNodeScript: false };
    case 'command': {
      const [name, ...args] = program.argv;
      const file = findProgram(name, place);
      return { file, args, isNodeScript: isNode(file) && args.some((arg) => !arg.startsWith('-')) };
    }
    case 'script':
      return resolveScript(program, place);
  }
}

/** Whether Node will run it: itself, or by the first line of the program. */
export function runsNode({ file, isNodeScript }: Command, spec: Runner): boolean {
  if (isNodeScript || isNode(file)) return true;
  try {
    return readShebang(file, spec)?.some((word) => isNode(word)) === true;
  } catch {
    // It may be executed and not read.
    return false;
  }
}

/** The kernel reads no more of a program (BINPRM_BUF_SIZE). */
const FIRST_LINE_BYTES = 256;

/** What was found in this turn of the loop: of a hundred services that start together many are the same program. */
const foundNow = new Map<string, string>();

/** The absolute path of a program, as execvp would find it. */
function findProgram(name: string, place: Place): string {
  const { cwd, path, spec, rights } = place;
  if (name.includes('/')) {
    const file = resolve(cwd, name);
    checkExecutable(file, name, rights);
    return file;
  }
  const key = [name, cwd, path, spec.user, spec.group].join('\0');
  const found = foundNow.get(key) ?? findInPath(name, place);
  if (foundNow.size === 0) setImmediate(() => foundNow.clear());
  foundNow.set(key, found);
  return found;
}

function findInPath(name: string, { cwd, path, rights }: Place): string {
  let denied: string | null = null;
  for (const folder of (path ?? '/usr/local/bin:/usr/bin:/bin').split(delimiter)) {
    const file = join(isAbsolute(folder) ? folder : resolve(cwd, folder), name);
    if (!rights.stat(file)?.isFile()) continue;
    if (rights.isExecutable(file)) return file;
    denied = file;
  }
  if (denied !== null) throw notExecutable(denied, 'no permission to execute it', `chmod +x ${denied}`);
  const asFile = rights.stat(resolve(cwd, name)) !== null;
  throw new GsupError(`cannot find the program ${name} in PATH`, {
    exitStatus: EXIT.notFound,
    hint: asFile
      ? `to run the file of this folder: gsup run ${name}, or ./${name}`
      : 'check its spelling and that it is installed',
  });
}

function resolveScript(program: Extract<Program, { kind: 'script' }>, place: Place): Command {
  const { script, args, interpreter, interpreterArgs } = program;
  const stat = place.rights.stat(script);
  if (!stat)
    throw new GsupError(`cannot find the script ${script}`, { exitStatus: EXIT.notFound, hint: 'check the path' });
  if (stat.isDirectory()) throw notExecutable(script, 'it is a directory', 'name a script in it');
  const through = (name: string, before: readonly string[] = []): Command => {
    const file = findProgram(name, place);
    return { file, args: [...before, ...interpreterArgs, script, ...args], isNodeScript: isNode(file) };
  };
  if (interpreter !== null) return through(interpreter);
  const extension = extname(script).toLowerCase();
  const shebang = readShebang(script, place.spec);
  const isForNode = shebang === null || /\bnode\b/.test(shebang.join(' '));
  if (JAVASCRIPT.has(extension) && isForNode) return through(process.execPath);
  if (TYPESCRIPT.has(extension) && isForNode) return resolveTypeScript(script, place.rights, through);
  if (shebang !== null) {
    const [name = '/bin/sh', ...rest] = shebang;
    return through(name, rest);
  }
  const known = INTERPRETERS[extension];
  if (known !== undefined) return through(known);
  checkExecutable(script, script, place.rights);
  return { file: script, args, isNodeScript: false };
}

/** The same Node where it strips types, else the project's own tsx; never another runtime in silence. */
function resolveTypeScript(
  script: string,
  rights: Rights,
  through: (name: string, before?: readonly string[]) => Command,
): Command {
  if ('typescript' in process.features && process.features.typescript) return through(process.execPath);
  for (let folder = dirname(script); ; folder = dirname(folder)) {
    const tsx = join(folder, 'node_modules', 'tsx', 'dist', 'cli.mjs');
    if (rights.stat(tsx) !== null) return through(process.execPath, [tsx]);
    if (folder === dirname(folder)) break;
  }
  throw new GsupError(`cannot run ${script}: Node ${process.versions.node} does not strip types`, {
    exitStatus: EXIT.notExecutable,
    hint: 'use Node 22.18 or newer, or "npm i tsx" beside it, or name an --interpreter',
  });
}

function readShebang(file: string, spec: Runner): readonly string[] | null {
  let text: string;
  try {
    text = readStart(file, FIRST_LINE_BYTES, identityOf(spec)).toString('latin1');
  } catch (cause) {
    if (!(cause instanceof FileError)) throw cause;
    throw new GsupError(`cannot read the script ${file}: ${cause.reason(spec)}`, {
      exitStatus: cause.isPassing ? EXIT.failed : EXIT.notExecutable,
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

function checkExecutable(file: string, name: string, rights: Rights): void {
  const stat = rights.stat(file);
  if (!stat)
    throw new GsupError(`cannot find the program ${name}`, { exitStatus: EXIT.notFound, hint: 'check the path' });
  if (stat.isDirectory()) throw notExecutable(name, 'it is a directory', 'name a program in it');
  if (!rights.isExecutable(file)) {
    throw notExecutable(name, 'no permission to execute it', `chmod +x ${name}, or name its interpreter`);
  }
}

function notExecutable(name: string, why: string, hint: string): GsupError {
  return new GsupError(`cannot execute ${name}: ${why}`, { exitStatus: EXIT.notExecutable, hint });
}

function isNode(file: string): boolean {
  return file === process.execPath || /^node(js)?$/.test(basename(file));
}
