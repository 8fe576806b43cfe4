/** What `import … from 'gsup'` gives: the types of a configuration in a module. */
import type { Config } from './config/schema.ts';

/** Gives `supervisor.config.ts` its types; returns what it gets. */
export function defineConfig(config: Config): Config {
  return config;
}
