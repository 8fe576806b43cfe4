import {
  appendFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { initialState, type SupervisorState } from '../../src/core/root-state.ts';
import { step } from '../../src/core/supervisor.ts';
import type { RunIdentity } from '../../src/host/host.ts';
import { changesSince, withChanges } from '../../src/supervisor/changes.ts';
import { type Saved, Store } from '../../src/supervisor/store.ts';
import { serviceSpec } from '../kit/spec.ts';

let folder = '';
let file = '';

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'gsup-changes-'));
  file = join(folder, 'state.json');
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const ENVIRONMENTS = { api: 'e' };
const run = (token: string, pid: number | null): RunIdentity => ({
  token,
  pid,
  startTicks: 8,
  channel: null,
  sockets: {},
});

function saved(state: SupervisorState, runs: Saved['runs'] = {}, more: Partial<Saved> = {}): Saved {
  return { state, runs, bootId: 'boot', clockBase: null, environments: ENVIRONMENTS, file: null, ...more };
}

const asWritten = (state: Saved | null): unknown => JSON.parse(JSON.stringify(state));

/** A life of three services, one event after the other, with the runs that belong to each state. */
function life(): readonly Saved[] {
  const names = ['api', 'web', 'job'];
  const services = names.map((name) => serviceSpec({ name, instances: name === 'api' ? 3 : 1 }));
  let state = initialState({ services, shutdownTimeoutMs: null }, true);
  let runs: Saved['runs'] = {};
  const states = [saved(state)];
  const take = (event: Parameters<typeof step>[1], more: Saved['runs'] = {}): void => {
    [state] = step(state, event, 0.5);
    runs = Object.fromEntries(Object.entries({ ...runs, ...more }).filter(([, one]) => one.token !== 'gone'));
    states.push(saved(state, runs));
  };
  const of = { service: 'api', index: 1, lane: 0 } as const;
  take({ type: 'start', at: 1, services: ['api', 'web'], reason: 'test' }, { 'api:1': run('a', null) });
  take(
    { type: 'instance', of, event: { type: 'spawned', at: 2, run: 1, pid: 7, command: 'x' } },
    { 'api:1': run('a', 7) },
  );
  take({ type: 'instance', of, event: { type: 'exited', at: 3, run: 1, code: 1, signal: null } });
  take({ type: 'stop', at: 4, instances: [{ service: 'web', index: 0 }], reason: 'by hand' });
  take({ type: 'define', at: 5, spec: serviceSpec({ name: 'new' }), reason: 'test', replaces: false });
  take(
    { type: 'define', at: 6, spec: serviceSpec({ name: 'api', instances: 1 }), reason: 'less', replaces: false },
    { 'api:1': run('gone', null) },
  );
  take({ type: 'remove', at: 7, services: ['job'], reason: 'test' });
  take({ type: 'shutdown', at: 8, reason: 'end', signal: null });
  return states;
}

test('the state of before with the changes is the state of now, after every event', () => {
  const states = life();
  for (const [index, now] of states.entries()) {
    const before = states[index - 1];
    if (before === undefined) continue;
    const changes = changesSince(before, now, (slot) => now.runs[slot] ?? null);
    expect(changes).not.toBe(null);
    expect(asWritten(withChanges(before, JSON.parse(JSON.stringify(changes))))).toEqual(asWritten(now));
  }
});

test('where nothing has changed there are no changes', () => {
  const [first] = life();
  if (first === undefined) throw new Error('no state');
  expect(changesSince(first, { ...first }, () => null)).toBe(null);
});

test('of one instance among many only that one is written', () => {
  const many = serviceSpec({ name: 'api', instances: 500 });
  const before = saved(initialState({ services: [many], shutdownTimeoutMs: null }, true));
  const [state] = step(before.state, { type: 'start', at: 1, services: ['api'], indexes: [7], reason: 'test' }, 0.5);
  const started = saved(state);
  const [next] = step(
    state,
    {
      type: 'instance',
      of: { service: 'api', index: 7, lane: 0 },
      event: { type: 'spawned', at: 2, run: 1, pid: 7, command: 'x' },
    },
    0.5,
  );
  const changes = changesSince(started, saved(next), () => run('a', 7));
  expect(Object.keys(changes?.instances?.['api'] ?? {})).toEqual(['7']);
  expect(Object.keys(changes?.runs ?? {})).toEqual(['api:7', 'api:7+']);
  expect(changes?.services).toBe(undefined);
});

/** Each state appended in its turn, by a store that never gets to write anything whole again. */
function keep(states: readonly Saved[]): Store {
  const store = new Store(file);
  for (const state of states) store.append(state, (slot) => state.runs[slot] ?? null);
  return store;
}

test('what was appended is read, whichever was the last', () => {
  const states = life();
  for (let count = 1; count <= states.length; count++) {
    keep(states.slice(0, count));
    expect(asWritten(new Store(file).read().saved)).toEqual(asWritten(states[count - 1] ?? null));
  }
});

test('a store that takes up the changes of the one before loses none of them, and begins anew', () => {
  const states = life();
  for (const state of states) {
    const store = new Store(file);
    store.read();
    store.append(state, () => null);
    const changed = { ...state, file: `${states.indexOf(state)}.yaml` };
    store.append(changed, () => null);
    expect(new Store(file).read().saved?.file).toBe(changed.file);
  }
});

test('a last line that broke off is left out, wherever it did', () => {
  const states = life();
  keep(states);
  const whole = readFileSync(`${file}.changes`, 'utf8');
  const lines = whole.trimEnd().split('\n');
  const from = whole.length - (lines.at(-1)?.length ?? 0) - 1;
  for (let length = from; length < whole.length - 1; length += 41) {
    writeFileSync(`${file}.changes`, whole);
    truncateSync(`${file}.changes`, length);
    const { saved: found, problems } = new Store(file).read();
    expect([asWritten(found), problems]).toEqual([asWritten(states.at(-2) ?? null), []]);
  }
});

test('the changes of another state count for nothing', () => {
  const [first, second] = life();
  if (first === undefined || second === undefined) throw new Error('no states');
  keep([first, second]);
  const changes = readFileSync(`${file}.changes`, 'utf8');
  const store = new Store(file);
  store.read();
  store.write(first);
  writeFileSync(`${file}.changes`, changes);
  expect(asWritten(new Store(file).read().saved)).toEqual(asWritten(first));
});

test('the file is broken: the copy is taken, with the changes since', () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  try {
    const [first, second] = life();
    if (first === undefined || second === undefined) throw new Error('no states');
    const store = new Store(file);
    store.write(first);
    store.flush();
    store.append(second, () => null);
    writeFileSync(file, 'broken');
    expect(new Store(file).read().saved?.state).toEqual(asWritten(second.state as unknown as Saved));
  } finally {
    vi.useRealTimers();
  }
});

test('the changes are for their owner only, and written whole soon after', () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  try {
    const [first, second] = life();
    if (first === undefined || second === undefined) throw new Error('no states');
    const store: Store = new Store(file, () => store.write(second));
    store.append(first, () => null);
    expect(existsSync(`${file}.changes`)).toBe(false);
    store.append(second, () => null);
    expect(statSync(`${file}.changes`).mode & 0o777).toBe(0o600);
    vi.runAllTimers();
    expect(statSync(`${file}.changes`).size).toBe(0);
    expect(JSON.parse(readFileSync(file, 'utf8')).state).toEqual(asWritten(second.state as unknown as Saved));
  } finally {
    vi.useRealTimers();
  }
});

test('changes that the disk refuses are written whole, and told where that is refused too', () => {
  const [first, second, third] = life();
  if (first === undefined || second === undefined || third === undefined) throw new Error('no states');
  const store = new Store(file);
  store.write(first);
  mkdirSync(`${file}.changes`);
  store.append(second, () => null);
  expect(asWritten(new Store(file).read().saved)).toMatchObject({ state: asWritten(second.state as unknown as Saved) });
  mkdirSync(`${file}.tmp`);
  expect(() => store.append(third, () => null)).toThrow('EISDIR');
});

test('rubbish in their place harms nothing', () => {
  const [first] = life();
  if (first === undefined) throw new Error('no state');
  keep([first]);
  for (const text of ['', '\n', 'null\n', '[]\n{}\n', '{"revision":"x"}\n{}\n']) {
    appendFileSync(`${file}.changes`, text);
    expect(asWritten(new Store(file).read().saved)).toEqual(asWritten(first));
  }
});
