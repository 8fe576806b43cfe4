/** A configuration file for a command: the services that are wanted, or its problems printed and exit status 78. */
import { existsSync } from 'node:fs';
import { formatDiagnostics } from '../config/diagnostic.ts';
import { readConfig } from '../config/read.ts';
import { EXIT, GsupError } from '../core/error.ts';
import { withDependencies } from '../core/graph.ts';
import { nearest } from '../core/name.ts';
import type { ServiceSpec, SupervisorSpec } from '../core/service.ts';

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

/** Every service of `file`, or those of `names` and (unless `isAlone`) what they depend on. @throws {GsupError} 78, or 4 for an unknown name. */
export async function specFromFile(
  file: string,
  names: readonly string[],
  { isAlone = false }: { readonly isAlone?: boolean } = {},
): Promise<SupervisorSpec> {
  const result = await readConfig(file, { env: process.env });
  const colour = process.stderr.isTTY === true && !process.env['NO_COLOR'];
  if (!result.ok) throw new GsupError(formatDiagnostics(result.problems, { colour }), { exitStatus: EXIT.config });
  if (result.warnings.length > 0) process.stderr.write(`${formatDiagnostics(result.warnings, { colour })}\n`);
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
