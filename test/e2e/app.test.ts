import { spawnSync } from 'node:child_process';
import { expect, test } from 'vitest';
import { get } from '../kit/client.ts';
import { fixture, Gsup } from '../kit/gsup.ts';
import { Home } from '../kit/home.ts';

const SERVER = fixture('app/server.mjs');

async function portOf(gsup: Gsup): Promise<number> {
  return Number((await gsup.said(/port (\d+)/))[1]);
}

test.concurrent('under gsup run the phases of the app are recorded between signal-sent and exited', async () => {
  await using gsup = new Gsup(['run', '--log-format', 'json', '--name', 'api', '--ready', 'message', SERVER]);
  const port = await portOf(gsup);
  await gsup.record('ready');
  const answer = get(port, '/slow');
  await gsup.said(/asked \/slow/);
  gsup.kill('SIGTERM');
  expect(await answer).toMatchObject({ status: 200, body: 'whole', headers: { connection: 'close' } });
  expect(await gsup.status()).toBe(0);
  const phases = gsup.phases('api');
  const told = phases.slice(phases.indexOf('signal-sent'), phases.indexOf('exited') + 1);
  expect(new Set(told)).toEqual(new Set(['signal-sent', 'app-phase', 'exited']));
  const appPhases = gsup.records.filter(({ phase }) => phase === 'app-phase') as unknown as AppPhase[];
  expect([...new Set(appPhases.map(({ appPhase }) => appPhase))]).toEqual([
    'draining',
    'closing-servers',
    'waiting',
    'persisting',
    'closing',
    'flushing',
    'report',
  ]);
  expect(appPhases.find(({ appPhase }) => appPhase === 'waiting')).toMatchObject({
    pending: { requests: 1, names: ['GET /slow'] },
  });
  expect(appPhases.at(-1)).toMatchObject({ pending: { exitCode: 0, undone: [] } });
});

type AppPhase = { readonly appPhase: string; readonly pending: Record<string, unknown> };

test.concurrent('an app whose own timeout is longer than the grace period ends before it, with its work reported', async () => {
  await using gsup = new Gsup(['run', '--log-format', 'json', '--name', 'api', '--grace', '2s', SERVER], {
    env: { APP_TIMEOUT: '1h' },
  });
  const port = await portOf(gsup);
  const answer = get(port, '/never').catch((error: NodeJS.ErrnoException) => error.code);
  await gsup.said(/asked \/never/);
  gsup.kill('SIGTERM');
  expect(await answer).toBe('ECONNRESET');
  expect(await gsup.status()).toBe(1);
  expect(gsup.phases('api')).not.toContain('kill-sent');
  expect(await gsup.record('stopped')).toMatchObject({ verdict: 'clean', exitCode: 1 });
  expect(gsup.output).toContain('db closed');
  expect(gsup.stderr).toMatch(/"msg":"shutdown: 1 connection of http 127\.0\.0\.1:\d+ had to be cut"/);
});

test.concurrent('under the daemon too, and the app is heard again after a kill -9 of the daemon', async () => {
  await using home = new Home();
  const options = ['--grace', '3s', '--ready', 'message', '--restart', 'always'];
  await home.ok(['start', SERVER, '--name', 'api', ...options], { env: { APP_TIMEOUT: '1h', PORT: '0' } });
  const [, port] = /port (\d+)/.exec(await home.said('api:0', /port \d+/)) ?? [];
  await home.killDaemon();
  const answer = get(Number(port), '/never').catch((error: NodeJS.ErrnoException) => error.code);
  await home.ls();
  await home.said('api:0', /asked \/never/);
  expect(await home.run(['stop', 'api'])).toMatchObject({ status: 0 });
  expect(await answer).toBe('ECONNRESET');
  expect(await home.record('stopped', 'api:0')).toMatchObject({ verdict: 'clean', exitCode: 1 });
  const told = home.records.flatMap((record) => ('appPhase' in record ? [record.appPhase] : []));
  expect(told).toContain('waiting');
  expect(told).toContain('report');
});

test.skipIf(spawnSync('python3', ['--version']).status !== 0)('Python speaks on the link too', async () => {
  await using gsup = new Gsup(['run', '--log-format', 'json', '--ready', 'message', fixture('app/link.py')]);
  await gsup.record('ready');
  gsup.kill('SIGTERM');
  expect(await gsup.status()).toBe(0);
  const told = gsup.records.filter(({ phase }) => phase === 'app-phase') as unknown as AppPhase[];
  expect(told.map(({ appPhase, pending }) => [appPhase, pending['jobs']])).toEqual([
    ['waiting', 2],
    ['waiting', 1],
    ['waiting', 0],
    ['report', 2],
  ]);
});

test.skipIf(!/-N\b/.test(spawnSync('nc', ['-h']).stderr?.toString() ?? ''))(
  'a shell speaks on the link too',
  async () => {
    await using gsup = new Gsup(['run', '--log-format', 'json', '--ready', 'message', fixture('app/link.sh')]);
    await gsup.record('ready');
    gsup.kill('SIGTERM');
    expect(await gsup.status()).toBe(0);
    const told = gsup.records.filter(({ phase }) => phase === 'app-phase') as unknown as AppPhase[];
    expect(told.map(({ appPhase }) => appPhase)).toEqual(['waiting', 'report']);
  },
);
