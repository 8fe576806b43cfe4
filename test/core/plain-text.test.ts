import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { colouredLine, forTerminal, plainJson, plainLine, plainLines } from '../../src/core/plain-text.ts';
import { HOSTILE } from '../kit/hostile.ts';

/** Everything that acts on a terminal beside newline, tab and colours. */
const ACTING = /[\p{Cc}\p{Bidi_Control}\u2028\u2029]/u;
const COLOUR = new RegExp(`${String.fromCharCode(27)}\\[[0-9;:]*m`, 'g');

describe.each(Object.entries(HOSTILE))('%s', (_, text) => {
  test('acts on no terminal as one line', () => {
    expect(plainLine(text).replaceAll('\t', '')).not.toMatch(ACTING);
  });

  test('acts on no terminal as lines, of which only the first begins as ours do', () => {
    const [first = '', ...others] = plainLines(text).split('\n');
    for (const line of [first, ...others]) expect(line.replaceAll('\t', '')).not.toMatch(ACTING);
    for (const line of others) expect(line).toMatch(/^ {2}/);
  });

  test('keeps nothing but colours where these are kept', () => {
    expect(colouredLine(text).replace(COLOUR, '').replaceAll('\t', '')).not.toMatch(ACTING);
    expect(
      forTerminal(text)
        .replace(COLOUR, '')
        .replace(/[\t\n]/g, ''),
    ).not.toMatch(ACTING);
  });

  test('is the same text in JSON that acts on no terminal', () => {
    const json = plainJson(JSON.stringify({ text }));
    expect(json).not.toMatch(ACTING);
    expect(JSON.parse(json)).toEqual({ text });
  });
});

test.each([
  ['plain text, with ünicode and 日本語', 'plain text, with ünicode and 日本語'],
  ['a\tb', 'a\tb'],
  ['one\ntwo', 'one^Jtwo'],
  ['\u001b]0;title\u0007after', 'after'],
  ['\u001b]0;never ended', '^[]0;never ended'],
  ['\u001b\u001b[31m[2J', '^[[2J'],
])('%j is %j as one line', (text, shown) => {
  expect(plainLine(text)).toBe(shown);
});

test('colours end with their line, and a line that ends with CR LF has no CR', () => {
  expect(colouredLine('\u001b[31mred\r')).toBe('\u001b[31mred\u001b[0m');
  expect(colouredLine('plain\r')).toBe('plain');
  expect(colouredLine('over\rwritten')).toBe('over^Mwritten');
});

test('nothing that acts on a terminal comes together when parts of a text are left out', () => {
  const parts = [
    '\u001b',
    '[',
    ']',
    '0',
    ';',
    'm',
    'J',
    '\u0007',
    '\\',
    '\u009b',
    '\u009d',
    '\u009c',
    'P',
    'x',
    '\u202e',
    '\r',
    '\n',
  ];
  const texts = fc.array(fc.constantFrom(...parts), { maxLength: 20 }).map((all) => all.join(''));
  fc.assert(
    fc.property(texts, (text) => {
      expect(plainLine(text)).not.toMatch(ACTING);
      expect(colouredLine(text).replace(COLOUR, '')).not.toMatch(ACTING);
    }),
    { numRuns: 2_000 },
  );
});

test.each(['\u001b]', '\u001b[', '\u001b]x', '\u009d', '\u001b', '\u001bP\u001b', '\u202e', '\u001b[1m', '\u001b[0;'])(
  '64 KiB of %j takes no more than a moment',
  (piece) => {
    const text = piece.repeat((64 * 1024) / piece.length);
    const began = performance.now();
    plainLine(text);
    colouredLine(text);
    plainJson(JSON.stringify(text));
    expect(performance.now() - began).toBeLessThan(1_000);
  },
);
