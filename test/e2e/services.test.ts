import { expect, test } from 'vitest';
import { Folder, fixture, freePort, Gsup } from '../kit/gsup.ts';

/** A service that says it is up and what it hears. */
const LOUD = `[sh, ${JSON.stringify(fixture('signals.sh'))}]`;

test('services start along their conditions and stop in waves, in reverse', async () => {
  using folder = new Folder({
    'supervisor.yaml': `
services:
  web:
    command: ${LOUD}
    dependsOn: [api]
  api:
    command: ${LOUD}
    ready: { log: ^up }
    dependsOn: { db: ready, migrate: completed }
  migrate:
    command: [sh, -c, 'sleep 0.1; echo migrated']
    restart: on-failure
    dependsOn: { db: started }
  db:
    command: ${LOUD}
    ready: { exec: [sh, -c, 'sleep 0.05'], interval: 10ms }
`,
  });
  await using gsup = new Gsup(['run', '-c', 'supervisor.yaml'], { cwd: folder.path });
  await gsup.record('spawned', 'web');
  const order = gsup.records.filter(({ phase }) => phase === 'spawned').map(({ service }) => service);
  expect(order).toEqual(['db', 'migrate', 'api', 'web']);
  gsup.kill('SIGTERM');
  expect(await gsup.status()).toBe(0);
  const told = gsup.records.filter(({ phase }) => ['wave-started', 'signal-sent', 'stopped'].includes(phase));
  expect(told.map(({ phase, service, instances }) => `${phase} ${service ?? instances}`)).toEqual([
    'wave-started web:0',
    'signal-sent web',
    'stopped web',
    'wave-started api:0',
    'signal-sent api',
    'stopped api',
    'wave-started db:0',
    'signal-sent db',
    'stopped db',
  ]);
});

test('those of one wave stop at the same time', async () => {
  using folder = new Folder({
    'supervisor.yaml': `
services:
  a: { script: ${fixture('slow.mjs')}, env: { SLOW_MS: 300 }, ready: { log: up } }
  b: { script: ${fixture('slow.mjs')}, env: { SLOW_MS: 300 }, ready: { log: up } }
`,
  });
  await using gsup = new Gsup(['run', '-c', 'supervisor.yaml'], { cwd: folder.path });
  await Promise.all([gsup.record('ready', 'a'), gsup.record('ready', 'b')]);
  gsup.kill('SIGTERM');
  expect(await gsup.status()).toBe(0);
  const phases = gsup.records.map(({ phase, service }) => `${phase} ${service}`);
  expect(phases.indexOf('signal-sent b')).toBeLessThan(phases.indexOf('exited a'));
});

test('a named service brings what it depends on, and nothing else', async () => {
  using folder = new Folder({
    'supervisor.yaml': `
services:
  a: { command: ${LOUD}, dependsOn: { b: started } }
  b: { command: ${LOUD} }
  c: { command: ${LOUD} }
`,
  });
  await using gsup = new Gsup(['run', '-c', 'supervisor.yaml', 'a'], { cwd: folder.path });
  await gsup.record('spawned', 'a');
  gsup.kill('SIGINT');
  expect(await gsup.status()).toBe(0);
  expect(new Set(gsup.records.flatMap(({ service }) => service ?? []))).toEqual(new Set(['a', 'b']));
});

test('when a critical service has failed for good, everything stops with status 1', async () => {
  using folder = new Folder({
    'supervisor.yaml': `
services:
  main: { script: ${fixture('crashing.mjs')}, critical: true, restart: { minDelay: 0s, limit: 1 }, dependsOn: [other] }
  other: { command: ${LOUD}, ready: { log: up } }
`,
  });
  await using gsup = new Gsup(['run', '-c', 'supervisor.yaml'], { cwd: folder.path });
  expect(await gsup.status()).toBe(1);
  expect(gsup.records.find(({ phase }) => phase === 'shutdown-started')?.reason).toBe('critical service main failed');
  expect(gsup.phases('other').at(-1)).toBe('stopped');
});

test('what depends on a failed service fails too, and says why', async () => {
  using folder = new Folder({
    'supervisor.yaml': `
services:
  api: { command: ${LOUD}, dependsOn: { migrate: completed } }
  migrate: { command: 'false', restart: never }
`,
  });
  await using gsup = new Gsup(['run', '-c', 'supervisor.yaml'], { cwd: folder.path });
  expect(await gsup.status()).toBe(1);
  expect((await gsup.record('failed', 'api')).reason).toBe('it depends on migrate, which did not get completed');
});

test.each([
  ['http', fixture('http-server.mjs'), '{ http: "http://127.0.0.1:PORT/readyz", interval: 20ms }'],
  ['tcp', fixture('http-server.mjs'), '{ tcp: "127.0.0.1:PORT", interval: 20ms }'],
  ['message', fixture('message-ready.mjs'), '{ message: true }'],
])('ready by %s', async (_, script, ready) => {
  const port = await freePort();
  using folder = new Folder({
    'supervisor.yaml': `
services:
  app: { script: ${script}, env: { PORT: ${port} }, ready: ${ready.replace('PORT', String(port))} }
`,
  });
  await using gsup = new Gsup(['run', '-c', 'supervisor.yaml'], { cwd: folder.path });
  await gsup.record('ready');
  gsup.kill('SIGTERM');
  expect(await gsup.status()).toBe(0);
});

test('a readiness timeout is a failed start', async () => {
  const options = ['--ready', 'tcp://127.0.0.1:1', '--ready-timeout', '200ms', '--restart', 'never'];
  await using gsup = new Gsup(['run', ...options, fixture('quiet.mjs')]);
  expect(await gsup.status()).toBe(124);
  expect(gsup.phases()).toEqual([
    'spawned',
    'ready-timeout',
    'stop-requested',
    'signal-sent',
    'exited',
    'logs-drained',
    'stopped',
    'failed',
  ]);
});

test('hooks: the drain delay is waited, the pre-stop hook runs, the message takes the place of the signal', async () => {
  using folder = new Folder({
    'supervisor.yaml': `
services:
  app:
    script: ${fixture('message-ready.mjs')}
    ready: { message: true }
    stop: { drainDelay: 100ms, preStop: { exec: [sh, -c, 'echo hook >hooked'] }, message: true }
`,
  });
  await using gsup = new Gsup(['run', '-c', 'supervisor.yaml'], { cwd: folder.path });
  await gsup.record('ready');
  gsup.kill('SIGTERM');
  expect(await gsup.status()).toBe(0);
  const rungs = ['stop-requested', 'draining', 'pre-stop', 'signal-sent', 'exited', 'logs-drained', 'stopped'];
  expect(gsup.phases()).toEqual(['spawned', 'ready', ...rungs]);
  expect(gsup.output).toContain('told to shut down');
});

test('a shutdown timeout cuts the grace periods of all', async () => {
  using folder = new Folder({
    'supervisor.yaml': `
shutdown: { timeout: 400ms }
services:
  app: { script: ${fixture('stubborn.mjs')}, ready: { log: ignoring }, stop: { grace: 1h } }
`,
  });
  await using gsup = new Gsup(['run', '-c', 'supervisor.yaml'], { cwd: folder.path });
  await gsup.record('ready');
  gsup.kill('SIGTERM');
  expect(await gsup.status()).toBe(1);
  expect((await gsup.record('signal-sent')).graceMs).toBe(400);
});

test('above its memory limit an instance is restarted gracefully', async () => {
  const script =
    'process.on("SIGTERM", () => process.exit(0)); const held = Buffer.alloc(150e6, 1); setInterval(() => held, 1e6)';
  await using gsup = new Gsup(['run', '--max-memory-restart', '100MB', '--', process.execPath, '-e', script]);
  await gsup.record('spawned', undefined, 2);
  expect((await gsup.record('stop-requested')).reason).toMatch(/^memory \d+MiB is above its limit of 95MiB$/);
  expect(gsup.phases()).toEqual([
    'spawned',
    'stop-requested',
    'signal-sent',
    'exited',
    'logs-drained',
    'stopped',
    'spawned',
  ]);
});

test('a file with mistakes starts nothing: status 78, every mistake with its place', async () => {
  using folder = new Folder({
    'supervisor.yaml': 'services:\n  api:\n    command: true\n    stop:\n      grase: 10s\n',
  });
  await using gsup = new Gsup(['run', '-c', 'supervisor.yaml'], { cwd: folder.path });
  expect(await gsup.status()).toBe(78);
  expect(gsup.stderr).toContain('supervisor.yaml:5:7 unknown key "grase" in services.api.stop; did you mean "grace"?');
});
