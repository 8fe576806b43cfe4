import { expect, test } from 'vitest';
import { splitWords } from '../../src/config/words.ts';

test.each([
  ['node app.js --port 3000', ['node', 'app.js', '--port', '3000']],
  ["nginx  -g 'daemon off;'", ['nginx', '-g', 'daemon off;']],
  ['a "b c" \'d"e\' f\\ g', ['a', 'b c', 'd"e', 'f g']],
  ['a "" b', ['a', '', 'b']],
  ['a"b"\'c\'', ['abc']],
  ['a "\\"\\\\\\$\\n"', ['a', '"\\$\\n']],
  ["a '$HOME | x'", ['a', '$HOME | x']],
  ['a \\| b', ['a', '|', 'b']],
])('%s', (text, words) => {
  expect(splitWords(text)).toEqual({ ok: true, words });
});

test.each([...'|&;<>()$`'])('an unquoted %s needs a shell', (letter) => {
  expect(splitWords(`a ${letter}b`)).toEqual({ ok: false, problem: `needs a shell for ${letter}` });
});

test.each([
  ['', 'is empty'],
  ['  ', 'is empty'],
  ['a\nb', 'needs a shell for its line break'],
  ['a "b', 'has no closing "'],
  ["a 'b", "has no closing '"],
  ['a \\', 'ends with a backslash'],
])('%j is no command line', (text, problem) => {
  expect(splitWords(text)).toEqual({ ok: false, problem });
});
