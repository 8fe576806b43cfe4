import { expect, test } from 'vitest';
import { row } from '../../bench/kit/row.mjs';
import { median, quantile, ratios, summary } from '../../bench/kit/statistics.mjs';

test('the median of an even number of samples lies between the middle two', () => {
  expect(median([4, 1, 3, 2])).toBe(2.5);
  expect(median([3, 1, 2])).toBe(2);
});

test('a summary has the ends, the middle half and its width', () => {
  expect(summary([5, 1, 2, 4, 3])).toEqual({
    samples: [5, 1, 2, 4, 3],
    median: 3,
    min: 1,
    max: 5,
    q1: 2,
    q3: 4,
    iqr: 2,
  });
  expect(quantile([7], 0.25)).toBe(7);
});

test('a ratio is of the samples of the same moment', () => {
  expect(ratios([10, 40], [5, 20])).toEqual([2, 2]);
  expect(ratios([10, 20, 30], [5, 15])).toEqual([1, 2, 3]);
});

test('a goal for a ratio is held against the median ratio', () => {
  const of = (gsup: number[]) =>
    row({
      id: 'ls',
      title: 'ls',
      samples: { gsup },
      reference: { name: 'node', samples: { gsup: [10, 10, 10] } },
      goal: { ratio: { atMost: 1.5 } },
    }).supervisors['gsup'];
  expect(of([14, 15, 99])).toMatchObject({ isMet: true, ratio: { median: 1.5 } });
  expect(of([14, 16, 17])).toMatchObject({ isMet: false });
});

test('a goal for a value and for a ratio is met by both only', () => {
  const of = (gsup: number) =>
    row({
      id: 'start',
      title: 'start',
      samples: { gsup: [gsup], s6: [0.2] },
      reference: { peer: 's6' },
      goal: { value: { atMost: 0.35 }, ratio: { atMost: 1 } },
    }).supervisors['gsup']?.isMet;
  expect([of(0.1), of(0.3), of(0.4)]).toEqual([true, false, false]);
});

test('of counts the sum is held against the goal, not the median', () => {
  const failed = row({
    id: 'f',
    title: 'f',
    isCount: true,
    samples: { gsup: [0, 0, 1] },
    goal: { value: { atMost: 0 } },
  });
  expect(failed.supervisors['gsup']).toMatchObject({ total: 1, isMet: false });
});

test('nothing is told in multiples of nothing', () => {
  const cpu = row({ id: 'c', title: 'c', samples: { gsup: [1], PM2: [0] }, reference: { peer: 'PM2' } });
  expect(cpu.supervisors['gsup']?.ratio).toBeNull();
});
