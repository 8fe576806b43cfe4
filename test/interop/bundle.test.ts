/** The file inside of a bundle: as it was written, but for secrets. */
import { expect, test } from 'vitest';
import { bundleOf } from '../../src/interop/bundle.ts';
import { teller } from '../../src/interop/export.ts';

function bundled(text: string, variables: Record<string, string> = {}, name = 'supervisor.yaml') {
  return bundleOf({ name, folder: '/x', text, variables }, teller([], null));
}

test('a file without secrets stays letter by letter', () => {
  const text = '# a comment\nservices:\n  api: { command:   x, env: { A: "1" } } # another\n';
  expect(bundled(text)).toEqual({ text, env: [], secrets: [], written: [] });
});

test('a secret in env, in words and in a line becomes a reference at its place', () => {
  const text = `services:
  a:
    env: { DB_PASSWORD: 'pass: word', OTHER: x } # kept
    command: [run, --token, abc, "pass: word"]
  b:
    env:
      DB_PASSWORD: |
        another
      URL: postgres://me:pw@host/
    command: run --token def
`;
  const bundle = bundled(text);
  expect(bundle.text).toBe(`services:
  a:
    env: { DB_PASSWORD: "\${DB_PASSWORD}", OTHER: x } # kept
    command: [run, --token, "\${TOKEN}", "\${DB_PASSWORD}"]
  b:
    env:
      DB_PASSWORD: "\${DB_PASSWORD_2}"
      URL: "\${URL}"
    command: "run --token \${TOKEN_2}"
`);
  expect(bundle.written).toEqual(['DB_PASSWORD', 'DB_PASSWORD_2', 'URL', 'TOKEN', 'TOKEN_2']);
  expect(bundle.secrets).toEqual(bundle.written);
});

test('references stay, and what they need is named; comments need nothing', () => {
  const text = `# \${NOT_THIS}
services:
  a:
    command: run \${MODE} --token \${TOKEN}
    env: { PORT: \${PORT:-3000}, DB_PASSWORD: "\${DB_PASSWORD}", PLAIN: "$\${X}" }
`;
  const variables = { MODE: 'fast', TOKEN: 'abc', DB_PASSWORD: 'def', NOT_THIS: '1', X: '2' };
  expect(bundled(text, variables)).toEqual({
    text,
    env: [['MODE', 'fast']],
    secrets: ['TOKEN', 'DB_PASSWORD'],
    written: [],
  });
});

test('a password beside a reference is hidden, a service may be called env, and names that are taken stay free', () => {
  const text = `services:
  env:
    command: run --url db://me:pw@\${HOST}/x --token abc
    env: { A: "\${TOKEN}" }
`;
  expect(bundled(text, { HOST: 'h', TOKEN: 'def' }).text).toBe(`services:
  env:
    command: "run --url db://me:\${PASSWORD}@\${HOST}/x --token \${TOKEN_2}"
    env: { A: "\${TOKEN}" }
`);
});

test('a variable that quotes the secret of another one refers to it', () => {
  const text = 'services: { a: { command: x, env: { PLAIN: "<abcdef>", API_KEY: abcdef, NO: "no" } } }\n';
  expect(bundled(text).text).toBe(
    'services: { a: { command: x, env: { PLAIN: "<${API_KEY}>", API_KEY: "${API_KEY}", NO: "no" } } }\n',
  );
});

test('a default that is a secret is none any more', () => {
  expect(bundled('services: { a: { command: x, env: { API_KEY: "${API_KEY:-abcdef}" } } }\n').text).toBe(
    'services: { a: { command: x, env: { API_KEY: "${API_KEY}" } } }\n',
  );
});
