import stringWidth from 'string-width';
import { expect, test } from 'vitest';
import { fitted, fittedInMiddle, harmless } from '../../src/view/text.ts';

test.each([
  ['plain', 'plain'],
  ['\u001b[31mred\u001b[0m', 'red'],
  ['\u001b]0;a title\u0007text', 'text'],
  ['\u001b[2J\u001b[H\u001b[?1049lgone', 'gone'],
  ['a\tb', 'a       b'],
  ['日本\tb', '日本    b'],
  ['bell\u0007 back\b return\r', 'bell^G back^H return^M'],
  ['an escape alone \u001b', 'an escape alone ^['],
  ['\u009b31m C1', ' C1'],
  ['next\u0085line', 'next\\x85line'],
  ['\u202egnp.exe', 'gnp.exe'],
])('%j is shown as %j', (text, shown) => {
  expect(harmless(text)).toBe(shown);
});

test('of a line without end only its begin is looked at', () => {
  expect(harmless('x'.repeat(10_000_000))).toHaveLength(4_000);
});

test.each([
  ['short', 8, 'short   '],
  ['too long', 5, 'too …'],
  ['日本語', 6, '日本語'],
  ['日本語', 5, '日本…'],
  ['日本語', 4, '日… '],
  ['👍🏽👍🏽', 3, '👍🏽…'],
  ['e\u0301e\u0301e\u0301', 2, 'e\u0301…'],
  ['anything', 0, ''],
  ['日本', 1, '…'],
])('%j in %i columns is %j', (text, width, shown) => {
  expect(fitted(text, width)).toBe(shown);
  expect(stringWidth(fitted(text, width))).toBe(width);
});

test('a long name keeps its begin and its end', () => {
  expect(fittedInMiddle('a-service-with-a-long-name:10', 15)).toBe('a-servi…name:10');
  expect(stringWidth(fittedInMiddle('日本語日本語日本語:10', 10))).toBe(10);
});
