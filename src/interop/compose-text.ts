/** Texts in a compose file, where a dollar is compose's own: escaped, and secrets as variables that must be set. */
import type { SupervisorSpec } from '../core/service.ts';
import type { Container } from './container.ts';
import type { Tell } from './export.ts';
import { render, type Text } from './references.ts';
import { quoted, type YamlMap, type YamlValue } from './yaml.ts';

/** The variable outside for a secret of a service. */
export type VariableOf = (service: string, secret: string) => string;

/** Compose puts variables in everywhere: a dollar of ours is two of its. */
export function escaped(text: string): string {
  return text.replaceAll('$', '$$$$');
}

/** All services share one environment: what has several values there has the service in its name. */
export function variablesOf({ services }: SupervisorSpec, containers: ReadonlyMap<string, Container>): VariableOf {
  const values = new Map<string, Set<string>>();
  for (const { secrets } of containers.values()) {
    for (const [name, value] of secrets) values.set(name, (values.get(name) ?? new Set()).add(value));
  }
  const given = new Map<string, string>();
  const taken = new Set<string>();
  for (const { name: service } of services) {
    for (const name of containers.get(service)?.secrets.keys() ?? []) {
      const isShared = values.get(name)?.size === 1;
      const key = JSON.stringify(isShared ? [name] : [service, name]);
      if (given.has(key)) continue;
      const wanted = variable(isShared ? name : `${service}_${name}`.toUpperCase());
      let free = wanted;
      for (let n = 2; taken.has(free); n++) free = `${wanted}_${n}`;
      taken.add(free);
      given.set(key, free);
    }
  }
  return (service, name) =>
    given.get(JSON.stringify([name])) ?? given.get(JSON.stringify([service, name])) ?? variable(name);
}

/** A text of a service, with its secrets as references. */
export function composeText(text: Text, referTo: (secret: string) => string): string {
  return render(text, escaped, (secret) => reference(referTo(secret)));
}

export function environmentOf(
  env: Container['env'],
  secrets: readonly (readonly [name: string, variable: string])[],
  tell: Tell,
): YamlMap {
  if (secrets.length > 0) {
    const isOne = secrets.length === 1;
    const names = secrets.map(([name, outside]) => (name === outside ? name : `${name} (as ${outside})`)).join(', ');
    tell(
      `env: ${names} ${isOne ? 'looks secret and is' : 'look secret and are'} not exported; compose takes ${isOne ? 'its value' : 'their values'} from the environment or from .env`,
    );
  }
  const plain = env.map(([name, value]): [string, YamlValue] => [name, quoted(escaped(value))]);
  const hidden = secrets.map(([name, outside]): [string, YamlValue] => [name, quoted(reference(outside))]);
  return Object.fromEntries([...plain, ...hidden]);
}

function reference(outside: string): string {
  return `\${${outside}:?set it in the environment or in .env}`;
}

function variable(name: string): string {
  const plain = name.replace(/\W/g, '_');
  return /^\d/.test(plain) ? `_${plain}` : plain;
}
