/** What another user may do with files, asked of the kernel with koffi, and by modes without it. */
import { chmodSync, chownSync, closeSync, constants, linkSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { Identity } from '../../src/host/identity.ts';
import { loadNative } from '../../src/host/native.ts';
import { type Rights, rightsOf } from '../../src/host/rights.ts';
import { readStart, readWhole } from '../../src/host/service-file.ts';
import { isTrustedPath } from '../../src/host/trusted-path.ts';
import { Folder } from '../kit/gsup.ts';
import { asNobody, NOBODY, openFolder, testAsRoot } from '../kit/root.ts';

const nobody: Identity = { uid: NOBODY, gid: NOBODY, groups: [NOBODY, 12], account: null };

/** Loaded by the second one: until then there is nothing to ask the kernel with. */
describe.each([
  ['without koffi', () => Promise.resolve(null)],
  ['with koffi', () => loadNative()],
])('%s', (_, load) => {
  testAsRoot('owner, group and others count, and so does every folder on the way', async () => {
    await load();
    const rights: Rights = rightsOf(nobody);
    using folder = new Folder();
    chmodSync(folder.path, 0o755);
    const opens = (path: string): boolean => {
      try {
        closeSync(rights.open(path, constants.O_RDONLY));
        return true;
      } catch (error) {
        expect((error as NodeJS.ErrnoException).code).toBe('EACCES');
        return false;
      }
    };
    const make = (name: string, mode: number, uid: number, gid: number): string => {
      const file = folder.write(name, 'x');
      chmodSync(file, mode);
      chownSync(file, uid, gid);
      return file;
    };
    expect(opens(make('all', 0o644, 0, 0))).toBe(true);
    expect(opens(make('roots', 0o640, 0, 0))).toBe(false);
    expect(opens(make('own', 0o400, NOBODY, 0))).toBe(true);
    expect(opens(make('not-own', 0o044, NOBODY, 0))).toBe(false);
    expect(opens(make('group', 0o040, 0, NOBODY))).toBe(true);
    expect(opens(make('second-group', 0o040, 0, 12))).toBe(true);
    expect(opens(make('not-group', 0o604, 0, 12))).toBe(false);
    expect(rights.isExecutable(make('program', 0o711, 0, 0))).toBe(true);
    expect(rights.isExecutable(make('not-program', 0o744, 0, 0))).toBe(false);
    const secret = join(folder.path, 'secret');
    mkdirSync(secret, { mode: 0o700 });
    writeFileSync(join(secret, 'file'), 'x');
    symlinkSync(join(secret, 'file'), join(folder.path, 'link'));
    expect(opens(join(secret, 'file'))).toBe(false);
    expect(opens(join(folder.path, 'link'))).toBe(false);
    expect(rights.stat(join(secret, 'file'))).toBe(null);
    expect(rights.stat(secret)?.isDirectory()).toBe(true);
    expect(rights.canEnter(secret)).toBe(false);
    expect(rights.canEnter(folder.path)).toBe(true);
    expect(rightsOf(null).canEnter(secret)).toBe(true);
  });

  testAsRoot('a descriptor of this process is no way to a file that may not be reached', async () => {
    await load();
    using folder = new Folder();
    const secret = folder.write('secret', 'TOKEN=x\n');
    chmodSync(secret, 0o600);
    const fd = rightsOf(null).open(secret, constants.O_RDONLY);
    try {
      const theirs = openFolder(folder.path, 'theirs', NOBODY);
      for (const target of [`/proc/self/fd/${fd}`, secret]) {
        asNobody(['ln', '-sfn', target, join(theirs, 'link')]);
        expect(() => readWhole(join(theirs, 'link'), 100, nobody)).toThrow();
      }
      expect(() => readWhole(`/proc/self/fd/${fd}`, 100, nobody)).toThrow();
      expect(() => readWhole('/proc/self/environ', 100_000, nobody)).toThrow();
      expect(() => readWhole('/proc/self/status', 100_000, nobody)).toThrow();
    } finally {
      closeSync(fd);
    }
  });
});

test('a file is read up to a limit, an empty one is empty', () => {
  using folder = new Folder({ some: 'abc', none: '' });
  expect(String(readWhole(join(folder.path, 'some'), 3, null))).toBe('abc');
  expect(() => readWhole(join(folder.path, 'some'), 2, null)).toThrow('too-large');
  expect(String(readStart(join(folder.path, 'some'), 2, null))).toBe('ab');
  expect(String(readWhole(join(folder.path, 'none'), 2, null))).toBe('');
});

testAsRoot('a path is trusted when only root can change what it leads to', () => {
  using folder = new Folder();
  chmodSync(folder.path, 0o755);
  const at = (name: string) => join(folder.path, name);
  folder.write('file', 'x');
  expect(isTrustedPath(at('file'))).toBe(true);
  symlinkSync('file', at('link'));
  expect(isTrustedPath(at('link'))).toBe(true);
  symlinkSync(`${folder.path}/../${folder.path.split('/').pop()}/link`, at('far'));
  expect(isTrustedPath(at('far'))).toBe(true);
  symlinkSync('loop', at('loop'));
  expect(isTrustedPath(at('loop'))).toBe(false);
  expect(isTrustedPath(at('missing'))).toBe(false);
  mkdirSync(at('theirs'));
  chownSync(at('theirs'), NOBODY, NOBODY);
  writeFileSync(at('theirs/file'), 'x');
  expect(isTrustedPath(at('theirs/file'))).toBe(false);
  symlinkSync('theirs/../file', at('over'));
  expect(isTrustedPath(at('over'))).toBe(false);
  // Whoever may write to /tmp may put a file of root's there under another name.
  mkdirSync(at('sticky'));
  chmodSync(at('sticky'), 0o1777);
  linkSync(at('file'), at('sticky/file'));
  expect(isTrustedPath(at('sticky/file'))).toBe(false);
  expect(isTrustedPath(at('sticky'))).toBe(true);
  asNobody(['ln', '-s', at('file'), at('sticky/link')]);
  expect(isTrustedPath(at('sticky/link'))).toBe(false);
  chmodSync(at('file'), 0o666);
  expect(isTrustedPath(at('file'))).toBe(false);
});
