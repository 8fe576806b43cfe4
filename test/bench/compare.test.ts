import { expect, test } from 'vitest';
import { compare, comparisonText } from '../../bench/kit/compare.mjs';
import { row } from '../../bench/kit/row.mjs';

type Given = { samples: Record<string, number[]>; [key: string]: unknown };

function results(...rows: Given[]) {
  return { rows: rows.map((given) => row({ id: 'ls', title: 'ls', unit: 'ms', ...given })) };
}

/** gsup's list beside a bare Node that always takes 50 ms. */
function listing(...ratios: number[]) {
  return results({
    samples: { gsup: ratios.map((ratio) => ratio * 50) },
    reference: { name: 'node', samples: ratios.map(() => 50) },
  });
}

test('a ratio that worsened by more than both spreads is told, with what it was and is', () => {
  const found = compare(listing(1.4, 1.5, 1.5, 1.5, 1.6), listing(1.8, 1.9, 1.9, 1.9, 2.0));
  expect(found.worse).toMatchObject([{ id: 'ls', before: 1.5, now: 1.9 }]);
  expect(comparisonText(found)).toBe(
    [
      'compared 1 rows: 1 worse, 0 within the spread, 0 better',
      'worse by more than the spread:',
      '  ls: 1.500 → 1.900 × node (spread 0.000): ls',
    ].join('\n'),
  );
});

test('a ratio that worsened within its spread is not told', () => {
  const found = compare(listing(1.2, 1.4, 1.5, 1.7, 1.9), listing(1.3, 1.5, 1.7, 1.9, 2.1));
  expect(found.worse).toEqual([]);
  expect(found.same).toMatchObject([{ id: 'ls' }]);
});

test('a slower machine with the same ratios is no worse', () => {
  const slow = results({
    samples: { gsup: [300, 300, 300] },
    reference: { name: 'node', samples: [200, 200, 200] },
  });
  expect(compare(listing(1.5, 1.5, 1.5), slow).same).toMatchObject([{ before: 1.5, now: 1.5 }]);
});

test('where more is better, less is worse and more is better', () => {
  const capture = (mb: number) => results({ samples: { gsup: [mb, mb, mb] }, isMoreBetter: true });
  expect(compare(capture(800), capture(700)).worse).toHaveLength(1);
  expect(compare(capture(700), capture(800)).better).toHaveLength(1);
});

test('one failed request more is worse, however few samples there are', () => {
  const failed = (...counts: number[]) => results({ samples: { gsup: counts }, isCount: true });
  expect(compare(failed(0, 0, 0, 0, 0), failed(0, 0, 1, 0, 0)).worse).toMatchObject([{ before: 0, now: 1 }]);
  expect(compare(failed(0), failed(0)).worse).toEqual([]);
});

test('what can not be held against the baseline is named with the reason', () => {
  const skipped = (baseline: Given, now: Given) => compare(results(baseline), results(now)).skipped;
  const beside = (peer: string) => ({ samples: { gsup: [1, 1, 1], [peer]: [2, 2, 2] }, reference: { peer } });
  const own = (...samples: number[]) => ({ samples: { gsup: samples } });
  expect(skipped({ ...own(1), id: 'other' }, own(1))).toEqual([{ id: 'ls', why: 'not in the baseline' }]);
  expect(skipped(own(1), { samples: { PM2: [1] } })).toEqual([{ id: 'ls', why: 'not measured now' }]);
  expect(skipped(own(1, 1), own(1, 1))).toEqual([{ id: 'ls', why: '2 samples are too few' }]);
  expect(skipped(beside('s6'), beside('PM2'))).toEqual([
    { id: 'ls', why: 'its reference is missing or another one (s6 then, PM2 now)' },
  ]);
});

test('a peer that is missing now is told, not taken for a change', () => {
  const peer = { reference: { peer: 's6' } };
  const found = compare(
    results({ samples: { gsup: [1, 1, 1], s6: [2, 2, 2] }, ...peer }),
    results({ samples: { gsup: [9, 9, 9] }, ...peer }),
  );
  expect(found).toMatchObject({ worse: [], skipped: [{ id: 'ls' }] });
});
