import fc from 'fast-check';
import { expect, test } from 'vitest';
import { FRESH_HEALTH, judge } from '../../src/core/health.ts';

const POLICY = { successThreshold: 2, failureThreshold: 3 };

function verdicts(answers: readonly boolean[], policy = POLICY): readonly string[] {
  let health = FRESH_HEALTH;
  return answers.map((isWell) => {
    const judged = judge(health, isWell, policy);
    health = judged.health;
    return judged.verdict;
  });
}

test('only answers in a row count', () => {
  expect(verdicts([true, false, true, true])).toEqual(['open', 'open', 'open', 'well']);
  expect(verdicts([false, false, true, false, false, false])).toEqual(['open', 'open', 'open', 'open', 'open', 'sick']);
});

test('a threshold of 1 needs one answer', () => {
  expect(verdicts([true, false], { successThreshold: 1, failureThreshold: 1 })).toEqual(['well', 'sick']);
});

test('a verdict is what the last answers alone say', () => {
  const threshold = fc.integer({ min: 1, max: 5 });
  const policies = fc.record({ successThreshold: threshold, failureThreshold: threshold });
  fc.assert(
    fc.property(fc.array(fc.boolean(), { minLength: 1 }), policies, (answers, policy) => {
      const alike = (count: number, isWell: boolean) =>
        answers.length >= count && answers.slice(-count).every((answer) => answer === isWell);
      const expected = alike(policy.successThreshold, true)
        ? 'well'
        : alike(policy.failureThreshold, false)
          ? 'sick'
          : 'open';
      expect(verdicts(answers, policy).at(-1)).toBe(expected);
    }),
  );
});
