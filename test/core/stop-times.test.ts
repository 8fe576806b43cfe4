import { describe, expect, test } from 'vitest';
import { nearMiss, type StopSample, stopSample, stopTimesOf, withSample } from '../../src/core/stop-times.ts';

function stops(count: number, sample: Partial<StopSample> = {}): readonly StopSample[] {
  return Array.from({ length: count }, (_, index) => ({
    ms: 100 * (index + 1),
    graceMs: 10_000,
    share: (index + 1) / 100,
    isKilled: false,
    ...sample,
  }));
}

test('of the last stops the median, the 95th of a hundred and the longest are ones that there were', () => {
  expect(stopTimesOf(stops(100))).toMatchObject({ count: 100, p50Ms: 5_000, p95Ms: 9_500, maxMs: 10_000, killed: 0 });
  expect(stopTimesOf(stops(1))).toMatchObject({ count: 1, p50Ms: 100, p95Ms: 100, maxMs: 100 });
  expect(stopTimesOf([])).toBeNull();
});

test('no more than a hundred are kept, the last ones', () => {
  const [killed] = stops(1, { isKilled: true });
  const all = [...stops(150), ...(killed ? [killed] : [])].reduce(withSample, [] as readonly StopSample[]);
  expect(stopTimesOf(all)).toMatchObject({ count: 100, killed: 1, maxMs: 15_000 });
});

describe('a grace period is suggested', () => {
  test('from ten stops on', () => {
    expect(stopTimesOf(stops(9))?.suggestedGraceMs).toBeNull();
    expect(stopTimesOf(stops(10))?.suggestedGraceMs).toBe(2_000);
  });

  test('above what any stop needed, in whole steps', () => {
    expect(stopTimesOf(stops(20, { share: 0.9 }))?.suggestedGraceMs).toBe(15_000);
    expect(stopTimesOf(stops(20, { share: 0 }))?.suggestedGraceMs).toBe(1_000);
    const sample = { ms: 1, graceMs: 10_000, share: 1, isKilled: true };
    expect(stopTimesOf([...stops(99, { share: 0.01 }), sample])?.suggestedGraceMs).toBe(15_000);
  });
});

describe('who looks at the list is told', () => {
  const warning = (samples: readonly StopSample[]) => {
    const times = stopTimesOf(samples);
    return times === null ? null : nearMiss(times);
  };

  test.each([
    ['nothing below 80%', stops(3, { share: 0.79 }), null],
    [
      'the share from 80% on',
      [...stops(5), ...stops(1, { share: 0.92 })],
      'one of its last 6 stops used 92% of the grace period of 10s',
    ],
    ['of a single one', stops(1, { share: 0.8 }), 'its last stop used 80% of the grace period of 10s'],
    [
      'of SIGKILL',
      [...stops(12), ...stops(2, { share: 1, isKilled: true })],
      '2 of its last 10 stops needed SIGKILL after the grace period of 10s',
    ],
    ['nothing of what was mended ten stops ago', [...stops(3, { isKilled: true, share: 1 }), ...stops(10)], null],
  ])('%s', (_, samples, words) => {
    expect(warning(samples)).toBe(words);
  });
});

test('a stop of what had no process, or no grace period, says nothing of stop times', () => {
  const stopped = { phase: 'stopped', pid: 1, elapsedMs: 5, graceMs: 10, graceUsed: 0.5, verdict: 'clean' } as const;
  expect(stopSample(stopped)).toEqual({ ms: 5, graceMs: 10, share: 0.5, isKilled: false });
  expect(stopSample({ ...stopped, pid: null })).toBeNull();
  expect(stopSample({ ...stopped, graceMs: 0 })).toBeNull();
  expect(stopSample({ ...stopped, phase: 'exited' })).toBeNull();
});
