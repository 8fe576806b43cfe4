import {
  chmodSync,
  chownSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { ShuttingDownError } from '../../src/app/index.ts';
import { Folder } from '../kit/gsup.ts';
import { Watched } from '../kit/shutdowns.ts';

test('a state is restored at the start and saved at shutdown, in folders that may be missing', async () => {
  using folder = new Folder();
  const file = join(folder.path, 'deep/er/queue.json');
  using first = new Watched();
  const queue: string[] = await first.shutdown.persist('queue', { file, save: () => queue, fallback: [] });
  expect(queue).toEqual([]);
  queue.push('a', 'b');
  expect(await first.shutdown.begin()).toMatchObject({ exitCode: 0, states: [{ name: 'queue', outcome: 'done' }] });
  expect(readdirSync(join(folder.path, 'deep/er'))).toEqual(['queue.json']);
  using second = new Watched();
  expect(await second.shutdown.persist('queue', { file, save: () => null })).toEqual(['a', 'b']);
});

test('without a file and a fallback there is no state', async () => {
  using folder = new Folder();
  using watched = new Watched();
  const file = join(folder.path, 'none.json');
  expect(await watched.shutdown.persist('none', { file, save: () => 1 })).toBeUndefined();
});

test('a state is saved after the work has ended, and before the hooks', async () => {
  using folder = new Folder();
  using watched = new Watched();
  const order: string[] = [];
  const file = join(folder.path, 'state.json');
  await watched.shutdown.persist('state', { file, save: async () => order.push('saved') });
  watched.shutdown.hook('db', () => void order.push('closed'));
  const release = watched.shutdown.track();
  const report = watched.shutdown.begin();
  await watched.entered('waiting');
  order.push('work has ended');
  release();
  await report;
  expect(order).toEqual(['work has ended', 'saved', 'closed']);
});

test('a broken file is kept aside and told', async () => {
  using folder = new Folder({ 'state.json': '{"half":' });
  using watched = new Watched();
  const file = join(folder.path, 'state.json');
  expect(await watched.shutdown.persist('state', { file, save: () => ({ whole: 1 }), fallback: { whole: 0 } })).toEqual(
    {
      whole: 0,
    },
  );
  const [aside = ''] = readdirSync(folder.path);
  expect(aside).toMatch(/^state\.json\.broken-\d+$/);
  expect(readFileSync(join(folder.path, aside), 'utf8')).toBe('{"half":');
  expect(watched.records.all.map(({ msg }) => msg)).toEqual([
    expect.stringMatching(
      /^cannot restore "state" from .*state\.json: .*; the file is kept as .*state\.json\.broken-\d+$/,
    ),
  ]);
  await watched.shutdown.begin();
  expect(readFileSync(file, 'utf8')).toBe('{"whole":1}');
});

test('several states are saved; one that fails, one that hangs and one with nothing to save are named, their files kept', async () => {
  using folder = new Folder({ 'a.json': '1', 'b.json': '2', 'c.json': '3', 'd.json': '4' });
  using watched = new Watched();
  const file = (name: string): string => join(folder.path, `${name}.json`);
  const state = (name: string, save: () => unknown) =>
    watched.shutdown.persist(name, { file: file(name), save, timeout: '50ms' });
  expect(await state('a', () => 'new')).toBe(1);
  await state('b', () => Promise.reject(new Error('no')));
  await state('c', () => new Promise(() => {}));
  await state('d', () => undefined);
  const report = await watched.shutdown.begin();
  expect(Object.fromEntries(report.states.map(({ name, outcome }) => [name, outcome]))).toEqual({
    a: 'done',
    b: 'failed',
    c: 'late',
    d: 'failed',
  });
  expect(report.exitCode).toBe(1);
  expect(['a', 'b', 'c', 'd'].map((name) => readFileSync(file(name), 'utf8'))).toEqual(['"new"', '2', '3', '4']);
  expect(readdirSync(folder.path)).toHaveLength(4);
});

test('a file that is there and cannot be read is an error, and is not overwritten', async () => {
  using folder = new Folder();
  using watched = new Watched();
  await expect(watched.shutdown.persist('state', { file: folder.path, save: () => 1 })).rejects.toThrow(
    /^cannot restore "state" from .*: EISDIR/,
  );
  expect(await watched.shutdown.begin()).toMatchObject({ exitCode: 0, states: [] });
});

test('a folder that cannot be written is told', async () => {
  using folder = new Folder({ wall: '' });
  using watched = new Watched();
  const file = join(folder.path, 'wall/state.json');
  await expect(watched.shutdown.persist('state', { file, save: () => 1 })).rejects.toThrow('ENOTDIR');
  chmodSync(folder.path, 0o700);
  expect(existsSync(file)).toBe(false);
});

test('two states in one file, and one name twice, are refused', async () => {
  using folder = new Folder();
  using watched = new Watched();
  const file = join(folder.path, 'state.json');
  await watched.shutdown.persist('one', { file, save: () => 1 });
  await expect(watched.shutdown.persist('two', { file, save: () => 2 })).rejects.toThrow(
    `cannot persist "two" in ${file}: "one" is kept in ${file} already`,
  );
});

test('a state that hangs leaves time to the hooks', async () => {
  using folder = new Folder();
  using watched = new Watched({ timeout: 400 });
  const left: number[] = [];
  const file = join(folder.path, 'state.json');
  await watched.shutdown.persist('hanging', { file, save: () => new Promise(() => {}) });
  watched.shutdown.hook('db', ({ remainingMs }) => void left.push(remainingMs));
  await watched.shutdown.begin();
  expect(left[0]).toBeGreaterThan(10);
});

test('a state that comes when all have been saved is refused', async () => {
  using folder = new Folder();
  using watched = new Watched();
  const file = join(folder.path, 'late.json');
  let refusal: unknown;
  watched.shutdown.hook('db', async () => {
    refusal = await watched.shutdown.persist('late', { file, save: () => 1 }).catch((error: unknown) => error);
  });
  await watched.shutdown.begin('SIGTERM');
  expect(refusal).toBeInstanceOf(ShuttingDownError);
  expect(refusal).toHaveProperty('message', 'cannot persist "late": the app is shutting down (SIGTERM)');
});

test('a state keeps the mode of its file', async () => {
  using folder = new Folder();
  using watched = new Watched();
  const file = folder.write('secret.json', '1');
  chmodSync(file, 0o600);
  await watched.shutdown.persist('secret', { file, save: () => 2 });
  await watched.shutdown.begin();
  expect((statSync(file).mode & 0o777).toString(8)).toBe('600');
});

test.each([0, 0o002])('a new state is for its owner alone to write, under umask %o', async (umask) => {
  using folder = new Folder();
  const file = join(folder.path, 'deep/queue.json');
  const before = process.umask(umask);
  try {
    using watched = new Watched();
    await watched.shutdown.persist('queue', { file, save: () => [1], fallback: [] });
    await watched.shutdown.begin();
  } finally {
    process.umask(before);
  }
  expect((statSync(file).mode & 0o777).toString(8)).toBe('644');
  expect((statSync(join(folder.path, 'deep')).mode & 0o777).toString(8)).toBe('755');
});

test('what lies at the name of a temporary file of this process is neither followed nor overwritten', async () => {
  using folder = new Folder({ victim: 'precious' });
  const file = join(folder.path, 'queue.json');
  const planted = `${file}.${process.pid}.tmp`;
  symlinkSync(join(folder.path, 'victim'), planted);
  using watched = new Watched();
  await watched.shutdown.persist('queue', { file, save: () => [1], fallback: [] });
  await watched.shutdown.begin();
  expect(readFileSync(join(folder.path, 'victim'), 'utf8')).toBe('precious');
  expect(lstatSync(planted).isSymbolicLink()).toBe(true);
  expect(JSON.parse(readFileSync(file, 'utf8'))).toEqual([1]);
  expect(lstatSync(file).isFile()).toBe(true);
});

test.skipIf(process.getuid?.() !== 0)('a state does not take over the special bits of the file before it', async () => {
  using folder = new Folder({ 'queue.json': '[]' });
  const file = join(folder.path, 'queue.json');
  chownSync(file, 65_534, 65_534);
  chmodSync(file, 0o6755);
  using watched = new Watched();
  await watched.shutdown.persist('queue', { file, save: () => [1] });
  await watched.shutdown.begin();
  const { uid, mode } = statSync(file);
  expect([uid, (mode & 0o7777).toString(8)]).toEqual([65_534, '755']);
});

test('a state keeps the mode of its file although that was broken', async () => {
  using folder = new Folder();
  using watched = new Watched();
  const file = folder.write('secret.json', '{"half":');
  chmodSync(file, 0o600);
  await watched.shutdown.persist('secret', { file, save: () => 2 });
  await watched.shutdown.begin();
  expect((statSync(file).mode & 0o777).toString(8)).toBe('600');
});

test.each([
  ['a file', '"old"'],
  ['where nothing is yet', null],
])('a link to %s stays, and what it leads to is replaced', async (_name, content) => {
  using folder = new Folder();
  using watched = new Watched();
  const file = join(folder.path, 'state.json');
  const target = join(folder.path, 'data/real.json');
  mkdirSync(join(folder.path, 'data'));
  symlinkSync('data/real.json', file);
  if (content !== null) writeFileSync(target, content);
  await watched.shutdown.persist('state', { file, save: () => 'new' });
  expect(await watched.shutdown.begin()).toMatchObject({ exitCode: 0 });
  expect(readlinkSync(file)).toBe('data/real.json');
  expect(readFileSync(target, 'utf8')).toBe('"new"');
  expect(readdirSync(join(folder.path, 'data'))).toEqual(['real.json']);
});
