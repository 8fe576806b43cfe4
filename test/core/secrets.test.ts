import { describe, expect, test } from 'vitest';
import { masked, maskedCommand, maskedValue, secretValues, withoutSecrets } from '../../src/core/secrets.ts';

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
