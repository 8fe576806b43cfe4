/** Beside an app that uses `gsup/app` under gsup, others of its own use it too. */
import { expect, test } from 'vitest';
import { Folder, Gsup } from '../kit/gsup.ts';

const NODE = process.env['TEST_NODE'] ?? process.execPath;
const BASE = `import { createShutdown } from 'gsup/app'; const alive = setInterval(() => {}, 1e6);`;
const CHILD = `import { createShutdown } from 'gsup/app'; createShutdown(); await new Promise((resolve) => setTimeout(resolve, 1500));`;

test.concurrent.each([
  [
    'a child that uses the library too',
    `import { spawn } from 'node:child_process'; import { once } from 'node:events';
    await once(spawn(process.execPath, ['--input-type=module', '-e', process.env.CHILD]), 'exit');`,
  ],
  [
    'a worker thread that uses the library too',
    `import { Worker } from 'node:worker_threads'; import { once } from 'node:events';
    await once(new Worker("import('gsup/app').then(({ createShutdown }) => { createShutdown(); return new Promise((resolve) => setTimeout(resolve, 1500)); })", { eval: true }), 'exit');`,
  ],
  [
    'a second copy of the library',
    `import { createRequire } from 'node:module';
    createRequire(process.cwd() + '/x.js')('gsup/app').createShutdown();
    await new Promise((resolve) => setTimeout(resolve, 1500));`,
  ],
])('beside %s, an app is still told of a deadline that is nearer, and reports in it', async (_name, beside) => {
  using folder = new Folder();
  const script = `${BASE} const shutdown = createShutdown();
    shutdown.hook('last', () => console.log('last hook')); shutdown.hook('hanging', () => new Promise(() => {}));
    shutdown.ready();
    // The app is connected before what stands beside it.
    await new Promise((resolve) => process.once('SIGUSR2', resolve));
    ${beside}
    console.log('up');`;
  const command = [NODE, '--input-type=module', '-e', script];
  const api = { command, cwd: process.cwd(), env: { CHILD }, ready: { message: true }, stop: { grace: '30s' } };
  const file = folder.write('supervisor.json', JSON.stringify({ shutdown: { timeout: '3s' }, services: { api } }));
  await using gsup = new Gsup(['run', '--log-format', 'json', '-c', file]);
  await gsup.record('ready');
  const { pid = 0 } = await gsup.record('spawned');
  process.kill(pid, 'SIGUSR2');
  await gsup.said(/up/);
  gsup.kill('SIGTERM');
  await gsup.status();
  expect(gsup.phases('api')).not.toContain('kill-sent');
  expect(gsup.output).toContain('last hook');
});

test.concurrent('an app is not ready because a child of it is', async () => {
  await using gsup = new Gsup(
    [
      ...['run', '--log-format', 'json', '--name', 'api', '--ready', 'message', '--restart', 'never', '--'],
      ...[NODE, '--input-type=module', '-e'],
      `${BASE} import { spawn } from 'node:child_process'; import { once } from 'node:events';
      const shutdown = createShutdown();
      await once(spawn(process.execPath, ['--input-type=module', '-e', process.env.CHILD]), 'exit');
      console.log('the child has ended');`,
    ],
    { env: { CHILD: CHILD.replace('createShutdown();', 'createShutdown().ready();') } },
  );
  await gsup.said(/the child has ended/);
  expect(gsup.phases('api')).not.toContain('ready');
});

test.concurrent('behind a shell that waits for it, the app is ready over the link, is told of its stop, and reports', async () => {
  const script = `${BASE} createShutdown().ready();`;
  await using gsup = new Gsup(
    [
      ...['run', '--log-format', 'json', '--name', 'api', '--ready', 'message', '--restart', 'never', '--'],
      ...['sh', '-c', 'trap "" TERM; "$NODE" --input-type=module -e "$SCRIPT"; exit $?'],
    ],
    { env: { NODE, SCRIPT: script } },
  );
  await gsup.record('ready');
  gsup.kill('SIGTERM');
  expect(await gsup.status()).toBe(0);
  expect(gsup.phases('api')).not.toContain('kill-sent');
  const told = gsup.records.flatMap((record) => ('appPhase' in record ? [record.appPhase] : []));
  expect(told.at(-1)).toBe('report');
});
