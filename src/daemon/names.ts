/** The names that people type → the instances and services they mean; pure. */
import { EXIT, GsupError } from '../core/error.ts';
import type { InstanceRef } from '../core/event.ts';
import { instanceName, nearest } from '../core/name.ts';
import type { SupervisorState } from '../core/root-state.ts';

/** The instances of a service, as far as there are any. */
export function refsOf(state: SupervisorState, service: string): readonly InstanceRef[] {
  const known = Object.hasOwn(state.services, service) ? state.services[service] : undefined;
  return [...(known?.instances.keys() ?? [])].map((index) => ({ service, index }));
}

/** `api`, `api:1` or `all` → the instances meant, each once. @throws {GsupError} 4 for an unknown name. */
export function instancesNamed(state: SupervisorState, names: readonly string[]): readonly InstanceRef[] {
  const refs = names.flatMap((name) =>
    name === 'all' ? Object.keys(state.services).flatMap((service) => refsOf(state, service)) : refsOfName(state, name),
  );
  const byName = new Map(refs.map((of) => [instanceName(of.service, of.index), of]));
  return [...byName.values()];
}

/** The services that names mean; an instance's name means no service. @throws {GsupError} 4, or 2 for an instance. */
export function servicesNamed(state: SupervisorState, names: readonly string[]): readonly string[] {
  const instance = names.find((name) => name.includes(':'));
  if (instance !== undefined) {
    const [service = ''] = instance.split(':');
    const hint = `name the service (${service}), or change its count with "gsup scale ${service} N"`;
    throw new GsupError(`${instance} is one instance, not a service`, { exitStatus: EXIT.usage, hint });
  }
  const found = names.flatMap((name) => (name === 'all' ? Object.keys(state.services) : [name]));
  for (const name of found) if (!Object.hasOwn(state.services, name)) throw unknownService(state, name);
  return [...new Set(found)];
}

function refsOfName(state: SupervisorState, name: string): readonly InstanceRef[] {
  const [service = '', index] = name.split(':');
  if (!Object.hasOwn(state.services, service)) throw unknownService(state, service);
  const all = refsOf(state, service);
  if (index === undefined) return all;
  const own = all.filter((of) => String(of.index) === index);
  if (own.length > 0) return own;
  const last = all.length - 1;
  const names = last === 0 ? `it has ${service}:0` : `it has ${service}:0 to ${service}:${last}`;
  const hint = last < 0 ? `it has no instances; gsup scale ${service} 1` : names;
  throw new GsupError(`no instance ${name}`, { exitStatus: EXIT.noSuchService, hint });
}

function unknownService(state: SupervisorState, name: string): GsupError {
  const known = Object.keys(state.services);
  const near = nearest(name, known);
  const others =
    known.length === 0 ? 'there are none yet: "gsup start" adds one' : `there are ${known.slice(0, 10).join(', ')}`;
  const hint = near === null ? others : `did you mean ${near}?`;
  return new GsupError(`no service ${name}`, { exitStatus: EXIT.noSuchService, hint });
}
