/** What an import gives: a value in the shape of supervisor.yaml, with the few things that are written about it. */
import type { Config } from '../config/schema.ts';

export type ImportedConfig = Config;
export type ServiceInput = Config['services'][string];

/** A length as it is written: `5s`, `1600ms`. */
export function durationText(ms: number): string {
  return ms % 1000 === 0 ? `${ms / 1000}s` : `${ms}ms`;
}

/** Names of services, each of them once. */
export function uniqueName(wanted: string, taken: ReadonlySet<string>): string {
  const plain = wanted
    .replace(/[^A-Za-z0-9_.-]+/g, '-')
    .replace(/^[^A-Za-z0-9]+/, '')
    .replace(/-+$/, '')
    .slice(0, 60);
  const name = plain === '' ? 'app' : plain === 'all' || plain in {} ? `${plain}-app` : plain;
  for (let number = 1; ; number++) {
    const candidate = number === 1 ? name : `${name}-${number}`;
    if (!taken.has(candidate)) return candidate;
  }
}
