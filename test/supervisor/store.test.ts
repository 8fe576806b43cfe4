import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { initialState } from '../../src/core/root-state.ts';
import { type Saved, Store } from '../../src/supervisor/store.ts';
import { serviceSpec } from '../kit/spec.ts';

let folder = '';
let file = '';

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'gsup-store-'));
  file = join(folder, 'state.json');
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function saved(...names: readonly string[]): Saved {
  const services = names.map((name) => serviceSpec({ name }));
  return {
    state: initialState({ services, shutdownTimeoutMs: null }, true),
    runs: { 'api:0': { token: 't', pid: 7, startTicks: 8, channel: null, sockets: {} } },
    bootId: 'boot',
    clockBase: 1_700_000_000_000,
    environments: { api: 'e' },
    file: null,
  };
}

/** Writes each, with the copy at once. */
function keep(...states: readonly Saved[]): Store {
  const store = new Store(file);
  for (const state of states) {
    store.write(state);
    store.flush();
  }
  return store;
}

const namesOf = (state: Saved | null) => Object.keys(state?.state.services ?? {});
const asideOf = () => readdirSync(folder).filter((name) => name.includes('.broken-'));

test('what was written is read, whole', () => {
  keep(saved('api'));
  const { saved: found, problems } = new Store(file).read();
  expect(found).toMatchObject(JSON.parse(JSON.stringify(saved('api'))));
  expect(problems).toEqual([]);
});

test('both files are for their owner only, and nothing else is left in the folder', () => {
  keep(saved('api'));
  expect(readdirSync(folder).sort()).toEqual(['state.json', 'state.json.last-good']);
  for (const name of readdirSync(folder)) expect(statSync(join(folder, name)).mode & 0o777).toBe(0o600);
});

test('where nothing is, there is no problem', () => {
  expect(new Store(file).read()).toEqual({ saved: null, problems: [] });
});

test('the copy comes late, by itself', () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  try {
    const store = new Store(file);
    store.write(saved('api'));
    store.write(saved('api', 'web'));
    expect(readdirSync(folder)).toEqual(['state.json']);
    vi.runAllTimers();
    expect(readFileSync(`${file}.last-good`, 'utf8')).toBe(readFileSync(file, 'utf8'));
  } finally {
    vi.useRealTimers();
  }
});

test('the same state is not written twice', () => {
  const store = keep(saved('api'));
  const before = statSync(file).ino;
  store.write(saved('api'));
  expect(statSync(file).ino).toBe(before);
});

test.each([
  ['empty', '', 'Unexpected end of JSON input'],
  ['no JSON', 'garbage', `Unexpected token 'g', "garbage" is not valid JSON`],
  ['a list', '[]', 'it is no map'],
  ['null', 'null', 'it is no map'],
  ['without a format', '{}', 'format undefined, expected 1'],
  ['without its parts', '{"format":1}', 'parts of it are missing'],
  ['without services', '{"format":1,"state":{},"runs":{},"environments":{},"bootId":"b"}', 'parts of it are missing'],
  [
    'with a service without a spec',
    '{"format":1,"state":{"services":{"api":{"instances":[]}}},"runs":{},"environments":{},"bootId":"b"}',
    'the service api has no spec or no instances',
  ],
  [
    'with an instance without a state',
    '{"format":1,"state":{"services":{"api":{"spec":{},"instances":[{}]}}},"runs":{},"environments":{},"bootId":"b"}',
    'the service api has no spec or no instances',
  ],
])('a file that is %s is kept aside, and the copy taken', (_, text, why) => {
  keep(saved('api'));
  writeFileSync(file, text);
  const { saved: found, problems } = new Store(file).read();
  expect(namesOf(found)).toEqual(['api']);
  const [aside = ''] = asideOf();
  expect(problems).toEqual([`${file} is broken (${why}); it is kept as ${join(folder, aside)}`]);
  expect(readFileSync(join(folder, aside), 'utf8')).toBe(text);
});

test('a file that was cut off anywhere is broken, never half a state', () => {
  keep(saved('api', 'web'));
  const whole = readFileSync(file, 'utf8');
  for (let length = 0; length < whole.length - 1; length += 97) {
    writeFileSync(file, whole);
    truncateSync(file, length);
    const { saved: found, problems } = new Store(file).read();
    expect([namesOf(found), problems.length]).toEqual([['api', 'web'], 1]);
  }
});

test('without its file the copy is taken, and said so', () => {
  keep(saved('api'));
  rmSync(file);
  expect(namesOf(new Store(file).read().saved)).toEqual(['api']);
});

test('a broken file without a copy is nothing, and said so', () => {
  writeFileSync(file, 'x');
  const { saved: found, problems } = new Store(file).read();
  expect([found, problems.length, asideOf().length]).toEqual([null, 1, 1]);
});

test('when both are broken both are kept aside, and both said', () => {
  writeFileSync(file, 'x');
  writeFileSync(`${file}.last-good`, 'y');
  const { saved: found, problems } = new Store(file).read();
  expect([found, problems.length, asideOf().length]).toEqual([null, 2, 2]);
});

test('a file that can not be read is said, left where it is, and the copy taken', () => {
  keep(saved('api'));
  rmSync(file);
  mkdirSync(file);
  const { saved: found, problems } = new Store(file).read();
  expect(namesOf(found)).toEqual(['api']);
  expect(problems).toEqual([`cannot read ${file}: EISDIR: illegal operation on a directory, read`]);
});

test('the state of a newer gsup is no broken one: it stays where it is', () => {
  keep(saved('api'));
  for (const name of [file, `${file}.last-good`]) {
    writeFileSync(name, readFileSync(name, 'utf8').replace('"format":1', '"format":2'));
  }
  try {
    new Store(file).read();
  } catch {
    // A refusal to begin is an answer too.
  }
  expect([asideOf(), readdirSync(folder)]).toEqual([[], ['state.json', 'state.json.last-good']]);
});

test('a spec of an older gsup gets the logs that it lacks', () => {
  keep(saved('api'));
  const older = JSON.parse(readFileSync(file, 'utf8'));
  delete older.state.services.api.spec.logs;
  delete older.file;
  writeFileSync(file, JSON.stringify(older));
  const { saved: found } = new Store(file).read();
  expect(found?.file).toBe(null);
  expect(found?.state.services['api']?.spec.logs).toEqual(serviceSpec().logs);
});

test('a disk that refuses is told to who writes, leaves the last state, and no rubbish', () => {
  const store = keep(saved('api'));
  rmSync(file);
  // A full folder in the place of the file refuses the rename, as a full disk refuses the bytes.
  mkdirSync(join(file, 'x'), { recursive: true });
  expect(() => store.write(saved('web'))).toThrow(/EISDIR|ENOTEMPTY|EEXIST/);
  expect(readdirSync(folder).sort()).toEqual(['state.json', 'state.json.last-good']);
  rmSync(file, { recursive: true });
  store.write(saved('web'));
  store.flush();
  expect(namesOf(new Store(file).read().saved)).toEqual(['web']);
});

test.skipIf(!existsSync('/dev/full'))('a disk that is full is told, and keeps the state of before', () => {
  const store = keep(saved('api'));
  symlinkSync('/dev/full', `${file}.tmp`);
  expect(() => store.write(saved('web'))).toThrow('ENOSPC');
  expect(readdirSync(folder).sort()).toEqual(['state.json', 'state.json.last-good']);
  expect(namesOf(new Store(file).read().saved)).toEqual(['api']);
  store.write(saved('web'));
  store.flush();
  expect(namesOf(new Store(file).read().saved)).toEqual(['web']);
});

test('a copy that can not be written stops nobody, and is tried again at the next write', () => {
  const store = new Store(file);
  mkdirSync(join(`${file}.last-good`, 'x'), { recursive: true });
  store.write(saved('api'));
  expect(() => store.flush()).not.toThrow();
  rmSync(`${file}.last-good`, { recursive: true });
  store.write(saved('web'));
  store.flush();
  expect(readFileSync(`${file}.last-good`, 'utf8')).toBe(readFileSync(file, 'utf8'));
});

test('a folder that can not be written does not keep a broken file from being told', () => {
  writeFileSync(file, 'x');
  mkdirSync(join(folder, 'guard'));
  vi.useFakeTimers({ now: 0 });
  try {
    // The name that it would be kept as is taken by a folder: the rename fails, as in a folder without write access.
    mkdirSync(join(`${file}.broken-1970-01-01T00-00-00-000Z`, 'x'), { recursive: true });
    expect(new Store(file).read().problems).toHaveLength(1);
  } finally {
    vi.useRealTimers();
  }
});
