/** What needs root: a test of another user; skipped, and said so, where we are not. */
import { spawnSync } from 'node:child_process';
import { chmodSync, chownSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'vitest';

const isRoot = process.getuid?.() === 0;
if (!isRoot) console.warn('skipped: only root can run something as another user');

export const testAsRoot = test.skipIf(!isRoot);
export const NOBODY = 65_534;

/** Runs a command as nobody, to its end; fails with what it said. */
export function asNobody(argv: readonly [string, ...string[]]): string {
  const [file, ...args] = argv;
  const ids = { uid: NOBODY, gid: NOBODY };
  const { status, stdout, stderr } = spawnSync(file, args, { ...ids, cwd: '/', encoding: 'utf8', env: {} });
  if (status !== 0) throw new Error(`${argv.join(' ')}: ${status}\n${stdout}${stderr}`);
  return stdout;
}

/** A folder that every user can reach; `owner`: whose it is. */
export function openFolder(parent: string, name: string, owner = 0): string {
  chmodSync(parent, 0o755);
  const folder = join(parent, name);
  mkdirSync(folder);
  chmodSync(folder, 0o755);
  chownSync(folder, owner, owner);
  return folder;
}

/** Somebody of /etc/group: the name, and the numbers of the groups that list it. */
export function memberOfGroups(): { readonly name: string; readonly gids: readonly number[] } | null {
  const rows = readFileSync('/etc/group', 'utf8')
    .split('\n')
    .map((line) => line.split(':'));
  const accounts = readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .map((line) => line.split(':'));
  const named = accounts.find(
    ([name, , uid]) => uid !== '0' && rows.some(([, , , members]) => members?.split(',').includes(name ?? '')),
  );
  const [name, , , primary] = named ?? [];
  if (name === undefined) return null;
  const others = rows.filter(([, , , members]) => members?.split(',').includes(name)).map(([, , gid]) => Number(gid));
  return { name, gids: [Number(primary), ...others].sort((a, b) => a - b) };
}
