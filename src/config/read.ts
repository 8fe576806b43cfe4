/** A configuration file → a SupervisorSpec, or every problem of it with its place. */
import { dirname, resolve } from 'node:path';
import * as v from 'valibot';
import { formatAddress, overlaps } from '../core/address.ts';
import { findCycle } from '../core/graph.ts';
import { isServiceName, nearest } from '../core/name.ts';
import type { ServiceSpec, SocketAddress, SupervisorSpec } from '../core/service.ts';
import { type Diagnostic, shortened } from './diagnostic.ts';
import { httpOf } from './http.ts';
import { type Path, type Problem, problemsOf } from './problem.ts';
import { resolveService, withDefaults } from './resolve.ts';
import { configSchema, type ServiceInput, serviceSchema, type TopInput, topSchema } from './schema.ts';
import { type Environment, plain, readSource, type Source } from './source.ts';

/** So many problems get their place. */
const MOST_LOCATED = 1_000;
/** So many unknown services are compared with those that there are. */
const MOST_HINTS = 20;

export type ConfigResult =
  | { readonly ok: true; readonly spec: SupervisorSpec; readonly warnings: readonly Diagnostic[] }
  | { readonly ok: false; readonly problems: readonly Diagnostic[] };

/** Reads `file` (YAML, JSON, or a module); `env` is for `${VAR}` in values. Never throws for what is in the file. */
export async function readConfig(file: string, { env }: { env: Environment }): Promise<ConfigResult> {
  return checkSource(file, await readSource(file, env));
}

/** What has been read of `file`, checked. */
export function checkSource(file: string, source: Source): ConfigResult {
  if (!source.ok) return source;
  const { value } = source;
  if (value === null || value === undefined)
    return { ok: false, problems: [plain(file, 'is empty; "gsup init" writes one to begin with')] };
  if (typeof value !== 'object' || Array.isArray(value))
    return { ok: false, problems: [plain(file, 'is no map; it needs "services:"')] };
  const problems: Problem[] = [];
  const spec = specOf(value, dirname(resolve(file)), problems);
  // Each is looked for in the whole file.
  const found = [...source.problems, ...problems.slice(0, MOST_LOCATED).map(source.locate)];
  if (found.length > 0 || spec === null) return { ok: false, problems: found.sort(byPlace) };
  return { ok: true, spec, warnings: warningsOf(spec).map(source.locate) };
}

function specOf(value: object, folder: string, problems: Problem[]): SupervisorSpec | null {
  const top = v.safeParse(topSchema, value);
  if (!top.success) problems.push(...problemsOf(top.issues, [], knownAt));
  const services = 'services' in value && isMap(value.services) ? value.services : {};
  const defaults = partOf('defaults' in value && isMap(value.defaults) ? value.defaults : {});
  if (Object.keys(services).length === 0 && top.success) {
    problems.push({ path: ['services'], at: 'key', message: 'there are no services; add one below "services:"' });
  }
  const specs = Object.entries(services).flatMap(([name, input]) => serviceOf(name, input, defaults, folder, problems));
  checkDependencies(services, specs, problems);
  checkSockets(specs, problems);
  if (!top.success) return null;
  const http = top.output.http === undefined ? null : httpOf(top.output.http, { folder, problems });
  return problems.length === 0 ? { services: specs, shutdownTimeoutMs: timeoutOf(top.output), http } : null;
}

function serviceOf(
  name: string,
  input: unknown,
  defaults: ServiceInput,
  folder: string,
  problems: Problem[],
): ServiceSpec[] {
  const path: Path = ['services', name];
  if (!isServiceName(name)) {
    const message = `"${shortened(name, 80)}" is no name of a service; use letters, digits, _ . - and not "all"`;
    problems.push({ path, at: 'key', message });
  }
  const parsed = v.safeParse(serviceSchema, input ?? {});
  if (!parsed.success) problems.push(...problemsOf(parsed.issues, path, knownAt));
  return [resolveService(name, withDefaults(defaults, partOf(input ?? {})), { folder, problems })];
}

/** What is right of a service or of the defaults, so that the rest of the file can be checked along with it. */
function partOf(input: unknown): ServiceInput {
  const parsed = v.safeParse(serviceSchema, input);
  if (parsed.success) return parsed.output;
  const broken = new Set(parsed.issues.map((issue) => String(issue.path?.[0]?.key)));
  const keys = isMap(parsed.output) ? Object.entries(parsed.output) : [];
  const whole = Object.fromEntries(keys.filter(([key]) => !broken.has(key))) as ServiceInput;
  // Something to run is there, though it is told to be wrong.
  return broken.has('command')
    ? { ...whole, command: ['true'] }
    : broken.has('script')
      ? { ...whole, script: '.' }
      : whole;
}

function checkDependencies(services: object, specs: readonly ServiceSpec[], problems: Problem[]): void {
  const known = Object.keys(services);
  const all = new Set(known);
  const before = problems.length;
  for (const { name, dependsOn } of specs) {
    for (const other of Object.keys(dependsOn)) {
      if (all.has(other)) continue;
      // More are not shown.
      const near = problems.length - before < MOST_HINTS ? nearest(other, known) : null;
      const hint =
        near === null ? `the services are ${shortened(known.slice(0, 50).join(', '), 200)}` : `did you mean "${near}"?`;
      problems.push({
        path: ['services', name, 'dependsOn', other],
        at: 'key',
        message: `${name} depends on "${shortened(other, 80)}", which is no service; ${hint}`,
      });
    }
  }
  const cycle = findCycle(Object.fromEntries(specs.map(({ name, dependsOn }) => [name, Object.keys(dependsOn)])));
  if (cycle === null) return;
  const [first = '', second = ''] = cycle;
  problems.push({
    path: ['services', first, 'dependsOn', second],
    at: 'key',
    message: `services depend on each other in a circle: ${cycle.join(' → ')}`,
  });
}

/** Two sockets can't have one address. */
function checkSockets(specs: readonly ServiceSpec[], problems: Problem[]): void {
  const owners: { readonly owner: string; readonly address: SocketAddress }[] = [];
  for (const { name: service, sockets } of specs) {
    for (const { name, address } of sockets) {
      const other = owners.find((one) => overlaps(one.address, address));
      const path = ['services', service, 'sockets', name];
      const message = `${formatAddress(address)} is a socket of ${other?.owner} already; each address belongs to one socket`;
      if (other !== undefined) problems.push({ path, at: 'value', message });
      owners.push({ owner: `${service} (${name})`, address });
    }
  }
}

/** What is allowed and yet seldom meant. */
function warningsOf(spec: SupervisorSpec): readonly Problem[] {
  const policies = new Map(spec.services.map(({ name, restart }) => [name, restart.policy]));
  return spec.services.flatMap(({ name, dependsOn }) =>
    Object.entries(dependsOn)
      .filter(([other, condition]) => condition === 'completed' && policies.get(other) === 'always')
      .map(
        ([other]): Problem => ({
          path: ['services', other],
          at: 'key',
          message: `warning: ${name} waits until ${other} has completed, but ${other} is restarted always; give it "restart: on-failure"`,
        }),
      ),
  );
}

/** The keys that the schema knows at a path. */
function knownAt(path: Path): readonly string[] {
  let schema: unknown = configSchema;
  for (const step of path) {
    const entries = entriesOf(schema);
    if (entries) schema = Object.hasOwn(entries, step) ? entries[step] : undefined;
    else schema = unwrap(schema, 'value');
  }
  return Object.keys(entriesOf(schema) ?? {});
}

type SchemaParts = {
  wrapped?: unknown;
  pipe?: readonly unknown[];
  options?: readonly unknown[];
  entries?: Record<string, unknown>;
  value?: unknown;
};

function entriesOf(schema: unknown): Record<string, unknown> | undefined {
  return unwrap(schema, 'entries') as Record<string | number, unknown> | undefined;
}

/** The first part of that name inside of optional, pipe and union. */
function unwrap(schema: unknown, part: 'entries' | 'value'): unknown {
  const parts = schema as SchemaParts | undefined;
  if (!parts) return undefined;
  if (parts[part] !== undefined) return parts[part];
  const inside = [parts.wrapped, ...(parts.pipe?.[0] === schema ? [] : (parts.pipe ?? [])), ...(parts.options ?? [])];
  return inside
    .filter((one) => one !== undefined && one !== schema)
    .map((one) => unwrap(one, part))
    .find((one) => one !== undefined);
}

function isMap(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function timeoutOf(top: TopInput): number | null {
  return top.shutdown?.timeout ?? null;
}

function byPlace(a: Diagnostic, b: Diagnostic): number {
  return (a.line ?? 0) - (b.line ?? 0) || (a.column ?? 0) - (b.column ?? 0);
}
