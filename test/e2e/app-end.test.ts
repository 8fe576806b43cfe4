import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { get, Line } from '../kit/client.ts';
import { Folder, Gsup, type StartOptions } from '../kit/gsup.ts';

const NODE = process.env['TEST_NODE'] ?? process.execPath;
/** Imports, and something that keeps the process alive. */
const BASE = `import { createShutdown } from 'gsup/app'; const alive = setInterval(() => {}, 1e6);`;

type AppPhase = { readonly appPhase: string; readonly pending: Record<string, unknown> };

/** `gsup run` of a script that may import `gsup/app`. */
function supervised(
  script: string,
  { options = [], type = 'module', ...rest }: StartOptions & { options?: readonly string[]; type?: string } = {},
): Gsup {
  const own = ['--log-format', 'json', '--name', 'api', '--restart', 'never', ...options];
  return new Gsup(['run', ...own, '--', NODE, `--input-type=${type}`, '-e', script], rest);
}

function appPhases(gsup: Gsup): readonly AppPhase[] {
  return gsup.records.filter(({ phase }) => phase === 'app-phase') as unknown as AppPhase[];
}

test.concurrent.each(['2s', '1s', '600ms'])(
  'when everything hangs, an app that would take an hour reports all of it before a grace period of %s is over',
  async (grace) => {
    using folder = new Folder();
    await using gsup = supervised(
      `${BASE} import http from 'node:http';
      const never = () => new Promise(() => {});
      const shutdown = createShutdown({ timeout: '1h', drainDelay: '1h', flush: never });
      void shutdown.run('export', never);
      shutdown.worker('poller', never);
      shutdown.hook('db', never);
      shutdown.hook('metrics', never, { phase: 'flush' });
      await shutdown.persist('queue', { file: process.env.FILE, save: never });
      const server = shutdown.server(http.createServer(() => console.log('asked')), { name: 'web' });
      server.listen(0, '127.0.0.1', () => console.log('port ' + server.address().port));`,
      { options: ['--grace', grace], env: { FILE: join(folder.path, 'queue.json') } },
    );
    const port = Number((await gsup.said(/port (\d+)/))[1]);
    using line = await Line.to(port);
    line.get('/');
    await gsup.said(/asked/);
    gsup.kill('SIGTERM');
    expect(await gsup.status()).toBe(1);
    expect(gsup.phases('api')).not.toContain('kill-sent');
    expect(await gsup.record('stopped')).toMatchObject({ verdict: 'clean', exitCode: 1 });
    const { appPhase, pending } = appPhases(gsup).at(-1) ?? { appPhase: '', pending: {} };
    expect(appPhase).toBe('report');
    expect(pending['undone']).toEqual([
      '1 connection of web had to be cut',
      'task "export" had not ended',
      'worker "poller" had not ended',
      expect.stringMatching(/^state "queue" had not ended after \d+ ms$/),
      expect.stringMatching(/^hook "db" had not ended after \d+ ms$/),
      expect.stringMatching(/^hook "metrics" had not ended after \d+ ms$/),
      'logs were not flushed in time',
    ]);
  },
);

test.concurrent('a second SIGINT to gsup cuts a hook short, and the phases until then are recorded', async () => {
  await using gsup = supervised(
    `${BASE} const shutdown = createShutdown();
    shutdown.hook('db', () => { console.log('hanging'); return new Promise(() => {}); });
    shutdown.ready(); console.log('up');`,
    { options: ['--grace', '1m'] },
  );
  await gsup.said(/up/);
  gsup.kill('SIGINT');
  await gsup.said(/hanging/);
  gsup.kill('SIGINT');
  expect(await gsup.status()).toBe(137);
  expect(gsup.phases('api')).toContain('kill-sent');
  expect(gsup.records.find(({ phase }) => phase === 'signal-sent')).toMatchObject({ signal: 'SIGINT' });
  expect(await gsup.record('stopped')).toMatchObject({ verdict: 'killed' });
});

test.concurrent('a repeated SIGTERM to gsup changes nothing for the app', async () => {
  await using gsup = supervised(
    `${BASE} const shutdown = createShutdown();
    const release = shutdown.track('job'); process.on('SIGUSR2', release);
    shutdown.hook('db', () => console.log('closed'));
    shutdown.signal.addEventListener('abort', () => console.log('begun'));
    console.log('up');`,
  );
  await gsup.said(/up/);
  const { pid } = await gsup.record('spawned');
  gsup.kill('SIGTERM');
  await gsup.said(/begun/);
  gsup.kill('SIGTERM');
  process.kill(pid ?? 0, 'SIGUSR2');
  expect(await gsup.status()).toBe(0);
  expect(gsup.output).toBe('up\nbegun\nclosed\n');
});

test.concurrent.each([
  ['an uncaught exception', `setImmediate(() => { throw new Error('kaboom'); });`, 1],
  ['an unhandled rejection', `void Promise.reject(new Error('kaboom'));`, 1],
  ['the end of all work, with a status of its own', `clearInterval(alive); process.exitCode = 3;`, 3],
  ['begin() of the app itself', `clearInterval(alive); await shutdown.begin('enough');`, 0],
  [
    'process.exit() in a hook',
    `shutdown.hook('exit', () => process.exit(7)); process.kill(process.pid, 'SIGTERM');`,
    7,
  ],
])('%s ends it with the status that it would have alone', async (name, ending, status) => {
  await using gsup = supervised(
    `${BASE} const shutdown = createShutdown(); shutdown.hook('db', async () => { await new Promise(setImmediate); console.log('closed'); });
    ${ending}`,
  );
  expect(await gsup.status()).toBe(status);
  expect(gsup.output).toBe(name.startsWith('process.exit') ? '' : 'closed\n');
  expect(gsup.phases('api')).not.toContain('kill-sent');
});

test.concurrent('an app in CommonJS, and one with both copies of the library, are ready and report', async () => {
  await using common = supervised(
    `const { createShutdown } = require('gsup/app'); const shutdown = createShutdown();
    setInterval(() => {}, 1e6); shutdown.hook('db', () => console.log('closed')); shutdown.ready();`,
    { type: 'commonjs', options: ['--ready', 'message'] },
  );
  await common.record('ready');
  common.kill('SIGTERM');
  expect(await common.status()).toBe(0);
  expect(common.output).toBe('closed\n');
  expect(appPhases(common).at(-1)).toMatchObject({ appPhase: 'report', pending: { exitCode: 0 } });
  await using both = supervised(
    `${BASE} import { createRequire } from 'node:module';
    const other = createRequire(process.cwd() + '/x.js')('gsup/app');
    const shutdowns = [createShutdown(), other.createShutdown()];
    shutdowns.forEach((one, n) => one.hook('db', () => console.log('closed ' + n)));
    shutdowns[0].ready();`,
    { options: ['--ready', 'message'] },
  );
  await both.record('ready');
  both.kill('SIGTERM');
  expect(await both.status()).toBe(0);
  expect(both.output.trim().split('\n').toSorted()).toEqual(['closed 0', 'closed 1']);
  expect(appPhases(both).filter(({ appPhase }) => appPhase === 'report')).toHaveLength(2);
});

test.concurrent('over HTTPS a busy request is answered, idle and silent connections are closed, and new ones are refused', async () => {
  await using gsup = supervised(
    `import { createShutdown } from 'gsup/app'; import https from 'node:https';
    const shutdown = createShutdown();
    let held;
    process.on('SIGUSR2', () => held.end('whole'));
    const server = shutdown.server(https.createServer(JSON.parse(process.env.CERTIFICATE), (request, response) => {
      if (shutdown.health(request, response)) return;
      held = response;
      console.log('asked');
    }));
    shutdown.signal.addEventListener('abort', () => console.log('begun'));
    server.listen(0, '127.0.0.1', () => { shutdown.ready(); console.log('port ' + server.address().port); });`,
    {
      options: ['--ready', 'message'],
      env: { CERTIFICATE: JSON.stringify((await import('../kit/certificate.ts')).CERTIFICATE) },
    },
  );
  const port = Number((await gsup.said(/port (\d+)/))[1]);
  const { pid } = await gsup.record('spawned');
  await gsup.record('ready');
  using silent = await Line.to(port);
  expect(await get(port, '/readyz', { isSecure: true })).toMatchObject({ status: 200 });
  const answer = get(port, '/slow', { isSecure: true });
  await gsup.said(/asked/);
  gsup.kill('SIGTERM');
  await gsup.until('waiting', () => appPhases(gsup).find(({ appPhase }) => appPhase === 'waiting'));
  await expect(get(port, '/other', { isSecure: true })).rejects.toMatchObject({ code: 'ECONNREFUSED' });
  await silent.closed();
  process.kill(pid ?? 0, 'SIGUSR2');
  expect(await answer).toMatchObject({ status: 200, body: 'whole', headers: { connection: 'close' } });
  expect(await gsup.status()).toBe(0);
});

test.concurrent('a state that was saved when the app crashed is there when gsup has started it again', async () => {
  using folder = new Folder();
  const file = join(folder.path, 'runs.json');
  await using gsup = supervised(
    `${BASE} const shutdown = createShutdown();
    const runs = await shutdown.persist('runs', { file: process.env.FILE, save: () => runs, fallback: [] });
    runs.push(process.pid);
    console.log('run ' + runs.length);
    if (runs.length < 3) throw new Error('crash ' + runs.length);`,
    { options: ['--restart', 'on-failure'], env: { FILE: file } },
  );
  await gsup.said(/run 3/);
  gsup.kill('SIGTERM');
  expect(await gsup.status()).toBe(0);
  expect(new Set(JSON.parse(readFileSync(file, 'utf8')))).toHaveLength(3);
});

test.concurrent('an app is told when the whole supervisor has less time than its grace period, and reports in it', async () => {
  using folder = new Folder();
  const script = `${BASE} const shutdown = createShutdown(); shutdown.ready();
    shutdown.hook('last', () => console.log('last hook')); shutdown.hook('hanging', () => new Promise(() => {}));`;
  const command = [NODE, '--input-type=module', '-e', script];
  const api = { command, cwd: process.cwd(), ready: { message: true }, stop: { grace: '30s' } };
  const file = folder.write('supervisor.json', JSON.stringify({ shutdown: { timeout: '3s' }, services: { api } }));
  await using gsup = new Gsup(['run', '--log-format', 'json', '-c', file]);
  await gsup.record('ready');
  gsup.kill('SIGTERM');
  expect(await gsup.status()).toBe(0);
  expect(gsup.output).toContain('last hook');
  expect(gsup.phases('api')).not.toContain('kill-sent');
});
