import { expect, test } from 'vitest';
import { boundedPhase, boundedReport } from '../../src/core/app-report.ts';

test('an ordinary report is as it was', () => {
  const report = { requests: 3, hooks: ['db'], servers: [{ port: 80, left: { idle: 1 } }], note: null };
  expect(boundedReport(report)).toEqual(report);
});

test('lists and maps in each other without end end', () => {
  const deep = JSON.parse(
    `{"a":${'['.repeat(30_000)}${']'.repeat(30_000)},"b":${'{"x":'.repeat(9_000)}1${'}'.repeat(9_000)}}`,
  );
  expect(() => JSON.stringify(deep)).toThrow(RangeError);
  expect(JSON.stringify(boundedReport(deep)).length).toBeLessThan(200);
});

test('a name that every object has stays a name', () => {
  const report = boundedReport(JSON.parse('{"__proto__": {"requests": 1}, "constructor": 2}'));
  expect(Object.entries(report)).toEqual([
    ['__proto__', { requests: 1 }],
    ['constructor', 2],
  ]);
});

test('the name of a phase is not longer than people read', () => {
  expect(boundedPhase('closing')).toBe('closing');
  expect(boundedPhase('x'.repeat(60_000))).toHaveLength(100);
});
