/** The file that gsup reads inside of a container: as it was written, but for secrets, which become references. */
import { extname } from 'node:path';
import { isSecret } from '../core/secrets.ts';
import type { ServiceSpec, SupervisorSpec } from '../core/service.ts';
import { withReferences } from './bundle-text.ts';
import { type Container, containerOf, relativeTo } from './container.ts';
import { type ExportOptions, type Source, type Tell, teller } from './export.ts';
import { LONGEST_PORT, portName, uniqueNames } from './names.ts';

export type Bundle = {
  readonly text: string;
  /** Variables that the text refers to, with the values they have now. */
  readonly env: readonly (readonly [name: string, value: string])[];
  readonly secrets: readonly string[];
  /** Those of the secrets that stand in the file as plain text. */
  readonly written: readonly string[];
};

/** The text with the names of what must be there when it is read. */
export function bundleOf(source: Source, tell: Tell): Bundle {
  const isModule = !['.yaml', '.yml', '.json'].includes(extname(source.name));
  if (isModule) {
    tell(`${source.name} is a program: what it holds of secrets goes into the export as it is written; look at it`);
    return { text: source.text, env: [], secrets: [], written: [] };
  }
  const { text, names, written } = withReferences(source.text);
  const known = [...names].flatMap((name): [string, string][] => {
    const value = source.variables[name];
    return value === undefined || written.includes(name) ? [] : [[name, value]];
  });
  const secrets = known.filter(([name, value]) => isSecret(name, value));
  return {
    text,
    env: known.filter((one) => !secrets.includes(one)),
    secrets: [...written, ...secrets.map(([name]) => name)],
    written,
  };
}

/** What is true of a bundle everywhere. */
export function bundleNotes(
  { services }: SupervisorSpec,
  { workdir, source }: ExportOptions,
  tell: Tell,
): readonly string[] {
  const files = [...new Set(services.flatMap(({ envFiles }) => envFiles))].map((file) =>
    relativeTo(source.folder, file),
  );
  const isNone = files.length === 0;
  return [
    tell('the image has Node, gsup and every program of the file'),
    tell(`the folder of the file is ${workdir} in the image; --workdir names another`),
    ...(isNone ? [] : [tell(`envFile: ${files.join(', ')} must be in the image, or in a volume there`)]),
  ];
}

/** For people: what was taken out of the text. */
export function writtenNote({ name }: Source, { written }: Bundle): string {
  const references = written.map((one) => `\${${one}}`).join(', ');
  const isOne = written.length === 1;
  return `${name}: ${isOne ? 'a secret stands' : 'secrets stand'} in it as plain text; the export has ${references} for ${isOne ? 'it' : 'them'}`;
}

/** The ports of all services, each name once. */
export function portsOfAll(containers: readonly Container[]): Container['ports'] {
  const ports = new Map(containers.flatMap(({ ports: its }) => its.map(({ name, port }) => [port, name] as const)));
  const keys = [...ports].map(([port, name]) => `${name}:${port}`);
  const names = uniqueNames(keys, (key) => portName(key.replace(/:\d+$/, '')), LONGEST_PORT);
  return [...ports].map(([port, name]) => ({ name: names.get(`${name}:${port}`) ?? name, port }));
}

/** What gsup itself does needs no note. */
export function silentContainers(
  { services }: SupervisorSpec,
  options: ExportOptions,
  platform: string,
): readonly Container[] {
  return services.map((service) => containerOf(service, options, platform, teller([], service.name)));
}

/** The first service that others can ask; gsup has no address of its own. */
export function askedService(
  spec: SupervisorSpec,
  containers: readonly Container[],
): { readonly service: ServiceSpec; readonly container: Container } | null {
  for (const [index, service] of spec.services.entries()) {
    const container = containers[index];
    if (container?.ready && container.ready.kind !== 'exec') return { service, container };
  }
  return null;
}
