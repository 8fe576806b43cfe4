import { spawnSync } from 'node:child_process';
import {
  chownSync,
  cpSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { expect, test } from 'vitest';

const ROOT = resolve(import.meta.dirname, '../..');
const NODE = process.env['TEST_NODE'] ?? process.execPath;
const NOBODY = 65_534;
/** From Node 22.8 on its own compile cache is used, whose files have names and checks of its own. */
const isOurs =
  spawnSync(NODE, ['-p', 'typeof require("module").enableCompileCache']).stdout.toString() === 'undefined\n';

/** An installation of the test's own. */
class Installed implements Disposable {
  readonly folder = mkdtempSync(join(tmpdir(), 'gsup-code-'));

  constructor() {
    for (const part of ['bin', 'dist', 'package.json'])
      cpSync(join(ROOT, part), join(this.folder, part), {
        recursive: true,
        filter: (path) => !path.includes('/dist/.code'),
      });
  }

  run(args: readonly string[], env: Readonly<Record<string, string>> = {}): string {
    const { stdout, stderr, status } = spawnSync(NODE, [join(this.folder, 'bin/gsup.js'), ...args], {
      env: { ...process.env, GSUP_HOME: join(this.folder, 'home'), ...env },
      encoding: 'utf8',
    });
    expect([stderr, status]).toEqual(['', 0]);
    return stdout;
  }

  /** What is kept, with what tells one file from the next that takes its place. */
  get kept(): Readonly<Record<string, number>> {
    const caches = join(this.folder, 'dist/.code');
    if (!existsSync(caches)) return {};
    const files = readdirSync(caches, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
    return Object.fromEntries(
      files.map(({ name, parentPath }) => [join(parentPath, name), statSync(join(parentPath, name)).ino]),
    );
  }

  [Symbol.dispose](): void {
    rmSync(this.folder, { recursive: true });
  }
}

test.concurrent('what was compiled is kept by the first run, and used as it is by the next', () => {
  using installed = new Installed();
  installed.run(['--version']);
  const { kept } = installed;
  expect(Object.keys(kept).length).toBeGreaterThan(0);
  installed.run(['--version']);
  expect(installed.kept).toEqual(kept);
});

test.concurrent('a file that has changed is compiled anew, also when it is as long as before', () => {
  using installed = new Installed();
  const version = installed.run(['--version']).trim();
  const other = version.replace(/\d$/, (digit) => String((Number(digit) + 1) % 10));
  const main = join(installed.folder, 'dist/main.cjs');
  writeFileSync(main, readFileSync(main, 'utf8').replaceAll(version, other));
  expect(installed.run(['--version']).trim()).toBe(other);
  expect(installed.run(['--version']).trim()).toBe(other);
});

test.concurrent.each([
  ['cut off', (bytes: Buffer) => bytes.subarray(0, bytes.length / 2)],
  ['empty', () => Buffer.alloc(0)],
  ['of something else', (bytes: Buffer) => Buffer.from(bytes.map((byte, at) => (at < 64 ? byte : byte ^ 0x5a)))],
])('a kept file that is %s does no harm', (_, damage) => {
  using installed = new Installed();
  const version = installed.run(['--version']);
  for (const file of Object.keys(installed.kept)) writeFileSync(file, damage(readFileSync(file)));
  expect(installed.run(['--version'])).toBe(version);
});

test.skipIf(process.getuid?.() !== 0)('in the folder of another user nothing is left', () => {
  using installed = new Installed();
  chownSync(join(installed.folder, 'dist'), NOBODY, NOBODY);
  installed.run(['--version']);
  expect(installed.kept).toEqual({});
});

test.concurrent('NODE_DISABLE_COMPILE_CACHE=1 keeps nothing', () => {
  using installed = new Installed();
  installed.run(['--version'], { NODE_DISABLE_COMPILE_CACHE: '1' });
  expect(installed.kept).toEqual({});
});

test.skipIf(!isOurs)('a module that the user wrote is still imported', () => {
  using installed = new Installed();
  const file = join(installed.folder, 'supervisor.config.mjs');
  writeFileSync(file, 'export default { services: { api: { command: ["sleep", "1"] } } };\n');
  for (let round = 0; round < 2; round++) expect(installed.run(['validate', file])).toMatch(/^api {2}1 instance/);
});
