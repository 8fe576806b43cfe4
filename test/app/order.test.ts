import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer, request } from 'node:http';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { createShutdown } from '../../src/app/index.ts';
import { get, listening, portOf } from '../kit/client.ts';
import { Folder } from '../kit/gsup.ts';
import { Home } from '../kit/home.ts';
import { Watched } from '../kit/shutdowns.ts';

/** Status, length and body of a HEAD. */
function head(port: number, path: string): Promise<{ status: number | undefined; length: unknown; body: string }> {
  return new Promise((resolve, reject) => {
    const asked = request({ port, path, host: '127.0.0.1', method: 'HEAD', agent: false }, (response) => {
      let body = '';
      response.setEncoding('utf8').on('data', (text: string) => {
        body += text;
      });
      response.on('end', () =>
        resolve({ status: response.statusCode, length: response.headers['content-length'], body }),
      );
    });
    asked.on('error', reject).end();
  });
}

test('HEAD is answered like GET, without a body, in every state and as often as it is asked', async () => {
  using watched = new Watched();
  const { shutdown } = watched;
  const server = await listening(createServer(shutdown.health));
  const port = portOf(server);
  const states = async () => [(await head(port, '/livez')).status, (await head(port, '/readyz')).status];
  for (let n = 0; n < 3; n += 1) expect(await states()).toEqual([200, 503]);
  shutdown.ready();
  for (let n = 0; n < 3; n += 1) expect(await states()).toEqual([200, 200]);
  expect(await head(port, '/readyz')).toEqual({ status: 200, length: '31', body: '' });
  const release = shutdown.track();
  const report = shutdown.begin();
  for (let n = 0; n < 3; n += 1) expect(await states()).toEqual([200, 503]);
  release();
  await report;
  server.close();
});

test('health takes only its own paths, as they are written', async () => {
  using watched = new Watched();
  const server = createServer((asked, response) => {
    if (!watched.shutdown.health(asked, response)) response.end('the app');
  });
  await listening(server);
  for (const path of ['/', '/LIVEZ', '/livez/', '/readyz/x', '/healthz'])
    expect(await get(portOf(server), path)).toMatchObject({ status: 200, body: 'the app' });
  server.close();
});

test('before, while and after: the state is where everybody can see it', async () => {
  using watched = new Watched();
  const { shutdown } = watched;
  expect([shutdown.phase, shutdown.signal.aborted]).toEqual(['running', false]);
  const seen: unknown[] = [];
  shutdown.hook('look', () => void seen.push(shutdown.phase, shutdown.signal.aborted, shutdown.pending.names));
  const report = shutdown.begin();
  expect(shutdown.signal.aborted).toBe(true);
  await report;
  expect(seen).toEqual(['closing', true, ['hook look']]);
  expect([shutdown.phase, shutdown.pending.names]).toEqual(['done', []]);
});

test('hooks wait for the drain delay, and for what is tracked', async () => {
  using watched = new Watched({ drainDelay: '200ms' });
  const { shutdown } = watched;
  const order: string[] = [];
  shutdown.hook('db', () => void order.push('hook'));
  const release = shutdown.track('beacon');
  const report = shutdown.begin();
  expect([shutdown.phase, order]).toEqual(['draining', []]);
  await watched.entered('waiting');
  order.push('waiting');
  release();
  const { phases } = await report;
  expect(order).toEqual(['waiting', 'hook']);
  expect(phases[0]?.ms).toBeGreaterThanOrEqual(195);
});

test('begun from many places at once, each gets the same report, and a hook runs once', async () => {
  using watched = new Watched();
  const { shutdown } = watched;
  let count = 0;
  shutdown.hook('db', () => {
    count += 1;
    void shutdown.begin('from a hook');
  });
  shutdown.signal.addEventListener('abort', () => void shutdown.begin('from a listener'));
  const reports = await Promise.all([
    shutdown.begin('one'),
    shutdown.begin('two'),
    shutdown.run('late', () => {}).catch(() => shutdown.begin('three')),
    new Promise((resolve) => setImmediate(resolve)).then(() => shutdown.begin('four')),
  ]);
  reports.push(await shutdown.begin('five'));
  expect(new Set(reports).size).toBe(1);
  expect(reports[0]).toMatchObject({ reason: 'one', exitCode: 0, hooks: [{ name: 'db' }] });
  expect(count).toBe(1);
});

test('a hook that waits for the shutdown it belongs to is late, and holds up nobody else', async () => {
  using watched = new Watched();
  const { shutdown } = watched;
  shutdown.hook('after', () => {});
  shutdown.hook('circle', () => shutdown.begin(), { timeout: '50ms' });
  expect(await shutdown.begin()).toMatchObject({
    exitCode: 1,
    hooks: [
      { name: 'circle', outcome: 'late' },
      { name: 'after', outcome: 'done' },
    ],
  });
});

test('hooks may be registered and removed while it goes on: by themselves, by each other, while it waits', async () => {
  using watched = new Watched();
  const { shutdown } = watched;
  const ran: string[] = [];
  const removeOther = shutdown.hook('removed by another', () => void ran.push('removed by another'));
  const removeSelf: () => void = shutdown.hook('removes itself', () => {
    removeSelf();
    ran.push('removes itself');
  });
  shutdown.hook('removes another', () => {
    removeOther();
    ran.push('removes another');
  });
  const release = shutdown.track();
  const report = shutdown.begin();
  await watched.entered('waiting');
  shutdown.hook('late comer', () => void ran.push('late comer'));
  release();
  expect(await report).toMatchObject({ exitCode: 0, undone: [] });
  expect(ran).toEqual(['late comer', 'removes another', 'removes itself']);
});

test("what a late hook throws after its time is nobody else's trouble", async () => {
  using watched = new Watched();
  let fail: (error: Error) => void = () => {};
  watched.shutdown.hook(
    'late',
    () =>
      new Promise((_resolve, reject) => {
        fail = reject;
      }),
    { timeout: '20ms' },
  );
  const report = await watched.shutdown.begin();
  fail(new Error('much later'));
  await new Promise((resolve) => setImmediate(resolve));
  expect(report).toMatchObject({ exitCode: 1, hooks: [{ outcome: 'late' }], errors: [] });
});

test('a worker that never ends, and one that ends late, are told apart', async () => {
  using watched = new Watched({ timeout: 300 });
  const { shutdown } = watched;
  shutdown.worker('endless', () => new Promise(() => {}));
  shutdown.worker(
    'polite',
    (signal) => new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve())),
  );
  const report = await shutdown.begin();
  expect(report).toMatchObject({
    exitCode: 1,
    undone: ['worker "endless" had not ended'],
    workers: [
      { name: 'endless', outcome: 'late' },
      { name: 'polite', outcome: 'done' },
    ],
  });
});

test('a hundred shutdowns take the signals once, and give them back when the last is disposed of', async () => {
  const events = ['SIGTERM', 'SIGINT', 'uncaughtException', 'unhandledRejection', 'beforeExit'];
  const counts = () => events.map((event) => process.listenerCount(event));
  const before = counts();
  const warnings: unknown[] = [];
  const warn = (warning: unknown): void => void warnings.push(warning);
  process.on('warning', warn);
  const many = Array.from({ length: 100 }, () => createShutdown());
  expect(counts()).toEqual(before.map((count) => count + 1));
  for (const one of many.slice(1)) one.dispose();
  expect(counts()).toEqual(before.map((count) => count + 1));
  many[0]?.dispose();
  many[0]?.dispose();
  expect(counts()).toEqual(before);
  await new Promise((resolve) => setImmediate(resolve));
  process.off('warning', warn);
  expect(warnings).toEqual([]);
});

test('"await using" runs it at the end of the block and gives the signals back', async () => {
  const before = process.listenerCount('SIGTERM');
  const ran: string[] = [];
  {
    await using shutdown = createShutdown();
    shutdown.hook('db', () => void ran.push('db'));
    expect(process.listenerCount('SIGTERM')).toBe(before + 1);
    ran.push('body');
  }
  expect(ran).toEqual(['body', 'db']);
  expect(process.listenerCount('SIGTERM')).toBe(before);
});

test('dispose() in the middle lets the shutdown go on to its end', async () => {
  using watched = new Watched();
  const release = watched.shutdown.track();
  watched.shutdown.hook('db', () => {});
  const report = watched.shutdown.begin();
  await watched.entered('waiting');
  watched.shutdown.dispose();
  release();
  expect(await report).toMatchObject({ exitCode: 0, hooks: [{ name: 'db', outcome: 'done' }] });
});

test('a logger that cannot be flushed does not stop it', async () => {
  const silent = { info: () => {}, warn: () => {}, error: () => {} };
  const logger = { ...silent, flush: () => Promise.reject(new Error('no disk')) };
  using watched = new Watched({ logger });
  watched.shutdown.hook('db', () => {});
  expect(await watched.shutdown.begin()).toMatchObject({
    exitCode: 1,
    undone: ['flushing failed: no disk'],
    hooks: [{ outcome: 'done' }],
  });
});

test('a logger that throws does not stop it', async () => {
  const told: string[] = [];
  using watched = new Watched({
    logger: ({ msg }) => {
      told.push(msg);
      throw new Error('no logger');
    },
  });
  watched.shutdown.hook('db', () => {});
  expect(await watched.shutdown.begin()).toMatchObject({ exitCode: 0, hooks: [{ outcome: 'done' }] });
  expect(told.at(-1)).toMatch(/^shutdown: done in \d+ ms$/);
});

test('a full disk leaves the old state as it was, with nothing beside it, and is reported', async () => {
  await using home = new Home();
  const disk = join(home.folder, 'disk');
  mkdirSync(disk);
  if (!home.mountTmpfs(disk, '64k')) return;
  using watched = new Watched();
  const file = (name: string): string => join(name === 'full' ? disk : home.folder, `${name}.json`);
  for (const name of ['full', 'fine']) writeFileSync(file(name), '"old"');
  await watched.shutdown.persist('full', { file: file('full'), save: () => 'new' });
  await watched.shutdown.persist('fine', { file: file('fine'), save: () => 'new' });
  home.fill(join(disk, 'zeros'));
  const report = await watched.shutdown.begin();
  expect(report).toMatchObject({
    exitCode: 1,
    undone: ['state "full" failed: ENOSPC: no space left on device, write'],
  });
  expect(new Set(report.states.map(({ name, outcome }) => `${name} ${outcome}`))).toEqual(
    new Set(['fine done', 'full failed']),
  );
  expect([readFileSync(file('full'), 'utf8'), readFileSync(file('fine'), 'utf8')]).toEqual(['"old"', '"new"']);
  expect(readdirSync(disk).toSorted()).toEqual(['full.json', 'zeros']);
});

test('an empty file and one of zeros, as a crash leaves them, are kept aside', async () => {
  using folder = new Folder({ 'empty.json': '', 'zeros.json': '\0\0\0\0' });
  using watched = new Watched();
  for (const name of ['empty', 'zeros']) {
    const file = join(folder.path, `${name}.json`);
    expect(await watched.shutdown.persist(name, { file, save: () => [name], fallback: ['fallback'] })).toEqual([
      'fallback',
    ]);
  }
  await watched.shutdown.begin();
  expect(
    readdirSync(folder.path)
      .map((name) => name.replace(/\d+$/, 'N'))
      .toSorted(),
  ).toEqual(['empty.json', 'empty.json.broken-N', 'zeros.json', 'zeros.json.broken-N']);
});
