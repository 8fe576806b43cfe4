/** Names that libraries leave out of maps, for each object has them already: hidden while a map is checked; pure. */
const LEFT_OUT = new Set(['__proto__', 'prototype', 'constructor']);
/** Also a name of a socket, of a variable and of a service. */
const PREFIX = 'gsup.own.';

/** The same map with such names hidden; anything else is as it is. */
export function withHiddenNames(value: unknown): unknown {
  return renamed(value, (name) => (LEFT_OUT.has(name) ? `${PREFIX}${name}` : name));
}

/** And with the names that it had. */
export function withShownNames<T>(value: T): T {
  return renamed(value, shownName) as T;
}

export function shownName(name: string): string {
  const own = name.startsWith(PREFIX) ? name.slice(PREFIX.length) : '';
  return LEFT_OUT.has(own) ? own : name;
}

function renamed(value: unknown, nameOf: (name: string) => string): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value;
  const entries = Object.entries(value);
  if (entries.every(([name]) => nameOf(name) === name)) return value;
  return Object.fromEntries(entries.map(([name, one]) => [nameOf(name), one]));
}
