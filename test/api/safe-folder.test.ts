import {
  chmodSync,
  chownSync,
  existsSync,
  lchownSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { expect, test } from 'vitest';
import { makeOwnFolder, openOwnFolder, removeOwnFolder, takeOwnFolder, unsafePart } from '../../src/api/safe-folder.ts';

const NOBODY = 65_534;
const isRoot = process.getuid?.() === 0;
if (!isRoot) console.warn('skipped: only root can give folders to another user');

class Place implements Disposable {
  readonly path = mkdtempSync(join(tmpdir(), 'gsup-safe-'));

  folder(name: string, mode = 0o755, owner?: number): string {
    const path = join(this.path, name);
    mkdirSync(path);
    chmodSync(path, mode);
    if (owner !== undefined) chownSync(path, owner, owner);
    return path;
  }

  link(name: string, target: string, owner?: number): string {
    const path = join(this.path, name);
    symlinkSync(target, path);
    if (owner !== undefined) lchownSync(path, owner, owner);
    return path;
  }

  [Symbol.dispose](): void {
    rmSync(this.path, { recursive: true, force: true });
  }
}

const modeOf = (path: string): string => (statSync(path).mode & 0o7777).toString(8);

test('a path is safe through closed and sticky folders, links of ours, and where nothing is yet', () => {
  using place = new Place();
  place.folder('closed');
  place.folder('sticky', 0o1777);
  place.folder('sticky/inner', 0o700);
  place.link('absolute', join(place.path, 'sticky'));
  place.link('relative', 'closed/../sticky');
  for (const path of ['closed', 'sticky/inner', 'absolute/inner', 'relative/inner', 'closed/missing/more'])
    expect(unsafePart(join(place.path, path)), path).toBeNull();
});

test('a path is not safe through a folder that others may write to, nor as a relative one, nor in a circle of links', () => {
  using place = new Place();
  const open = place.folder('open', 0o777);
  place.link('to-open', open);
  expect(unsafePart(join(open, 'missing'))).toBe(open);
  expect(unsafePart(join(place.path, 'to-open/x'))).toBe(open);
  expect(unsafePart('tmp')).toBe('tmp');
  const circle = place.link('circle', 'circle');
  expect(unsafePart(join(circle, 'x'))).toBe(circle);
});

test.skipIf(!isRoot)('a path is not safe through a folder or a link of another user', () => {
  using place = new Place();
  const theirs = place.folder('theirs', 0o755, NOBODY);
  const sticky = place.folder('theirs-sticky', 0o1777, NOBODY);
  const link = place.link('link', place.path, NOBODY);
  for (const path of [theirs, sticky, link]) expect(unsafePart(join(path, 'x'))).toBe(path);
  const group = place.folder('group', 0o775);
  expect(unsafePart(group)).toBeNull();
  chownSync(group, 0, NOBODY);
  expect(unsafePart(group)).toBe(group);
});

test.each([0, 0o002, 0o077])('a folder is made in the first safe parent, with its mode, under umask %o', (umask) => {
  using place = new Place();
  const open = place.folder('open', 0o777);
  const sticky = place.folder('sticky', 0o1777);
  const before = process.umask(umask);
  try {
    const folder = makeOwnFolder([open, join(place.path, 'missing'), sticky], 'x-', 0o711) ?? '';
    expect(folder).toMatch(/\/sticky\/x-[A-Za-z0-9]{6}$/);
    expect(modeOf(folder)).toBe('711');
    expect(readdirSync(open)).toEqual([]);
    expect(takeOwnFolder(folder, 0o700)).toBe(true);
    expect(modeOf(folder)).toBe('700');
    expect(takeOwnFolder(join(sticky, 'named'), 0o711)).toBe(true);
    expect(modeOf(join(sticky, 'named'))).toBe('711');
  } finally {
    process.umask(before);
  }
  expect(makeOwnFolder([open], 'x-', 0o700)).toBeNull();
});

test('what is a link, a file, or open to others is not taken over, nor changed', () => {
  using place = new Place();
  const target = place.folder('target', 0o755);
  const open = place.folder('open', 0o777);
  const link = place.link('link', target);
  writeFileSync(join(place.path, 'file'), '');
  for (const path of [link, open, join(place.path, 'file'), join(open, 'inner')]) {
    expect(takeOwnFolder(path, 0o711), path).toBe(false);
    expect(openOwnFolder(path), path).toBeNull();
  }
  expect([modeOf(target), modeOf(open), existsSync(join(open, 'inner'))]).toEqual(['755', '777', false]);
});

test('a folder is removed with its known files, and stays with anything else', () => {
  using place = new Place();
  const target = place.folder('target', 0o755);
  writeFileSync(join(target, 'known'), '');
  const isKnown = (name: string): boolean => name === 'known';
  const link = place.link('link', target);
  removeOwnFolder(link, isKnown);
  expect(readdirSync(target)).toEqual(['known']);
  symlinkSync(join(place.path, 'outside'), join(target, 'other'));
  writeFileSync(join(place.path, 'outside'), '');
  removeOwnFolder(target, isKnown);
  expect(readdirSync(target)).toEqual(['other']);
  removeOwnFolder(target, () => true);
  expect(
    readdirSync(place.path)
      .map((path) => basename(path))
      .sort(),
  ).toEqual(['link', 'outside']);
});
