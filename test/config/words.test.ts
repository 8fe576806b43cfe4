import { expect, test } from 'vitest';
import { splitWords } from '../../src/config/words.ts';

test.each([
  ['node server.js --port 3000', ['node', 'server.js', '--port', '3000']],
  [`sh -c 'echo "a b"; exit'`, ['sh', '-c', 'echo "a b"; exit']],
  ['a "b \\"c\\" d" e\\ f', ['a', 'b "c" d', 'e f']],
  [`"" ''`, ['', '']],
  ['a"b"c', ['abc']],
])('%s', (line, words) => {
  expect(splitWords(line)).toEqual({ ok: true, words });
});

test.each([
  ['a | b', 'needs a shell for |'],
  ['a && b', 'needs a shell for &'],
  ['echo $HOME', 'needs a shell for $'],
  ['a "b', 'has no closing "'],
  ['  ', 'is empty'],
])('%s: %s', (line, problem) => {
  expect(splitWords(line)).toEqual({ ok: false, problem });
});
