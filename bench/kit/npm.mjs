// Packages of the peers, installed by npm into a folder of their own that goes with the bench: never a dependency of the project.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { NPM_ENVIRONMENT } from './own-environment.mjs';

const INSTALL_CEILING_MS = 180_000;

/** The prefix, or null when npm can not; once for each set of packages. */
export function installed(scratch, name, packages) {
  const prefix = scratch.path('npm', name);
  if (existsSync(prefix)) return existsSync(join(prefix, 'node_modules')) ? prefix : null;
  mkdirSync(prefix, { recursive: true });
  const args = ['install', '--prefix', prefix, '--no-audit', '--no-fund', '--loglevel', 'error', ...packages];
  const { status } = spawnSync('npm', args, {
    stdio: 'ignore',
    timeout: INSTALL_CEILING_MS,
    env: scratch.environment('npm', NPM_ENVIRONMENT),
  });
  return status === 0 ? prefix : null;
}

export function versionOf(prefix, module) {
  return JSON.parse(readFileSync(join(prefix, 'node_modules', module, 'package.json'), 'utf8')).version;
}
