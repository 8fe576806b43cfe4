/**
 * Exports of a file with every key, as they are to look: fixtures/interop/.
 * After a change that is meant: `UPDATE_GOLDEN=1 npx vitest run test/interop/golden.test.ts`, and read the difference.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseToObject } from 'hcl2-parser';
import { expect, test } from 'vitest';
import { parseAllDocuments } from 'yaml';
import { readConfig } from '../../src/config/read.ts';
import { exportCompose } from '../../src/interop/compose.ts';
import type { Exported, ExportOptions } from '../../src/interop/export.ts';
import { exportKubernetes } from '../../src/interop/kubernetes.ts';
import { exportNomad } from '../../src/interop/nomad.ts';
import { Folder } from '../kit/gsup.ts';
import { composeProblems, kubernetesProblems } from '../kit/platforms.ts';

const FOLDER = join(import.meta.dirname, '../../fixtures/interop');
const SHOP = join(FOLDER, 'shop');
const FORMATS = { kubernetes: exportKubernetes, compose: exportCompose, nomad: exportNomad };
type Format = keyof typeof FORMATS;
const KINDS = Object.keys(FORMATS).flatMap((format) => [
  [format as Format, false] as const,
  [format as Format, true] as const,
]);

async function exported(format: Format, isBundle: boolean): Promise<Exported> {
  const file = join(SHOP, 'supervisor.yaml');
  const read = await readConfig(file, { env: {} });
  if (!read.ok) throw new Error(JSON.stringify(read.problems));
  const options: ExportOptions = {
    image: isBundle ? 'ghcr.io/me/shop:1' : null,
    namespace: 'prod',
    isBundle,
    stateful: ['cache'],
    workdir: '/app',
    source: { name: 'supervisor.yaml', folder: SHOP, text: readFileSync(file, 'utf8'), variables: {} },
  };
  return FORMATS[format](read.spec, options);
}

test.each(KINDS)('the %s export (bundle: %s) is the golden one', async (format, isBundle) => {
  const { files, notes } = await exported(format, isBundle);
  const told = notes.map((note) => `# ${note}`).join('\n');
  const text =
    `${files.map((file) => `# --- ${file.name}\n${file.text}`).join('\n')}\n# --- notes\n${told}\n`.replaceAll(
      SHOP,
      '/srv/shop',
    );
  const golden = join(FOLDER, `${format}${isBundle ? '-bundle' : ''}.${format === 'nomad' ? 'hcl' : 'yaml'}`);
  if (process.env['UPDATE_GOLDEN'] === '1') writeFileSync(golden, text);
  expect(text).toBe(readFileSync(golden, 'utf8'));
});

test.each(KINDS)(
  'the %s export (bundle: %s) of a file with every key is right by its schema',
  async (format, isBundle) => {
    const { files } = await exported(format, isBundle);
    for (const { text } of files) {
      if (format === 'kubernetes') expect(kubernetesProblems(text)).toEqual([]);
      else if (format === 'compose') expect(composeProblems(text)).toEqual([]);
      else expect(parseToObject(text)[1]).toBeNull();
    }
  },
);

test.each(KINDS)(
  'nothing secret of the file is in the %s export (bundle: %s) or its notes',
  async (format, isBundle) => {
    expect(JSON.stringify(await exported(format, isBundle))).not.toMatch(/hunter2|correct-horse/);
  },
);

test("the file of a bundle, read with its secrets, is the file's own spec", async () => {
  const { files } = await exported('kubernetes', true);
  const [config] = parseAllDocuments(files[0]?.text ?? '');
  using folder = new Folder({ 'supervisor.yaml': String(config?.getIn(['data', 'supervisor.yaml'])), 'shop.env': '' });
  const env = { PASSWORD: 'hunter22', PASSWORD_2: 'hunter2222', DB_PASSWORD: 'correct-horse' };
  const bundled = await readConfig(join(folder.path, 'supervisor.yaml'), { env });
  const own = await readConfig(join(SHOP, 'supervisor.yaml'), { env: {} });
  expect(JSON.stringify(bundled).replaceAll(folder.path, SHOP)).toBe(JSON.stringify(own));
});

/** Every key of the file that these formats have no place for, and that a note must name. */
test.each([
  [
    'kubernetes',
    [
      'sockets.http: backlog',
      'sockets.local',
      'LISTEN_FDS',
      'stop.killMode',
      'stop.message',
      'nice',
      'umask',
      'critical',
      'dependsOn',
      'restart: minDelay, maxDelay, window, limit',
      'logs: format',
      'stop.signal',
      'user: www-data',
      'limits.memory',
      'envFile',
      'stop.preStop',
      'inheritEnv',
      'ready: log',
      'live: notify',
      'restart: successExitCodes',
    ],
  ],
  [
    'compose',
    [
      'sockets.http: backlog',
      'sockets.local',
      'LISTEN_FDS',
      'stop.killMode',
      'stop.message',
      'nice',
      'umask',
      'critical',
      'restart: minDelay, maxDelay, window, limit',
      'logs: format, maxAge',
      'limits.memory',
      'pre_stop',
      'inheritEnv',
      'ready: log',
      'live: notify',
      'restart: successExitCodes',
      'deploy.update_config',
    ],
  ],
  [
    'nomad',
    [
      'sockets.http: backlog',
      'sockets.local',
      'LISTEN_FDS',
      'stop.killMode',
      'stop.message',
      'nice',
      'umask',
      'critical',
      'dependsOn',
      'restart: maxDelay',
      'logs: format, maxAge, compress',
      'stop.grace',
      'limits.memory',
      'envFile',
      'stop.preStop',
      'inheritEnv',
      'ready: log',
      'live: notify',
      'restart: successExitCodes',
      'live: exec',
    ],
  ],
] as const)('what has no counterpart in %s is told in a note', async (format, expected) => {
  const { notes } = await exported(format, false);
  for (const part of expected)
    expect(
      notes.filter((note) => note.includes(part)),
      part,
    ).not.toEqual([]);
});
