import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { Folder } from './kit/gsup.ts';

const ROOT = join(import.meta.dirname, '..');

/** What the project's linter says of a file in a layer, in a scratch tree with the same rules. */
function lint(layer: string, text: string): string {
  const { vcs: _, ...rules } = JSON.parse(readFileSync(join(ROOT, 'biome.json'), 'utf8'));
  using folder = new Folder({ 'biome.json': JSON.stringify(rules) });
  mkdirSync(`${folder.path}/src/${layer}`, { recursive: true });
  folder.write(`src/${layer}/planted.ts`, `${text}\n`);
  const biome = join(ROOT, 'node_modules/.bin/biome');
  const { stdout, stderr } = spawnSync(biome, ['lint', '.'], { cwd: folder.path, encoding: 'utf8' });
  expect(stdout + stderr).toContain('Checked');
  return stdout + stderr;
}

test.each([
  ['core', "import '../host/host.ts';"],
  ['core', "import 'node:fs';"],
  ['core', "import 'pino';"],
  ['host', "import '../config/read.ts';"],
  ['config', "import '../supervisor/clock.ts';"],
  ['supervisor', "import '../foreground/main.ts';"],
  ['interop', "import '../host/host.ts';"],
  ['view', "import type { Host } from '../host/host.ts';\nexport type X = Host;"],
  ['cli', "import '../host/local-host.ts';"],
  ['app', "import 'pino';"],
  ['app', "import '../core/service.ts';"],
])('%s/ may not say %s', (layer, text) => {
  expect(lint(layer, text)).toContain('noRestrictedImports');
});

test.each([
  ['core', "import './signal.ts';"],
  ['supervisor', "import '../host/host.ts';\nimport 'node:fs';\nimport 'pino';"],
  ['app', "import '../core/duration.ts';\nimport 'node:net';\nimport 'node:fs/promises';"],
])('%s/ may say %s', (layer, text) => {
  expect(lint(layer, text)).not.toContain('noRestrictedImports');
});
