import { describe, expect, test } from 'vitest';
import { LogPattern } from '../../src/supervisor/log-pattern.ts';

/** What came of these chunks. */
function seen(pattern: string, ...chunks: readonly string[]): readonly string[] {
  const found: string[] = [];
  const looking = new LogPattern(pattern, { matched: () => found.push('matched'), failed: (why) => found.push(why) });
  for (const chunk of chunks) looking.push(Buffer.from(chunk));
  return found;
}

test.each([
  ['listening on', ['now listening on 80\n']],
  ['listening on', ['now liste', 'ning on 80\nlistening on\n']],
  ['^ready \\d+$', ['no\nready 12\nready 13\n', 'ready 14\n']],
  ['(?<=a)b|c', ['ab\n']],
])('%s matches a line, once', (pattern, chunks) => {
  expect(seen(pattern, ...chunks)).toEqual(['matched']);
});

test.each([
  ['listening on', ['listening', ' off\n']],
  ['^ready$', ['ready', 'or not\n', 'almost ready\n']],
  ['a.b', ['a\nb\n']],
])('%s matches no other line', (pattern, chunks) => {
  expect(seen(pattern, ...chunks)).toEqual([]);
});

test('only the first 4 KiB of a line are looked at', () => {
  expect(seen('end', `${'x'.repeat(4_090)}end\n`)).toEqual(['matched']);
  expect(seen('end', `${'x'.repeat(4_096)}end\n`)).toEqual([]);
  expect(seen('e.d', `${'x'.repeat(4_096)}end\n`)).toEqual([]);
});

describe('an expression that takes too long', () => {
  test.each([
    ['(x+x+)+y', `${'x'.repeat(37)}\n`],
    ['^(\\w+\\s?)*$', `${'a'.repeat(4_000)}!\n`],
    ['(.*)*(.*)*(.*)*=', `${'a'.repeat(4_000)}\n`],
  ])('%s is interrupted, and that is told once', (pattern, line) => {
    const began = performance.now();
    expect(seen(pattern, line, line, line)).toEqual([expect.stringContaining(`${pattern} took more than 250ms`)]);
    expect(performance.now() - began).toBeLessThan(3_000);
  });

  test('also when each piece of output takes less than the limit', () => {
    // Of the third degree: some tens of ms a line.
    const line = `${'x'.repeat(150)}\n`;
    const found = seen('x*x*y', ...Array.from({ length: 2_000 }, () => line));
    expect(found).toEqual([
      expect.stringMatching(/took \d+ms for \d+ bytes and was given up; use a simpler expression$/),
    ]);
  });

  test('does not matter when it is a plain text', () => {
    expect(seen('xxxxxxxxy', ...Array.from({ length: 50 }, () => `${'x'.repeat(60_000)}\n`))).toEqual([]);
  });
});
