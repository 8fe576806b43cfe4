/** Foreign files on disk: how each kind is recognised and read, and what is said of a wrong one. */
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { Diagnostic } from '../../src/config/diagnostic.ts';
import { importFile, rebased, summary } from '../../src/interop/foreign.ts';
import { Folder, fixture } from '../kit/gsup.ts';

const OPTIONS = { env: {}, envName: null, endsTogether: false };

async function of(file: string): Promise<string | readonly (string | Diagnostic)[]> {
  const result = await importFile(file, OPTIONS);
  if (result === null) return 'not foreign';
  return result.ok ? Object.keys(result.config.services) : result.problems;
}

/** As it is told, without the folder. */
async function told(name: string, text: string): Promise<unknown> {
  using folder = new Folder({ [name]: text });
  const result = await of(join(folder.path, name));
  if (typeof result === 'string') return result;
  return result.map((one) =>
    typeof one === 'string'
      ? one
      : `${name}${one.line === null ? '' : `:${one.line}:${one.column}`} ${one.message}`.replaceAll(
          `${folder.path}/`,
          '',
        ),
  );
}

test.each([
  ['ecosystem.config.cjs', ['HTTP-API', 'worker', 'nightly']],
  ['ecosystem.config.mjs', ['web']],
  ['process.yaml', ['php-and-friends', 'report']],
  ['one-app.json', ['server']],
  ['list.json', ['server', 'server-2']],
  ['by-pm2-key.config.cjs', ['server', 'line']],
  ['Procfile', ['web', 'worker']],
])('%s', async (name, services) => {
  expect(await of(fixture(`ecosystem/${name}`))).toEqual(services);
});

test('a function, a promise, a named export, a compiled module', async () => {
  const app = `{ apps: [{ script: 'a.js' }] }`;
  expect(await told('a.config.mjs', `export default () => (${app});`)).toEqual(['a']);
  expect(await told('a.config.mjs', `export default Promise.resolve(${app});`)).toEqual(['a']);
  expect(await told('a.config.cjs', `module.exports = async () => (${app});`)).toEqual(['a']);
  expect(await told('a.config.cjs', `exports.__esModule = true; exports.default = ${app};`)).toEqual(['a']);
  expect(await told('a.config.cjs', `exports.apps = (${app}).apps;`)).toEqual(['a']);
});

test('JSON as PM2 has it', async () => {
  const text = `// all of it
{
\tapps: [{ /* one */ script:"./a.js", name  :'a // b', }]
}`;
  expect(await told('process.json', text)).toEqual(['a-b']);
  expect(await told('ecosystem.json5', text)).toEqual(['a-b']);
});

test('what is ours is not foreign', async () => {
  const ours = 'services: { a: { command: x } }';
  expect(await told('supervisor.yaml', ours)).toBe('not foreign');
  expect(await told('ecosystem.yaml', ours)).toBe('not foreign');
  expect(await told('x.json', '{ "services": {} }')).toBe('not foreign');
  expect(await told('x.yaml', 'a: [')).toBe('not foreign');
  expect(await told('x.yaml', 'text')).toBe('not foreign');
});

test('what is wrong is told with its place', async () => {
  expect(await told('ecosystem.config.cjs', '\nthrow new Error("boom");')).toEqual([
    'ecosystem.config.cjs:2:7 cannot be loaded: boom',
  ]);
  expect(await told('ecosystem.config.mjs', 'export const a = 1;')).toEqual([
    'ecosystem.config.mjs has no default export',
  ]);
  expect(await told('ecosystem.config.cjs', 'module.exports = () => { throw new Error("boom"); };')).toEqual([
    'ecosystem.config.cjs what it exports failed: boom',
  ]);
  expect(await told('process.json', '{ "apps": [{ "script": "a }] }')).toEqual([
    'process.json:1:31 missing closing "quote',
  ]);
  expect(await told('Procfile', 'web')).toEqual(['Procfile:1:1 expected "name: command"']);
  expect(await of('/no/such/Procfile')).toMatchObject([{ message: 'does not exist; "gsup init" writes one' }]);
  expect(await of('/no/such/ecosystem.config.js')).toMatchObject([
    { message: 'does not exist; "gsup init" writes one' },
  ]);
});

test('the first port of a Procfile is that of .env, else that of the environment', async () => {
  using folder = new Folder({ Procfile: 'web: x\nworker: y' });
  const ports = async (env: Record<string, string>) => {
    const result = await importFile(join(folder.path, 'Procfile'), { ...OPTIONS, env });
    return result?.ok && Object.values(result.config.services).map((service) => service.env?.['PORT']);
  };
  expect(await ports({})).toEqual(['5000', '5100']);
  expect(await ports({ PORT: '3000' })).toEqual(['3000', '3100']);
  folder.write('.env', 'PORT=4000\n');
  expect(await ports({ PORT: '3000' })).toEqual(['4000', '4100']);
});

test('paths for another folder', () => {
  const config = { services: { a: { script: 'a.js', envFile: '.env' }, b: { cwd: '/srv', script: '/srv/b.js' } } };
  expect(rebased(config, '../app').services).toEqual({
    a: { cwd: '../app', script: '../app/a.js', envFile: ['../app/.env'] },
    b: { cwd: '/srv', script: '/srv/b.js' },
  });
  expect(rebased(config, '')).toBe(config);
});

test('the summary names the keys once, and a port in full', () => {
  const note = (key: string, service: string | null = 'a') => ({ service, key, message: 'm' });
  expect(summary('f', [])).toBe(null);
  expect(summary('f', [note('watch')])).toBe(
    'f: 1 key has no counterpart, or another meaning (watch): "gsup import f" shows them',
  );
  expect(summary('f', [note('env.PORT'), ...['a', 'b', 'c', 'd', 'e', 'f', 'a'].map((key) => note(key))])).toBe(
    `f: a: env.PORT: m
f: 6 keys have no counterpart, or another meaning (a, b, c, d, e, ...): "gsup import f" shows them`,
  );
});
