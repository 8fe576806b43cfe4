import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  masked,
  maskedCommand,
  maskedRecord,
  maskedSpec,
  maskedTexts,
  maskedValue,
  secretValues,
  withoutSecrets,
} from '../../src/core/secrets.ts';
import { serviceSpec } from '../kit/spec.ts';

const MASK = '********';

describe('a variable', () => {
  test.each([
    'PASSWORD',
    'DB_PASSWORD',
    'PGPASSWORD',
    'MYSQL_ROOT_PASSWD',
    'SSH_PASSPHRASE',
    'SECRET',
    'SECRET_KEY_BASE',
    'CLIENT_SECRET',
    'API_KEY',
    'APIKEY',
    'STRIPE_KEY',
    'KEY',
    'AWS_SECRET_ACCESS_KEY',
    'GITHUB_TOKEN',
    'npm_config__authToken',
    'PRIVATE_KEY',
    'GOOGLE_APPLICATION_CREDENTIALS',
    'SENTRY_DSN',
    'JWT',
    'COOKIE_SIGNING',
    'SALT',
  ])('%s is nobody’s business', (name) => {
    expect(maskedValue(name, 'v4lue')).toBe(MASK);
  });

  test.each([
    'PATH',
    'HOME',
    'PWD',
    'OLDPWD',
    'NODE_ENV',
    'PORT',
    'KEYBOARD',
    'MONKEY',
    'KEYMAP',
    'SSH_AUTH_SOCK',
    'XAUTHORITY',
    'XDG_SESSION_ID',
    'DBUS_SESSION_BUS_ADDRESS',
    'GSUP_ID',
  ])('%s may be seen', (name) => {
    expect(maskedValue(name, 'v4lue')).toBe('v4lue');
  });

  test.each(['MYSQL_PWD', 'DB_PWD', 'GITHUB_PAT', 'ENCRYPTION_KEYS'])('%s is nobody’s business either', (name) => {
    expect(maskedValue(name, 'v4lue')).toBe(MASK);
  });

  test.each(['GIT_AUTHOR_NAME', 'AUTHOR', 'COMPASS', 'BYPASS_CACHE', 'DESKTOP_SESSION', 'TOKENIZERS_PARALLELISM'])(
    '%s may be seen as well',
    (name) => {
      expect(maskedValue(name, 'v4lue')).toBe('v4lue');
    },
  );

  test('that is empty hides nothing', () => {
    expect(maskedValue('PASSWORD', '')).toBe('');
  });
});

describe('a password inside of an address', () => {
  test.each([
    ['postgres://user:pw@host/db', `postgres://user:${MASK}@host/db`],
    ['redis://:pw@host:6379', `redis://:${MASK}@host:6379`],
    ['mongodb+srv://u:p/w@host', `mongodb+srv://u:${MASK}@host`],
    ['http://user@host', 'http://user@host'],
    ['mailto:me@host', 'mailto:me@host'],
  ])('%s', (value, shown) => {
    expect(maskedValue('URL', value)).toBe(shown);
  });

  test.each([
    ['with @ in it', 'postgres://u:p@ss@host/db', `postgres://u:${MASK}@host/db`],
    ['behind a scheme of schemes', 'jdbc:postgresql://u:pw@host/db', `jdbc:postgresql://u:${MASK}@host/db`],
    ['in a list', 'amqp://u:p1@a,amqp://u:p2@b', `amqp://u:${MASK}@a,amqp://u:${MASK}@b`],
  ])('%s', (_, value, shown) => {
    expect(maskedValue('URL', value)).toBe(shown);
  });
});

test('an environment keeps its names and what is harmless', () => {
  expect(masked({ A: '1', TOKEN: 'x', DATABASE_URL: 'pg://u:p@h' })).toEqual({
    A: '1',
    TOKEN: MASK,
    DATABASE_URL: `pg://u:${MASK}@h`,
  });
});

test('only values that are long enough to be told from words are looked for elsewhere', () => {
  expect(secretValues({ TOKEN: 'yes', SECRET: 'abcdef', PLAIN: 'abcdefgh', PASSWORD: '' })).toEqual(['abcdef']);
});

describe('a command line', () => {
  test.each([
    ['node app.js --port 80', 'node app.js --port 80'],
    ['node app.js --password hunter2', `node app.js --password ${MASK}`],
    ['node app.js --password=hunter2 --port=80', `node app.js --password=${MASK} --port=80`],
    ['node app.js --token a --secret b', `node app.js --token ${MASK} --secret ${MASK}`],
    ['TOKEN=abc node app.js', `TOKEN=${MASK} node app.js`],
    ['env A=1 API_KEY=abc node', `env A=1 API_KEY=${MASK} node`],
    ['app --db postgres://u:p@h/x', `app --db postgres://u:${MASK}@h/x`],
    ['app --db=postgres://u:p@h/x', `app --db=postgres://u:${MASK}@h/x`],
    ['cat --token', 'cat --token'],
  ])('%s', (command, shown) => {
    expect(maskedCommand(command, [])).toBe(shown);
  });

  test('hides values that are known to be secret wherever they stand', () => {
    expect(maskedCommand('curl -H Bearer-abcdef', ['abcdef'])).toBe(`curl -H Bearer-${MASK}`);
  });

  test.each([
    ['behind an option without a value', 'node app.js --verbose --token abc', `node app.js --verbose --token ${MASK}`],
    ['in an option with a hyphen', 'node app.js --api-key abc', `node app.js --api-key ${MASK}`],
    ['in an option that ends with -key', 'app --access-key=abc', `app --access-key=${MASK}`],
    ['in a variable behind an option', 'docker run -e API_TOKEN=abc img', `docker run -e API_TOKEN=${MASK} img`],
    ['in an address that stands alone', 'psql postgres://u:pw@h/db', `psql postgres://u:${MASK}@h/db`],
  ])('hides a secret %s', (_, command, shown) => {
    expect(maskedCommand(command, [])).toBe(shown);
  });

  test('with an option that is no secret but is named like one leaves the next option alone', () => {
    expect(maskedCommand('psql --no-password --port 80', [])).toBe('psql --no-password --port 80');
  });
});

test('a text without secrets is as it was', () => {
  expect(withoutSecrets('plain text', ['abcdef'])).toBe('plain text');
});

test('of two secrets that begin alike neither is shown in part', () => {
  expect(withoutSecrets('x abcdef-tail y', ['abcdef', 'abcdef-tail'])).toBe(`x ${MASK} y`);
});

const KIB = 1024;

describe('texts that were written to take for ever', () => {
  const large = 128 * KIB;
  const many = Object.fromEntries(Array.from({ length: 20_000 }, (_, n) => [`TOKEN_${n}`, `aaaaaa${n}`]));
  test.each([
    ['letters', 'a'.repeat(large)],
    ['hexadecimal digits', '0123456789abcdef'.repeat(large / 16)],
    ['schemes and nothing else', 'x://:'.repeat(large / 5)],
    ['addresses whose word never ends', 'x://u:p'.repeat(large / 7)],
    ['words without a user', 'x://u:p '.repeat(large / 8)],
    ['addresses with passwords', 'x://u:p@'.repeat(large / 8)],
    ['options', '--a '.repeat(large / 4)],
    ['dashes', '-'.repeat(large)],
    ['spaces', `--a${' '.repeat(large)}-`],
    ['assignments', 'a='.repeat(large / 2)],
    ['queries', '?a&a'.repeat(large / 4)],
  ])('of %s: 128 KiB are masked in well under a second', (_, text) => {
    const began = performance.now();
    maskedCommand(text, []);
    maskedCommand(text, secretValues(many));
    maskedValue('URL', text);
    secretValues({ URL: text, TOKEN: text });
    masked({ A: text });
    expect(performance.now() - began).toBeLessThan(1_000);
  });
});

/** The same by one regular expression, which takes quadratic time. */
function slowly(text: string): string {
  return text.replace(/([a-z][a-z0-9+.-]*:\/\/[^/:@\s]*:)([^\s,]+)(@)/gi, `$1${MASK}$3`);
}

test('passwords in addresses are found as a plain regular expression finds them, in any text', () => {
  const pieces = ['x', 'Z', '7', '+', '.', '-', ':', '/', '://', '@', ',', ' ', '\n', 'u:p@h', 'pg://', '\u00e9'];
  const texts = fc.array(fc.constantFrom(...pieces), { maxLength: 24 }).map((parts) => parts.join(''));
  fc.assert(
    fc.property(texts, (text) => {
      expect(maskedValue('URL', text)).toBe(slowly(text));
    }),
    { numRuns: 20_000 },
  );
});

test('no value of a secret is left in a text, whatever stands around it and however many secrets there are', () => {
  const letters = fc.array(fc.constantFrom('a', 'b'), { minLength: 6, maxLength: 9 }).map((all) => all.join(''));
  const values = fc.oneof(
    fc.array(letters, { minLength: 1, maxLength: 4 }),
    fc
      .array(letters, { minLength: 1, maxLength: 4 })
      .map((some) => [...some, ...Array.from({ length: 300 }, (_, n) => `other-value-${n}`)]),
  );
  const text = fc.array(fc.constantFrom('a', 'b', 'c'), { maxLength: 30 }).map((all) => all.join(''));
  fc.assert(
    fc.property(values, text, (secrets, around) => {
      const shown = withoutSecrets(`${around} ${secrets[0]} ${around}`, secrets);
      for (const secret of secrets) expect(shown).not.toContain(secret);
    }),
    { numRuns: 500 },
  );
});

test('a text that was cut within a secret does not show its begin', () => {
  expect(withoutSecrets('run --x planted-sec…', ['planted-secret'])).toBe(`run --x ${MASK}…`);
  expect(withoutSecrets('run --x plan…', ['planted-secret'])).toBe('run --x plan…');
  expect(withoutSecrets('run …', ['planted-secret'])).toBe('run …');
});

test('the secrets of an environment are looked for once', () => {
  let reads = 0;
  const environment = Object.defineProperty({} as Record<string, string>, 'TOKEN', {
    enumerable: true,
    get: () => {
      reads++;
      return 'value-of-it';
    },
  });
  expect(secretValues(environment)).toBe(secretValues(environment));
  expect(reads).toBe(1);
});

test('the query of an address hides what is named like a secret', () => {
  expect(maskedCommand('curl http://h/?page=2&access_token=abc&x=1#top', [])).toBe(
    `curl http://h/?page=2&access_token=${MASK}&x=1#top`,
  );
});

const PLANTED = 'planted-secret';
const WITH_SECRETS = [
  PLANTED,
  `--password ${PLANTED}`,
  `--token=${PLANTED}`,
  `API_KEY=${PLANTED}`,
  `http://admin:${PLANTED}@localhost:1/health`,
  `http://localhost/?token=${PLANTED}`,
];

describe.each(WITH_SECRETS)('%s', (text) => {
  const values = [PLANTED];

  test('is not shown by any text of a record', () => {
    const record = maskedRecord(
      {
        phase: 'survivors-killed',
        service: 'api',
        instance: 'api:0',
        command: text,
        reason: text,
        check: text,
        appPhase: text,
        pending: { hook: text, deep: { list: [text] }, password: PLANTED },
        survivors: [{ pid: 1, command: text }],
      },
      values,
    );
    expect(JSON.stringify(record)).not.toContain(PLANTED);
    expect(record).toMatchObject({ service: 'api', instance: 'api:0', phase: 'survivors-killed' });
  });

  test('is not shown by any text of a spec', () => {
    const argv = ['curl', ...text.split(' ')] as const;
    const every = { initialDelayMs: 0, intervalMs: 1, timeoutMs: 1 };
    for (const check of [
      { kind: 'exec', argv },
      { kind: 'http', url: text },
    ] as const) {
      const spec = serviceSpec({
        env: { TOKEN: PLANTED, OTHER: text },
        program: { kind: 'script', script: 'a.js', args: argv, interpreter: 'node', interpreterArgs: argv },
        ready: { check, ...every, successThreshold: 1 },
        live: { check, ...every, failureThreshold: 1 },
        stop: { preStop: { argv, timeoutMs: 1 } },
      });
      const { env, ...rest } = maskedSpec(spec);
      expect(JSON.stringify(rest)).not.toContain(PLANTED);
      expect(env['TOKEN']).toBe(MASK);
    }
  });

  test('is not shown by any text of plain data', () => {
    expect(JSON.stringify(maskedTexts({ sentence: text, facts: [text], next: null }, values))).not.toContain(PLANTED);
  });
});

test('a record without a secret is as it was', () => {
  const record = { phase: 'failed', service: 'api', reason: 'exit 1; 3 restarts in 60s', pid: null } as const;
  expect(maskedRecord(record, ['value-of-it'])).toEqual(record);
});
