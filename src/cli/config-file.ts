/** A configuration file for a command, also one of PM2 or foreman: the services that are wanted, or its problems and exit status 78. */
import { existsSync, readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { formatDiagnostics } from '../config/diagnostic.ts';
import { isModule } from '../config/module.ts';
import { type ConfigResult, checkSource, readConfig } from '../config/read.ts';
import { plain, refusal } from '../config/source.ts';
import { EXIT, GsupError } from '../core/error.ts';
import { withDependencies } from '../core/graph.ts';
import { nearest } from '../core/name.ts';
import type { ServiceSpec, SupervisorSpec } from '../core/service.ts';
import { toStderr } from './print.ts';

const DEFAULT_FILES = ['yaml', 'yml', 'json']
  .map((extension) => `supervisor.${extension}`)
  .concat(['js', 'mjs', 'ts'].map((extension) => `supervisor.config.${extension}`));

/** The file of this folder, for commands that were given none. @throws {GsupError} 78 when there is none. */
export function defaultFile(): string {
  const file = DEFAULT_FILES.find((name) => existsSync(name));
  if (file !== undefined) return file;
  throw new GsupError('there is no supervisor.yaml here', {
    exitStatus: EXIT.config,
    hint: 'name a file, or write one with "gsup init"',
  });
}

/** What matters of a file of another supervisor. */
export type ForeignOptions = {
  /** `env_NAME` of an ecosystem file. Default: none. */
  readonly envName?: string | undefined;
  /** Whether the processes of a Procfile end together. Default false: each is restarted. */
  readonly endsTogether?: boolean;
  /** Says nothing about what has no counterpart. Default false. */
  readonly isQuiet?: boolean;
};

/** Every service of `file`, or those of `names` and (unless `isAlone`) what they depend on. @throws {GsupError} 78, or 4 for an unknown name. */
export async function specFromFile(
  file: string,
  names: readonly string[],
  { isAlone = false, ...options }: ForeignOptions & { readonly isAlone?: boolean } = {},
): Promise<SupervisorSpec> {
  const result = await readServices(file, options);
  const colour = process.stderr.isTTY === true && !process.env['NO_COLOR'];
  if (!result.ok) throw new GsupError(formatDiagnostics(result.problems, { colour }), { exitStatus: EXIT.config });
  if (result.warnings.length > 0) toStderr(`${formatDiagnostics(result.warnings, { colour })}\n`);
  if (names.length === 0) return result.spec;
  const { services } = result.spec;
  const known = services.map(({ name }) => name);
  for (const name of names) {
    if (known.includes(name)) continue;
    const near = nearest(name, known);
    throw new GsupError(`no service ${name} in ${file}`, {
      exitStatus: EXIT.noSuchService,
      hint: near === null ? `it has ${known.join(', ')}` : `did you mean ${near}?`,
    });
  }
  if (isAlone) return { ...result.spec, services: services.filter(({ name }) => names.includes(name)).map(alone) };
  const dependencies = Object.fromEntries(services.map(({ name, dependsOn }) => [name, Object.keys(dependsOn)]));
  const wanted = withDependencies(names, dependencies);
  return { ...result.spec, services: services.filter(({ name }) => wanted.includes(name)) };
}

/** Somebody else sees to what it depends on. */
function alone(service: ServiceSpec): ServiceSpec {
  return { ...service, dependsOn: {} };
}

/** Reads and checks `file`, whosever it is. @throws {GsupError} 2 for an `envName` with a file that knows none. */
export async function readServices(
  file: string,
  { envName, endsTogether = false, isQuiet = false }: ForeignOptions,
): Promise<ConfigResult> {
  if (mayBeForeign(file)) {
    const { importFile, summary } = await import('../interop/foreign.ts');
    const imported = await importFile(file, { env: process.env, envName: envName ?? null, endsTogether });
    if (imported?.ok === false) return imported;
    if (imported !== null) {
      const told = isQuiet ? null : summary(file, imported.notes);
      if (told !== null) toStderr(`${told}\n`);
      const locate = ({ message }: { readonly message: string }) => plain(file, message);
      return checkSource(file, { ok: true, value: imported.config, problems: [], locate });
    }
  }
  if (envName !== undefined)
    throw new GsupError(`--env ${envName} names an env_${envName} of PM2's ecosystem files; ${file} is none`, {
      exitStatus: EXIT.usage,
      hint: 'for a variable write NAME=value, and set it in the file',
    });
  return readConfig(file, { env: process.env });
}

/** Whether it is worth to load what reads foreign files: by name, and by a `services:` that only ours have. */
function mayBeForeign(file: string): boolean {
  if (isModule(file)) return !/^supervisor\.config\./.test(basename(file));
  return refusal(file) === null && !/^["'\s{]*services["']?\s*:/m.test(readFileSync(file, 'utf8'));
}
