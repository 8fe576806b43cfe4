import { expect, test } from 'vitest';
import { assignmentValue, commandValue, plainValue, unitName, unitText } from '../../src/interop/unit-file.ts';

test('comments stand on lines of their own, sections in their order', () => {
  const text = unitText(
    ['above'],
    [
      { name: 'Unit', entries: [{ key: 'Description', value: 'x' }] },
      { name: 'Service', entries: [{ key: 'Type', value: 'notify', comment: 'why' }] },
    ],
  );
  expect(text).toBe('# above\n\n[Unit]\nDescription=x\n\n[Service]\n# why\nType=notify\n');
});

test('words of a command stay what they are', () => {
  expect(commandValue(['/usr/bin/node', '50%', '$HOME', 'a b', 'say "hi"', 'back\\slash', '', 'two\nlines'])).toBe(
    '/usr/bin/node 50%% $$HOME "a b" "say \\"hi\\"" "back\\\\slash" "" "two\\nlines"',
  );
});

test('a variable with its value', () => {
  expect(assignmentValue('PATH', '/a b:/c%d')).toBe('"PATH=/a b:/c%%d"');
});

test('a text has one line and no specifiers', () => {
  expect(plainValue('100 %\n  and more')).toBe('100 %% and more');
});

test.each([
  ['shop', 'shop'],
  ['my shop', 'my\\x20shop'],
  ['a.b', 'a.b'],
  ['.a', '\\x2ea'],
  ['ü', '\\xc3\\xbc'],
])('the unit of %s is %s', (name, expected) => {
  expect(unitName(name)).toBe(expected);
});
