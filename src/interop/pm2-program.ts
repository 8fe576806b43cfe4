/** What an app of an ecosystem file runs, as PM2 finds it: script, interpreter, arguments, or a line for a shell. */
import { basename, extname, isAbsolute, join } from 'node:path';
import type { ServiceInput } from './config.ts';
import type { Noting } from './note.ts';
import type { Fields } from './pm2-fields.ts';
import { shellLine } from './shell-line.ts';

/** What is at a path, relative to the folder of the file; `unknown`: nobody has looked. */
export type Look = (path: string) => 'missing' | 'folder' | 'text' | 'shebang' | 'binary' | 'unknown';

export type Pm2Program = {
  readonly service: Pick<ServiceInput, 'script' | 'args' | 'interpreter' | 'command' | 'shell' | 'cwd' | 'stop'> & {
    readonly env?: Record<string, string>;
  };
  /** Whether Node runs it: only then PM2 knows a cluster. */
  readonly isNode: boolean;
};

/** By extension, where PM2's choice differs from gsup's own. */
const INTERPRETERS: Readonly<Record<string, string>> = { '.sh': 'bash', '.coffee': 'coffee', '.ls': 'lsc' };
const KNOWN = new Set(['.js', '.mjs', '.cjs', '.ts', '.tsx', '.mts', '.cts', '.py', '.rb', '.php', '.pl']);

/** What a line of ours has as one word, too. */
const ONE_WORD = /^[\w@%+=:,./-]+$/;

/** `script` is not empty. */
export function programOf(script: string, fields: Fields, look: Look, note: Noting): Pm2Program {
  const cwd = fields.text('cwd');
  const place = cwd === null ? {} : { cwd };
  if (script.includes(' ')) {
    for (const key of ['args', 'exec_interpreter', 'node_args']) {
      if (fields.raw(key) !== undefined)
        note(fields.written(key), 'not used by PM2 with a script that is a whole command line');
    }
    return { service: { ...place, ...shellLine(script) }, isNode: false };
  }
  const path = isAbsolute(script) ? script : join(cwd ?? '.', script);
  const found = look(path);
  const args = fields.words('args');
  const command = (...argv: readonly string[]): Pm2Program => ({
    service: { ...place, command: [...argv, ...args] },
    isNode: argv[0] === 'node',
  });
  const isInFolder = found !== 'missing' && found !== 'unknown';
  const interpreter = interpreterOf(script, fields, found, note);
  const isBareWord = !script.includes('/') && !isInFolder && (!isKnownExtension(script) || interpreter === 'none');
  if (isBareWord) return command(script);
  if (found === 'missing') note(fields.written('script'), `there is no ${path}; paths are relative to the file`);
  if (interpreter === 'none') return command(script.includes('/') ? script : `./${script}`);
  const its = interpreterArgs(interpreter, script, fields, note);
  // Node takes a folder for its index.js.
  if (found === 'folder' || script.endsWith('/')) return command(interpreter ?? 'node', ...its, script);
  const isNode = interpreter === null ? isNodeExtension(script) : /^(node|bun)$/.test(basename(interpreter));
  const isPython = extname(script) === '.py' || (interpreter ?? '').includes('python');
  const through = interpreter ?? (its.length > 0 ? defaultInterpreter(script) : null);
  return {
    service: {
      ...place,
      script: path,
      ...(args.length > 0 ? { args: [...args] } : {}),
      ...(through === null
        ? {}
        : { interpreter: its.length === 0 && ONE_WORD.test(through) ? through : [through, ...its] }),
      ...(isPython ? { env: { PYTHONUNBUFFERED: '1' } } : {}),
    },
    isNode,
  };
}

/** `null`: gsup finds the same by itself; `none`: none is wanted. */
function interpreterOf(script: string, fields: Fields, found: ReturnType<Look>, note: Noting): string | null {
  const named = fields.text('exec_interpreter');
  if (named !== null) {
    const [program = '', version] = named.split('@');
    if (program !== 'node' || version === undefined) return named;
    const file = `~/.nvm/versions/node/v${version}/bin/node`;
    note(
      fields.written('exec_interpreter'),
      `gsup asks no nvm for a version and takes the node of PATH; name its file: ${file}`,
    );
    return 'node';
  }
  const extension = extname(script);
  if (extension === '.ts' || extension === '.tsx') {
    note(
      fields.written('script'),
      'PM2 gives it to bun when there is one; gsup to Node, or tsx. Name an interpreter for another',
    );
  }
  if (KNOWN.has(extension)) return null;
  return INTERPRETERS[extension] ?? (found === 'text' ? 'node' : null);
}

function interpreterArgs(interpreter: string | null, script: string, fields: Fields, note: Noting): readonly string[] {
  const isNode = interpreter === null ? isNodeExtension(script) : basename(interpreter) === 'node';
  const wantsMaps = fields.flag('source_map_support') === true;
  if (wantsMaps && !isNode) note(fields.written('source_map_support'), 'only Node has source maps');
  return [...(wantsMaps && isNode ? ['--enable-source-maps'] : []), ...fields.words('node_args')];
}

function defaultInterpreter(script: string): string {
  const byExtension: Readonly<Record<string, string>> = {
    '.py': 'python3',
    '.rb': 'ruby',
    '.php': 'php',
    '.pl': 'perl',
  };
  return byExtension[extname(script)] ?? 'node';
}

function isKnownExtension(script: string): boolean {
  return KNOWN.has(extname(script)) || extname(script) in INTERPRETERS;
}

function isNodeExtension(script: string): boolean {
  return /^\.(?:[mc]?js|[mc]?ts|tsx)$/.test(extname(script));
}
