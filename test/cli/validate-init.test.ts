/** `gsup validate` and `gsup init`: what they print, write and end with. */
// biome-ignore-all lint/suspicious/noTemplateCurlyInString: the variables of a file
import { existsSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { initCommand } from '../../src/cli/commands/init.ts';
import { validateCommand } from '../../src/cli/commands/validate.ts';
import { readConfig } from '../../src/config/read.ts';

let folder = '';
let printed = { stdout: '', stderr: '' };

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'gsup-cli-'));
  printed = { stdout: '', stderr: '' };
  for (const stream of ['stdout', 'stderr'] as const) {
    vi.spyOn(process[stream], 'write').mockImplementation((text) => {
      printed[stream] += String(text).replaceAll(`${folder}/`, '');
      return true;
    });
  }
  vi.stubEnv('INVOCATION_ID', undefined);
});

afterEach(() => {
  vi.restoreAllMocks();
  vi.unstubAllEnvs();
  process.exitCode = undefined;
  rmSync(folder, { recursive: true });
});

const TWO = `shutdown: { timeout: 45s }
services:
  db: { command: x, stop: { grace: 20s } }
  api: { command: y, dependsOn: [db] }
`;

function put(name: string, content: string): string {
  writeFileSync(join(folder, name), content);
  return join(folder, name);
}

const validate = (...argv: string[]) => validateCommand().parseAsync(argv, { from: 'user' });
const init = (...argv: string[]) => initCommand().parseAsync(argv, { from: 'user' });

test('validate prints each service and the stop budget on stdout', async () => {
  await validate(put('s.yaml', TWO));
  expect(printed.stdout).toBe(`db   1 instance, restart always, grace 20s
api  1 instance, restart always, grace 10s, after db ready
stop budget: api 10s → db 20s = 30s ≤ shutdown.timeout 45s ✓
`);
  expect(printed.stderr).toBe('');
});

test('a path of waves that is longer than a limit is a warning', async () => {
  await validate(put('s.yaml', TWO.replace('45s', '25s')), '--outer', '20s');
  expect(printed.stderr).toBe(
    `warning: stopping may need 30s, shutdown.timeout is 25s: grace periods will be cut; raise it, or shorten them
warning: stopping may need 25s, the outer limit is 20s: gsup itself will be killed; raise the outer limit above 25s, or set shutdown.timeout below it
`,
  );
});

test('an outer limit of just the length of the stop is too short', async () => {
  await validate(put('s.yaml', TWO), '--outer', '30s');
  expect(printed.stdout).toContain('≥ outer 30s ✗');
  expect(printed.stderr).toContain('gsup itself will be killed');
});

test('problems go to stderr with exit status 78, or to stdout as JSON', async () => {
  const file = put('s.yaml', 'services:\n  api: { comand: x, script: a }\n');
  await validate(file);
  expect(process.exitCode).toBe(78);
  expect(printed).toEqual({
    stdout: '',
    stderr: `s.yaml:2:10 unknown key "comand" in services.api; did you mean "command"?
  2 |   api: { comand: x, script: a }
    |          ^^^^^^
`,
  });
  await validate(file, '--json');
  expect(JSON.parse(printed.stdout)).toMatchObject({ ok: false, problems: [{ line: 2, column: 10, length: 6 }] });
});

test('a right file as JSON has services, budget and warnings', async () => {
  await validate(put('s.yaml', TWO), '--json');
  const answer = JSON.parse(printed.stdout);
  expect(answer).toMatchObject({ ok: true, services: [{ name: 'db' }, { name: 'api' }], warnings: [] });
  expect(answer.budget).toMatchObject({ pathMs: 30_000, timeoutMs: 45_000, fits: true });
});

test.each<[string, Record<string, string>, object]>([
  [
    'a start script of node',
    { 'package.json': '{"name":"@me/shop","scripts":{"start":"node server.js"}}' },
    { name: 'shop', program: { kind: 'script' } },
  ],
  [
    'another start script',
    { 'package.json': '{"scripts":{"start":"A=${A} next start | cat"}}' },
    { name: 'app', program: { kind: 'shell', line: 'A=${A} next start | cat' } },
  ],
  [
    'a main',
    { 'package.json': '{"name":"x","main":"lib.js"}', 'lib.js': '' },
    { name: 'x', program: { kind: 'script' } },
  ],
  [
    'a Procfile',
    { Procfile: 'web: node web.js --port $PORT\n# no\n' },
    { name: 'web', program: { kind: 'shell', line: 'exec node web.js --port $PORT' } },
  ],
  ['a script', { 'server.mjs': '' }, { program: { kind: 'script' } }],
  ['a Python program', { 'main.py': '' }, { program: { kind: 'script' } }],
  ['nothing', {}, { name: 'app' }],
])('what init writes for %s passes validation', async (_, files, expected) => {
  for (const [name, content] of Object.entries(files)) put(name, content);
  const file = join(folder, 'supervisor.yaml');
  await init('-o', file);
  const result = await readConfig(file, { env: {} });
  expect(result.ok && result.spec.services[0]).toMatchObject(expected);
  expect(printed.stderr).toContain('next: gsup validate supervisor.yaml, then gsup run -c supervisor.yaml\n');
  expect(printed.stdout).toBe('');
});

test('init follows no link that leads to where nothing is', async () => {
  const [target, file] = [join(folder, 'target'), join(folder, 'supervisor.yaml')];
  symlinkSync(target, file);
  await expect(init('-o', file)).rejects.toThrow(/EEXIST/);
  expect(existsSync(target)).toBe(false);
});

test('init overwrites only when forced', async () => {
  const file = put('supervisor.yaml', 'mine');
  await expect(init('-o', file)).rejects.toMatchObject({
    message: `${file} is there already`,
    hint: 'overwrite it with --force, or write another with -o FILE',
    exitStatus: 1,
  });
  expect(readFileSync(file, 'utf8')).toBe('mine');
  await init('-o', file, '--force');
  expect(readFileSync(file, 'utf8')).not.toBe('mine');
});

test.each([validateCommand, initCommand])('the help fits a screen and has an example', (command) => {
  let help = '';
  command()
    .configureOutput({ writeOut: (text) => (help += text), getOutHelpWidth: () => 80 })
    .outputHelp();
  expect(help).toContain('Example:');
  expect(help.split('\n').length).toBeLessThanOrEqual(24);
  expect(Math.max(...help.split('\n').map((line) => line.length))).toBeLessThanOrEqual(80);
});
