/** A configuration that is a module, changed while gsup runs. */
import { expect, test } from 'vitest';
import { Folder, Gsup } from '../kit/gsup.ts';
import { Home } from '../kit/home.ts';

const module = (value: string) =>
  `export default { services: { api: { command: ['sleep', '1000'], env: { VALUE: '${value}' } } } };\n`;

test.concurrent('SIGHUP makes a daemon read a changed module anew, again and again', async () => {
  await using home = new Home();
  const file = home.write('supervisor.config.mjs', module('one'));
  await using daemon = home.begin(['daemon', '-c', file]);
  await home.answering();
  for (const [round, value] of ['two', 'three'].entries()) {
    await home.record('spawned', 'api:0', round + 1);
    home.write('supervisor.config.mjs', module(value));
    daemon.kill('SIGHUP');
    await home.record('rolling-completed', undefined, round + 1);
    expect((await home.ok(['env', 'api'])).stdout).toContain(`VALUE=${value}`);
  }
});

test.concurrent('SIGHUP makes gsup run read a changed module anew, and the module may import others', async () => {
  using folder = new Folder({ 'value.cjs': "module.exports = 'one';" });
  const text = `const value = require('./value.cjs');
module.exports = { services: { api: { command: ['sh', '-c', 'echo value=$VALUE; exec sleep 1000'], env: { VALUE: value }, rolling: { minReady: 0 } } } };\n`;
  const file = folder.write('supervisor.config.cjs', text);
  await using gsup = new Gsup(['run', '-c', file]);
  await gsup.said(/value=one/);
  folder.write('value.cjs', "module.exports = 'two';");
  gsup.kill('SIGHUP');
  await gsup.said(/value=two/);
  gsup.kill('SIGTERM');
  expect(await gsup.status()).toBe(0);
});
