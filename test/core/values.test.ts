import { describe, expect, test } from 'vitest';
import { formatDuration, parseDuration } from '../../src/core/duration.ts';
import { findCycle, stopWaves, withDependencies } from '../../src/core/graph.ts';
import { isServiceName, nearest } from '../../src/core/name.ts';
import { decideRestart, NO_RESTARTS } from '../../src/core/restart.ts';
import { DEFAULT_RESTART } from '../../src/core/service.ts';
import { waveBudget } from '../../src/core/shutdown.ts';
import { parseSignal, signalNumber } from '../../src/core/signal.ts';
import { formatSize, parseSize } from '../../src/core/size.ts';

test.each([
  ['500ms', 500],
  ['10s', 10_000],
  ['1m30s', 90_000],
  ['1.5h', 5_400_000],
  ['250', 250],
  ['10 s', null],
  ['-1s', null],
  ['s', null],
  ['60d', null],
])('the duration %s is %s ms', (text, ms) => expect(parseDuration(text)).toBe(ms));

test.each([
  [0, '0ms'],
  [999, '999ms'],
  [1_500, '1.5s'],
  [10_000, '10s'],
  [90_000, '1m30s'],
  [3_600_000, '1h'],
])('%i ms reads %s', (ms, text) => expect(formatDuration(ms)).toBe(text));

test.each([
  ['300MB', 300_000_000],
  ['64KiB', 65_536],
  ['1G', 1_073_741_824],
  ['12', 12],
  ['12 apples', null],
])('the size %s is %s bytes', (text, bytes) => expect(parseSize(text)).toBe(bytes));

test('a size reads short', () => expect(formatSize(1_572_864)).toBe('1.5MiB'));

test('a signal goes by name, short name and number', () => {
  expect(['SIGTERM', 'term', '15', 15].map(parseSignal)).toEqual(Array(4).fill('SIGTERM'));
  expect(parseSignal('SIGNOPE')).toBe(null);
  expect(signalNumber('SIGKILL')).toBe(9);
});

test('names', () => {
  expect([isServiceName('api-1.x'), isServiceName('all'), isServiceName('a b'), isServiceName('')]).toEqual([
    true,
    false,
    false,
    false,
  ]);
  expect(nearest('grase', ['grace', 'signal'])).toBe('grace');
  expect(nearest('xyz', ['grace', 'signal'])).toBe(null);
});

describe('dependencies', () => {
  const dependencies = { web: ['api'], api: ['db', 'cache'], db: [], cache: ['db'], job: ['db'] };
  test('stop in waves, in reverse', () => {
    expect(stopWaves(dependencies)).toEqual([['web', 'job'], ['api'], ['cache'], ['db']]);
  });
  test('bring what they need', () => expect(withDependencies(['job'], dependencies)).toEqual(['db', 'job']));
  test('name a cycle with its path', () => {
    expect(findCycle(dependencies)).toBe(null);
    expect(findCycle({ x: ['a'], a: ['b'], b: ['c'], c: ['a'] })).toEqual(['a', 'b', 'c', 'a']);
  });
});

describe('the budget of a wave', () => {
  test('is what it needs when there is enough', () => expect(waveBudget([10_000, 10_000], 30_000)).toBe(10_000));
  test('leaves every later wave its floor', () => expect(waveBudget([60_000, 10_000, 500], 30_000)).toBe(28_500));
  test('grows by what earlier waves left', () => expect(waveBudget([60_000], 29_000)).toBe(29_000));
  test('is an equal share when there is too little', () => expect(waveBudget([9_000, 9_000], 1_000)).toBe(500));
});

describe('the restart policy', () => {
  const end = { at: 100_000, ranMs: 100, exitCode: 1, cause: 'exit 1', isFailure: false, random: 0.5 };
  const delays = (ranMs: number, policy = DEFAULT_RESTART): unknown[] => {
    let history = NO_RESTARTS;
    return Array.from({ length: 12 }, (_, n) => {
      const decision = decideRestart(policy, history, { ...end, ranMs, at: n * 120_000 });
      if (decision.kind !== 'restart') return decision.kind;
      history = decision.history;
      return decision.delayMs;
    });
  };
  test('doubles from 250 ms up to 60 s', () => {
    expect(delays(100)).toEqual([250, 500, 1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000, 60_000, 60_000]);
  });
  test('is immediate after a run of 30 s', () => expect(new Set(delays(30_000))).toEqual(new Set([0])));
  test('with minDelay 0 is immediate always', () => {
    expect(new Set(delays(100, { ...DEFAULT_RESTART, minDelayMs: 0 }))).toEqual(new Set([0]));
  });
  test('spreads by 20 % either way', () => {
    const at = (random: number) => decideRestart(DEFAULT_RESTART, NO_RESTARTS, { ...end, random });
    expect([at(0), at(0.999999)]).toMatchObject([{ delayMs: 200 }, { delayMs: 300 }]);
  });
});
