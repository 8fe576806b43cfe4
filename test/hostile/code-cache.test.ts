/** Compiled code that other users have planted, or could plant, is never executed. */
import { spawn } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  cpSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { Script } from 'node:vm';
import { expect, test } from 'vitest';

const ROOT = resolve(import.meta.dirname, '../..');
const NODE = process.env['TEST_NODE'] ?? process.execPath;
const NOBODY = 65_534;
const CEILING_MS = 15_000;
const isRoot = process.getuid?.() === 0;
if (!isRoot) console.warn('skipped: only root can play several users');

/** An installation of the test's own, run by root. */
class Installed implements Disposable {
  readonly folder = mkdtempSync(join(tmpdir(), 'gsup-code-'));
  readonly caches = join(this.folder, 'dist/.code');

  constructor() {
    chmodSync(this.folder, 0o755);
    const filter = (path: string): boolean => !path.includes('/dist/.code');
    for (const part of ['bin', 'dist', 'package.json'])
      cpSync(join(ROOT, part), join(this.folder, part), { recursive: true, filter });
  }

  /** `gsup --version` under a umask, to its end. */
  async run(umask: string): Promise<string> {
    const script = 'umask "$1"; shift; exec "$@"';
    const argv = ['-c', script, 'sh', umask, NODE, join(this.folder, 'bin/gsup.js'), '--version'];
    const child = spawn('/bin/sh', argv, {
      env: { PATH: process.env['PATH'], GSUP_HOME: join(this.folder, 'home') },
      stdio: ['ignore', 'pipe', 'inherit'],
      timeout: CEILING_MS,
    });
    let text = '';
    for await (const part of child.stdout) text += part;
    return text.trim();
  }

  /** Folders and files of the cache, each with its mode. */
  get entries(): readonly { readonly path: string; readonly mode: string; readonly isFile: boolean }[] {
    if (!existsSync(this.caches)) return [];
    const paths = readdirSync(this.caches, { recursive: true, encoding: 'utf8' }).map((name) =>
      join(this.caches, name),
    );
    return [this.caches, ...paths].map((path) => {
      const stat = lstatSync(path);
      return { path, mode: (stat.mode & 0o777).toString(8), isFile: stat.isFile() };
    });
  }

  /** The kept file of main.cjs: only our own cache has it under that name. */
  get main(): string | undefined {
    return this.entries.find(({ path }) => path.endsWith('/main.cjs'))?.path;
  }

  /** Code that says it was executed, in the form of our own cache: of the same key and length as main.cjs. */
  planted(kept: string): Buffer {
    const head = readFileSync(kept, 'latin1').split('\n', 1)[0] ?? '';
    const { length } =
      `(function (exports, require, module, __filename, __dirname) { ${readFileSync(join(this.folder, 'dist/main.cjs'), 'utf8')}\n});`;
    const wrapper =
      '(function (exports, require, module, __filename, __dirname) { console.log("planted"); process.exit(0); ';
    const code = new Script(`${wrapper.padEnd(length - 4, ' ')}\n});`).createCachedData();
    return Buffer.concat([Buffer.from(`${head}\n`, 'latin1'), code, code]);
  }

  [Symbol.dispose](): void {
    rmSync(this.folder, { recursive: true });
  }
}

test.skipIf(!isRoot).each(['0', '002', '022', '077'])(
  'under umask %s others get no right to change what is kept',
  async (umask) => {
    using installed = new Installed();
    await installed.run(umask);
    const { entries } = installed;
    expect(entries.some(({ isFile }) => isFile)).toBe(true);
    expect(entries.filter(({ mode }) => (Number.parseInt(mode, 8) & 0o022) !== 0)).toEqual([]);
    expect(entries[0]?.mode).toBe('755');
  },
);

test.skipIf(!isRoot).each([
  { what: 'a file of another user', plant: (file: string) => chownSync(file, NOBODY, NOBODY) },
  { what: 'a file that others may write to', plant: (file: string) => chmodSync(file, 0o666) },
  { what: 'a file in a folder that others may write to', plant: (file: string) => chmodSync(join(file, '..'), 0o777) },
  {
    what: 'a file below a folder that others may write to',
    plant: (file: string) => chmodSync(join(file, '../..'), 0o775),
  },
  {
    what: 'a symbolic link',
    plant: (file: string) => {
      renameSync(file, `${file}.aside`);
      symlinkSync(`${file}.aside`, file);
    },
  },
])('$what is not executed', async ({ plant }) => {
  using installed = new Installed();
  const version = await installed.run('022');
  const file = installed.main;
  // Of Node's own cache, from 22.8 on, no code can be made here.
  if (file === undefined) return;
  const own = readFileSync(file);
  writeFileSync(file, installed.planted(file));
  // What root itself has written is executed, so the attack is real.
  expect(await installed.run('022')).toBe('planted');
  plant(file);
  expect(await installed.run('022')).toBe(version);
  expect(own.length).toBeGreaterThan(0);
});

test.skipIf(!isRoot)('a folder of the cache that is a link, or that others may write to, gets no files', async () => {
  using installed = new Installed();
  const elsewhere = join(installed.folder, 'elsewhere');
  mkdirSync(elsewhere, { mode: 0o755 });
  symlinkSync(elsewhere, installed.caches);
  await installed.run('022');
  expect(readdirSync(elsewhere)).toEqual([]);
  rmSync(installed.caches);
  mkdirSync(installed.caches);
  chmodSync(installed.caches, 0o777);
  await installed.run('022');
  expect(readdirSync(installed.caches)).toEqual([]);
  expect((statSync(installed.caches).mode & 0o777).toString(8)).toBe('777');
});
