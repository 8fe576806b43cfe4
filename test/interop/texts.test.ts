/** The writers: whatever a text holds, readers of YAML and HCL get it back. */
import fc from 'fast-check';
import { parseToObject } from 'hcl2-parser';
import { expect, test } from 'vitest';
import { parse } from 'yaml';
import { attribute, block, comment, hclString, hclText } from '../../src/interop/hcl.ts';
import { COMMENT, literal, quoted, type YamlValue, yamlText } from '../../src/interop/yaml.ts';
import { anyText } from '../kit/specs.ts';

/** HCL2's quoted templates, read by the letter of its specification; a template in it is an error. */
function readHcl(text: string): string {
  if (!/^".*"$/s.test(text)) throw new Error('no quotes');
  const inside = text.slice(1, -1);
  let value = '';
  for (let at = 0; at < inside.length; ) {
    const rest = inside.slice(at);
    const escaped = /^\\([nrt"\\]|u[0-9a-f]{4})/.exec(rest);
    const doubled = /^(?:\$\$|%%)\{/.exec(rest);
    if (escaped?.[1]) {
      value += JSON.parse(`"${escaped[0]}"`);
      at += escaped[0].length;
    } else if (doubled) {
      value += doubled[0].slice(1);
      at += doubled[0].length;
    } else if (/^[\\"\n\r]|^[$%]\{/.test(rest)) {
      throw new Error(`not literal at ${at}: ${rest}`);
    } else {
      value += inside[at];
      at++;
    }
  }
  return value;
}

const signs = fc
  .array(fc.constantFrom('$', '%', '{', '}', '\\', '"', '\n', 'u0024', 'a', '~'), { maxLength: 8 })
  .map((all) => all.join(''));
const text = fc.oneof(anyText, signs);

test('any text is a literal of HCL', () => {
  fc.assert(
    fc.property(text, (one) => {
      expect(readHcl(hclString(one))).toBe(one);
    }),
    { numRuns: 2000 },
  );
});

/** HCL's strings are composed (NFC) when they are read; nothing in its syntax keeps others. */
const composed = text.map((one) => one.normalize('NFC'));

test("HashiCorp's own parser reads any text as it was", () => {
  fc.assert(
    fc.property(fc.array(composed, { minLength: 1, maxLength: 30 }), (all) => {
      const body = [
        comment('a # comment "'),
        attribute('list', all),
        block('b', ['x y'], [attribute('map', { 'k.1': all[0] ?? '' })]),
      ];
      const [value, problem] = parseToObject(hclText(body));
      expect(problem).toBeNull();
      expect(value).toEqual({ list: all, b: { 'x y': [{ map: { 'k.1': all[0] } }] } });
    }),
    { numRuns: 60 },
  );
});

test('HCL is laid out as hclfmt does it', () => {
  const body = [
    block(
      'job',
      ['shop'],
      [
        attribute('type', 'service'),
        attribute('datacenters', ['*', 'a"b']),
        comment('why'),
        block('group', ['api'], [attribute('count', 2), block('network', [], []), attribute('env', { 'a.b': 'c' })]),
      ],
    ),
  ];
  expect(hclText(body)).toBe(`job "shop" {
  type        = "service"
  datacenters = ["*", "a\\"b"]
  # why
  group "api" {
    count = 2

    network {}

    env = {
      "a.b" = "c"
    }
  }
}
`);
});

const versions = ['1.1', '1.2'] as const;

test.each(versions)('a reader of YAML %s gets any text back, as key and as value', (version) => {
  const words = fc.stringMatching(/^[a-zA-Z0-9:._/+~=-]{0,6}$/);
  const any = fc.oneof(
    text,
    words,
    fc.constantFrom(
      'yes',
      'e0',
      '1e3',
      '0x1',
      '1:30',
      '.inf',
      '<<',
      '=',
      'null',
      '---',
      '...',
      '-',
      '? a',
      '\u0085\u2028',
    ),
  );
  fc.assert(
    fc.property(any, (one) => {
      const key = one === '__proto__' ? 'x' : one;
      const value = {
        [`k${key}`]: [one, { plain: one, quoted: quoted(one), literal: literal(one), [COMMENT]: ['c # "'] }],
      };
      const read = parse(yamlText(value as { [key: string]: YamlValue }), { version });
      expect(read).toEqual({ [`k${key}`]: [one, { plain: one, quoted: one, literal: one }] });
      expect(parse(yamlText({ [key]: 1 }), { version, mapAsMap: true })).toEqual(new Map([[key, 1]]));
    }),
    { numRuns: 2000 },
  );
});

test('numbers, words and texts in YAML look as people write them', () => {
  const value = {
    name: 'api',
    image: 'ghcr.io/me/app:1',
    replicas: 2,
    command: ['node', '--port', '012', 'yes'],
    none: undefined,
    env: [{ name: 'A', value: quoted('b'), [COMMENT]: ['a comment'] }],
    text: literal('a: 1\nb: 2\n'),
    [COMMENT]: ['at the end'],
  };
  expect(yamlText(value)).toBe(`name: api
image: ghcr.io/me/app:1
replicas: 2
command: [node, --port, "012", "yes"]
env:
- name: A
  value: "b"
  # a comment
text: |
  a: 1
  b: 2
# at the end
`);
});
