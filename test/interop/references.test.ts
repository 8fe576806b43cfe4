/** Secrets in command lines: what is taken for one, and what stands there instead. */
import { expect, test } from 'vitest';
import { dnsName, LONGEST_NAME, portName, uniqueNames } from '../../src/interop/names.ts';
import { concealer, render, shellWord, type Text } from '../../src/interop/references.ts';

const shown = (text: Text) =>
  render(
    text,
    (plain) => plain,
    (secret) => `<${secret}>`,
  );

test.each([
  [['run', '--token', 'abc'], 'run --token <TOKEN>'],
  [['run', '--api-token=abc', '--verbose'], 'run --api-token=<API_TOKEN> --verbose'],
  [['env', 'DB_PASSWORD=x', 'run'], 'env DB_PASSWORD=<DB_PASSWORD> run'],
  [['run', 'postgres://me:pw@host/db'], 'run postgres://me:<PASSWORD>@host/db'],
  [['run', 'q://a:p1@h,q://b:p2@h'], 'run q://a:<PASSWORD>@h,q://b:<PASSWORD_2>@h'],
  [['run', 'is-in-env', 'xis-in-envx'], 'run <KEY> x<KEY>x'],
  [['run', '--token', '$TOKEN', '--password', '--quiet'], 'run --token $TOKEN --password --quiet'],
  [
    ['run', '--password', 'a', '--password', 'b', '--password', 'a'],
    'run --password <PASSWORD> --password <PASSWORD_2> --password <PASSWORD>',
  ],
])('%j is %s', (argv, expected) => {
  const hidden = concealer({ KEY: 'is-in-env' });
  expect(hidden.words(argv).map(shown).join(' ')).toBe(expected);
});

test.each([
  ['run --token "abc"; echo done', 'run --token "<TOKEN>"; echo done'],
  ['run --token "$TOKEN"; done', 'run --token "$TOKEN"; done'],
  ['PASSWORD=x  run', 'PASSWORD=<PASSWORD>  run'],
  ['curl https://me:pw@host/ | sh', 'curl https://me:<PASSWORD>@host/ | sh'],
])('the line %s is %s', (line, expected) => {
  expect(shown(concealer({}).line(line))).toBe(expected);
});

test('a word of 128 KiB takes no more than a moment', () => {
  const began = performance.now();
  for (const piece of ['a', 'x://:', 'x://u:p']) concealer({}).words([piece.repeat(18_000)]);
  expect(performance.now() - began).toBeLessThan(1_000);
});

test('a variable of the environment is never the name of another secret', () => {
  const hidden = concealer({ TOKEN: 'first-value', PASSWORD: '' });
  expect(hidden.words(['--token', 'second', '--password', 'third']).map(shown)).toEqual([
    '--token',
    '<TOKEN_2>',
    '--password',
    '<PASSWORD_2>',
  ]);
  expect([...hidden.values()]).toEqual([
    ['TOKEN', 'first-value'],
    ['TOKEN_2', 'second'],
    ['PASSWORD_2', 'third'],
  ]);
});

test('a word for a shell is quoted, its secrets are variables in double quotes', () => {
  expect(shellWord(['plain-1.2:/x'])).toBe('plain-1.2:/x');
  expect(shellWord([''])).toBe("''");
  expect(shellWord(["it's $HOME"])).toBe(`'it'\\''s $HOME'`);
  expect(shellWord(['a b', { secret: 'X' }])).toBe(`'a b'"$X"`);
});

test.each([
  ['api', 'api'],
  ['Shop_API', 'shop-api'],
  ['a.b..c', 'a-b-c'],
  ['1st', 's-1st'],
  ['x-', 'x'],
  ['A'.repeat(64), 'a'.repeat(LONGEST_NAME)],
])('%s is %s in DNS', (name, expected) => {
  expect(dnsName(name)).toBe(expected);
});

test.each([
  ['http', 'http'],
  ['admin_and_metrics', 'admin-and-metri'],
  ['80', 'p-80'],
  ['-.-', 'p'],
])('a port %s is %s', (name, expected) => {
  expect(portName(name)).toBe(expected);
});

test('names that come out the same get numbers', () => {
  const long = 'x'.repeat(64);
  const names = uniqueNames(['a.b', 'a_b', 'A-B', 'a-b-2', long, `${long.slice(1)}y`], dnsName, LONGEST_NAME);
  expect([...names.values()].slice(0, 4)).toEqual(['a-b', 'a-b-2', 'a-b-3', 'a-b-2-2']);
  expect(new Set(names.values()).size).toBe(6);
});
