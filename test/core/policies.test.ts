import { describe, expect, test } from 'vitest';
import { decideRestart, NO_RESTARTS } from '../../src/core/restart.ts';
import { DEFAULT_RESTART } from '../../src/core/service.ts';
import { waveBudget } from '../../src/core/shutdown.ts';

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
