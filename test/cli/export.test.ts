/** `gsup export`: what it prints, writes and refuses. */
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { parseAllDocuments } from 'yaml';
import { exportCommand } from '../../src/cli/commands/export.ts';
import { isGsupError } from '../../src/core/error.ts';

let folder = '';
let printed = { stdout: '', stderr: '' };

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'gsup-export-'));
  printed = { stdout: '', stderr: '' };
  for (const stream of ['stdout', 'stderr'] as const) {
    vi.spyOn(process[stream], 'write').mockImplementation((text) => {
      printed[stream] += String(text).replaceAll(`${folder}/`, '');
      return true;
    });
  }
  writeFileSync(
    join(folder, 's.yaml'),
    'services:\n  db: { command: db, inheritEnv: false }\n  api: { script: api.js, inheritEnv: false, nice: 1, restart: never }\n',
  );
});

afterEach(() => {
  vi.restoreAllMocks();
  rmSync(folder, { recursive: true });
});

const run = (...argv: string[]) =>
  exportCommand().parseAsync(['-c', join(folder, 's.yaml'), ...argv], { from: 'user' });

async function refusal(...argv: string[]): Promise<readonly unknown[]> {
  try {
    await run(...argv);
  } catch (error) {
    if (isGsupError(error)) return [error.exitStatus, error.message.replaceAll(`${folder}/`, ''), error.hint];
    throw error;
  }
  return [];
}

test('several documents are printed with --- between them, and notes on stderr', async () => {
  await run('kubernetes', '--image', 'x');
  const documents = parseAllDocuments(printed.stdout);
  expect(documents.map((one) => [one.get('kind'), one.getIn(['metadata', 'name'])])).toEqual([
    ['Deployment', 'db'],
    ['Job', 'api'],
  ]);
  expect(printed.stderr).toBe(`db, api: the folder of the file is /app in the image; --workdir names another
api: nice has no counterpart in Kubernetes; begin the command with "nice -n 1"
`);
});

test('with --json the files and notes are one object on stdout', async () => {
  await run('nomad', '--json', '--image', 'x');
  const { files, notes } = JSON.parse(printed.stdout);
  expect(files.map(({ name }: { name: string }) => name.replace(/^gsup-export-.{6}/i, 'X'))).toEqual([
    'X.nomad.hcl',
    'X-api.nomad.hcl',
  ]);
  expect(notes).toHaveLength(2);
  expect(printed.stderr).toBe('');
});

test('files go into a folder, and are overwritten with --force only', async () => {
  await run('kubernetes', '-o', join(folder, 'out/k8s'));
  expect(readdirSync(join(folder, 'out/k8s'))).toEqual(['api.yaml', 'db.yaml']);
  expect(printed.stdout).toBe('');
  expect(printed.stderr).toContain('wrote out/k8s/db.yaml\nwrote out/k8s/api.yaml\n');
  expect(await refusal('kubernetes', '-o', join(folder, 'out/k8s'))).toEqual([
    1,
    'out/k8s/db.yaml is there already',
    'overwrite it with --force, or write elsewhere',
  ]);
  await run('kubernetes', '-o', join(folder, 'out/k8s'), '--force', '--image', 'y');
  expect(readFileSync(join(folder, 'out/k8s/db.yaml'), 'utf8')).toContain('image: "y"');
});

test('a path with an extension is one file of all documents', async () => {
  await run('kubernetes', '-o', join(folder, 'all.yaml'));
  expect(parseAllDocuments(readFileSync(join(folder, 'all.yaml'), 'utf8'))).toHaveLength(2);
});

test.each([
  [['kubernets'], [2, '"kubernets" is no format to export to', 'did you mean kubernetes?']],
  [['x'], [2, '"x" is no format to export to', 'expected systemd, kubernetes, compose, nomad']],
  [
    ['compose', '--stateful', 'db'],
    [2, '--stateful goes with kubernetes', undefined],
  ],
  [
    ['kubernetes', '--stateful', 'bd'],
    [4, 'no service bd to be stateful', 'the services are db, api'],
  ],
  [
    ['compose', '--workdir', 'app'],
    [2, '--workdir "app" is relative', 'it is a folder of the image: /app'],
  ],
])('%j is refused', async (argv, expected) => {
  expect(await refusal(...argv)).toEqual(expected);
});

test('several Nomad jobs are not written into one file', async () => {
  const [status, message, hint] = await refusal('nomad', '-o', join(folder, 'all.hcl'));
  expect([status, hint]).toEqual([2, 'name a folder']);
  expect(message).toMatch(/^--output all\.hcl is one file, there are 2: \S+\.nomad\.hcl, \S+-api\.nomad\.hcl$/);
});
