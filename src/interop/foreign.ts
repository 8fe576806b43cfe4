/** A foreign file → a configuration: which kind it is, by its name and content, and how it is read. */
import { closeSync, existsSync, openSync, readFileSync, readSync, statSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { basename, dirname, isAbsolute, join, relative, resolve } from 'node:path';
import { parseEnv } from 'node:util';
import type { Diagnostic } from '../config/diagnostic.ts';
import { isModule } from '../config/module.ts';
import { plain, readSource, readYaml, refusal, type Source } from '../config/source.ts';
import { isGsupError } from '../core/error.ts';
import type { ImportedConfig, ServiceInput } from './config.ts';
import { plainJson } from './loose-json.ts';
import type { Note } from './note.ts';
import { type Imported, importPm2, looksLikePm2 } from './pm2.ts';
import type { Look } from './pm2-program.ts';
import { LOUD } from './pm2-service.ts';
import { ENDS_KEY, FIRST_PORT, importProcfile, procfileProblems } from './procfile.ts';

export type ImportOptions = {
  readonly env: Readonly<Record<string, string | undefined>>;
  /** `env_NAME` of an ecosystem file. */
  readonly envName: string | null;
  /** A Procfile's processes end together. */
  readonly endsTogether: boolean;
};

export type ImportResult =
  | ({ readonly ok: true } & Imported)
  | { readonly ok: false; readonly problems: readonly Diagnostic[] };

/** What `file` says, or `null` when it is no file of another supervisor. Never throws for what is in the file. */
export async function importFile(file: string, options: ImportOptions): Promise<ImportResult | null> {
  if (isProcfile(file)) return procfile(file, options);
  const source = await readForeign(file);
  // A module that throws would throw again.
  if (source === null || !source.ok) return source;
  try {
    const { value } = source;
    if (!looksLikePm2(value) && (!isEcosystem(file) || isOurs(value))) return null;
    const look = (path: string) => lookAt(resolve(dirname(file), path));
    return { ok: true, ...importPm2(value, { envName: options.envName, look, processors: availableParallelism() }) };
  } catch (error) {
    const message = isGsupError(error)
      ? [error.message, ...(error.hint === undefined ? [] : [error.hint])].join('; ')
      : `what it exports failed: ${error instanceof Error ? error.message : String(error)}`;
    return { ok: false, problems: [plain(file, message)] };
  }
}

/** The notes in few lines, for a command that uses the file as it is; `null`: there are none. */
export function summary(file: string, notes: readonly Note[]): string | null {
  const keys = [...new Set(notes.map(({ key }) => key).filter((key) => !LOUD.includes(key) && key !== ENDS_KEY))];
  const shown = keys.slice(0, 5).join(', ') + (keys.length > 5 ? ', ...' : '');
  const count = keys.length === 1 ? '1 key has' : `${keys.length} keys have`;
  return (
    [
      ...notes
        .filter(({ key }) => LOUD.includes(key))
        .map(({ service, key, message }) => `${file}: ${service}: ${key}: ${message}`),
      ...(keys.length === 0
        ? []
        : [`${file}: ${count} no counterpart, or another meaning (${shown}): "gsup import ${file}" shows them`]),
    ].join('\n') || null
  );
}

/** The same for a file in another folder: relative paths begin with `prefix`. */
export function rebased(config: ImportedConfig, prefix: string): ImportedConfig {
  if (prefix === '') return config;
  const moved = (path: string) => (isAbsolute(path) ? path : join(prefix, path));
  const service = ({ cwd, script, envFile, ...rest }: ServiceInput): ServiceInput => ({
    ...rest,
    cwd: moved(cwd ?? '.'),
    ...(script === undefined ? {} : { script: moved(script) }),
    ...(envFile === undefined ? {} : { envFile: [envFile].flat().map(moved) }),
  });
  const services = Object.entries(config.services).map(([name, input]) => [name, service(input)]);
  return { ...config, services: Object.fromEntries(services) };
}

/** From the folder of `output` to that of `file`. */
export function prefixFor(file: string, output: string): string {
  return relative(dirname(resolve(output)), dirname(resolve(file)));
}

function isProcfile(file: string): boolean {
  return /^Procfile(\.[\w.-]+)?$|\.procfile$/i.test(basename(file));
}

function isOurs(value: unknown): boolean {
  return typeof value === 'object' && value !== null && 'services' in value;
}

/** Named as PM2 names them, so that what is wrong in it is told as of one. */
function isEcosystem(file: string): boolean {
  return /^(ecosystem|process)(\.[\w-]+)*\.(json5?|ya?ml|[mc]?js|[mc]?ts)$/.test(basename(file));
}

function procfile(file: string, { env, endsTogether }: ImportOptions): ImportResult {
  const read = textOf(file);
  if (typeof read !== 'string') return { ok: false, problems: [read] };
  const problems = procfileProblems(read, file);
  if (problems.length > 0) return { ok: false, problems };
  const envFile = join(dirname(file), '.env');
  const hasEnvFile = existsSync(envFile);
  const own = hasEnvFile ? parseEnv(readFileSync(envFile, 'utf8'))['PORT'] : undefined;
  const port = Number(own ?? env['PORT'] ?? FIRST_PORT);
  const basePort = Number.isInteger(port) && port > 0 && port <= 65_535 ? port : FIRST_PORT;
  return { ok: true, ...importProcfile(read, { file, basePort, hasEnvFile, endsTogether }) };
}

/** Or what is wrong with the file. */
function textOf(file: string): string | Diagnostic {
  const why = refusal(file);
  return why === null ? readFileSync(file, 'utf8') : plain(file, why);
}

/** `null`: no YAML at all, which whoever reads supervisor.yaml tells better. */
async function readForeign(file: string): Promise<Source | null> {
  if (isModule(file)) return readSource(file, null);
  const text = isJson(file) ? textOf(file) : null;
  if (typeof text === 'string') {
    const source = readYaml(file, plainJson(text), null);
    // What YAML says after its first problem is hardly about JSON.
    return source.ok ? source : { ok: false, problems: source.problems.slice(0, 1) };
  }
  const source = await readSource(file, null);
  return source.ok ? source : null;
}

function isJson(file: string): boolean {
  return /^(?!supervisor\.).*\.json5?$/.test(basename(file));
}

const FIRST_BYTES = 512;

function lookAt(path: string): ReturnType<Look> {
  const stat = statSync(path, { throwIfNoEntry: false });
  if (stat === undefined) return 'missing';
  if (stat.isDirectory()) return 'folder';
  if (!stat.isFile()) return 'binary';
  try {
    const buffer = Buffer.alloc(FIRST_BYTES);
    const fd = openSync(path, 'r');
    const head = buffer.subarray(0, readSync(fd, buffer, 0, FIRST_BYTES, 0));
    closeSync(fd);
    if (head.subarray(0, 2).toString() === '#!') return 'shebang';
    return head.includes(0) ? 'binary' : 'text';
  } catch {
    // It may be executed and not read.
    return 'binary';
  }
}
