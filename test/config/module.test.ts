import { expect, test } from 'vitest';
import { loadModule } from '../../src/config/module.ts';
import { Folder } from '../kit/gsup.ts';

const messageOf = (loaded: Awaited<ReturnType<typeof loadModule>>) => (loaded.ok ? null : loaded.problem.message);

test.each(['a.config.mjs', 'a.config.cjs', 'a.config.js'])(
  '%s and what it imports are read anew each time',
  async (name) => {
    using folder = new Folder();
    const isEsm = name.endsWith('.mjs');
    const file = folder.write(
      name,
      isEsm
        ? "import { port } from './port.mjs';\nexport default { port };\n"
        : "module.exports = require('./port.cjs');\n",
    );
    const write = (port: number) =>
      folder.write(isEsm ? 'port.mjs' : 'port.cjs', isEsm ? `export const port = ${port};` : `exports.port = ${port};`);
    for (const port of [1, 2]) {
      write(port);
      expect(await loadModule(file)).toEqual({ ok: true, value: { port } });
    }
  },
);

test.each([
  [
    'leaves a timer and a server running',
    "setInterval(() => {}, 1000); (await import('node:net')).createServer().listen(0, '127.0.0.1'); export default { a: 1 };",
  ],
  ['prints', "console.log('hello'); export default { a: 1 };"],
  ['exports a promise', 'export default Promise.resolve({ a: 1 });'],
  ['exports an async function', 'export default async () => ({ a: 1 });'],
])('a module that %s is read', async (_, text) => {
  using folder = new Folder();
  expect(await loadModule(folder.write('a.config.mjs', text))).toEqual({ ok: true, value: { a: 1 } });
});

test.each([
  ['ends the process', 'process.exit(3);', 'ended with status 3 before it exported anything'],
  ['kills itself', "process.kill(process.pid, 'SIGKILL');", 'ended with SIGKILL before it exported anything'],
  ['never settles', 'await new Promise(() => {});', 'ended with status 0 before it exported anything'],
  ['throws no error', 'throw null;', 'cannot be loaded: null'],
  [
    'has a function in it',
    'export default { a: [{ run() {} }] };',
    'a.0.run is a function; a configuration can only have data',
  ],
  ['exports too much', "export default { a: 'x'.repeat(20e6) };", 'exports more than 16MiB; is this the right file?'],
  ['fails when it is called', "export default () => { throw new Error('boom'); };", 'what it exports failed: boom'],
])('a module that %s is refused', async (_, text, message) => {
  using folder = new Folder();
  expect(messageOf(await loadModule(folder.write('a.config.mjs', text)))).toBe(message);
});
