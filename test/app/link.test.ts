import { rmSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { App } from '../kit/app.ts';
import { Folder } from '../kit/gsup.ts';
import { News } from '../kit/news.ts';

type Message = { readonly type: string; readonly phase?: string; readonly pending?: Record<string, unknown> };

/** The test as the supervisor at the other end of the link. */
class Supervisor implements AsyncDisposable {
  readonly #folder = new Folder();
  readonly path = join(this.#folder.path, 'link.sock');
  readonly heard = new News<Message>();
  readonly #sockets = new Set<Socket>();
  #server: Server | null = null;

  async listen(): Promise<this> {
    const server = createServer((socket) => {
      this.#sockets.add(socket);
      let rest = '';
      socket.on('error', () => {});
      socket.setEncoding('utf8').on('data', (text: string) => {
        const lines = (rest + text).split('\n');
        rest = lines.pop() ?? '';
        for (const line of lines) this.heard.tell(JSON.parse(line));
      });
    });
    this.#server = server;
    await new Promise<void>((resolve) => server.listen(this.path, resolve));
    return this;
  }

  get environment(): Record<string, string> {
    return { GSUP_LINK: this.path, GSUP_ID: 'token', GSUP_GRACE_MS: '60000' };
  }

  say(message: unknown): void {
    for (const socket of this.#sockets)
      socket.write(`${typeof message === 'string' ? message : JSON.stringify(message)}\n`);
  }

  /** The n-th message of this type (and phase). */
  async message(type: string, { phase, nth = 1 }: { phase?: string; nth?: number } = {}): Promise<Message> {
    const matching = (all: readonly Message[]) =>
      all.filter((one) => one.type === type && (phase === undefined || one.phase === phase));
    const found = matching(await this.heard.until((all) => matching(all).length >= nth))[nth - 1];
    if (found === undefined) throw new Error('none');
    return found;
  }

  /** As after a kill -9. */
  async die(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    this.#sockets.clear();
    await new Promise((closed) => this.#server?.close(closed));
    rmSync(this.path, { force: true });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.die();
    this.#folder[Symbol.dispose]();
  }
}

const PHASES = ['draining', 'closing-servers', 'waiting', 'persisting', 'closing', 'flushing'];
const BASE = `import { createShutdown } from 'gsup/app'; const alive = setInterval(() => {}, 1e6);`;

test('the app says hello and ready, each phase with what is pending, and at last its report', async () => {
  await using supervisor = await new Supervisor().listen();
  await using app = new App(
    `${BASE} const shutdown = createShutdown(); shutdown.ready(); const release = shutdown.track('upload');
    process.on('SIGUSR2', release);`,
    { env: supervisor.environment },
  );
  await supervisor.message('ready');
  expect(supervisor.heard.all).toEqual([{ type: 'hello', id: 'token', pid: app.child.pid }, { type: 'ready' }]);
  app.kill('SIGTERM');
  const waiting = await supervisor.message('phase', { phase: 'waiting' });
  expect(waiting.pending).toEqual({
    requests: 0,
    connections: 0,
    websockets: 0,
    tasks: 0,
    workers: 0,
    tracked: 1,
    names: ['upload'],
  });
  app.kill('SIGUSR2');
  expect(await app.ended).toEqual({ code: 0, signal: null });
  expect(await supervisor.message('report')).toMatchObject({
    exitCode: 0,
    reason: 'SIGTERM',
    undone: [],
    deadlineMs: 54000,
  });
  const phases = supervisor.heard.all.map(({ type, phase }) => phase ?? type);
  expect([...new Set(phases)]).toEqual(['hello', 'ready', ...PHASES, 'report']);
});

test('counts that change while it waits are told', async () => {
  await using supervisor = await new Supervisor().listen();
  await using app = new App(
    `${BASE} const shutdown = createShutdown(); shutdown.ready(); const releases = [shutdown.track(), shutdown.track()];
    process.on('SIGUSR2', () => releases.pop()());`,
    { env: supervisor.environment },
  );
  await supervisor.message('ready');
  app.kill('SIGTERM');
  expect((await supervisor.message('phase', { phase: 'waiting' })).pending).toMatchObject({ tracked: 2 });
  app.kill('SIGUSR2');
  expect((await supervisor.message('phase', { phase: 'waiting', nth: 2 })).pending).toMatchObject({ tracked: 1 });
  app.kill('SIGUSR2');
  expect(await app.ended).toEqual({ code: 0, signal: null });
});

test('asked what is pending, it answers at any time', async () => {
  await using supervisor = await new Supervisor().listen();
  await using app = new App(
    `${BASE} const shutdown = createShutdown(); shutdown.ready(); void shutdown.run('export', () => new Promise(() => {}));`,
    { env: supervisor.environment },
  );
  await supervisor.message('ready');
  supervisor.say({ type: 'pending?' });
  expect(await supervisor.message('phase')).toMatchObject({
    phase: 'running',
    pending: { tasks: 1, names: ['export'] },
  });
  app.kill('SIGTERM');
  await supervisor.message('phase', { phase: 'waiting' });
  supervisor.say('no JSON');
  supervisor.say([]);
  supervisor.say({ type: 'unheard-of' });
  supervisor.say({ type: 'pending?' });
  expect(await supervisor.message('phase', { phase: 'waiting', nth: 2 })).toMatchObject({ pending: { tasks: 1 } });
});

test('"stop" begins it, and its deadline shortens the app\'s own, less a margin', async () => {
  await using supervisor = await new Supervisor().listen();
  await using app = new App(
    `${BASE} const shutdown = createShutdown({ timeout: '50s' }); shutdown.ready(); void shutdown.run('export', () => new Promise(() => {}));`,
    { env: supervisor.environment },
  );
  await supervisor.message('ready');
  supervisor.say({ type: 'stop', deadlineMs: 800, reason: 'gsup stop' });
  expect(await app.ended).toEqual({ code: 1, signal: null });
  const report = app.report;
  expect(report).toMatchObject({
    reason: 'gsup stop',
    trigger: { kind: 'supervisor' },
    undone: ['task "export" had not ended'],
  });
  expect(report.deadlineMs).toBeGreaterThanOrEqual(300);
  expect(report.deadlineMs).toBeLessThan(800);
  expect(await supervisor.message('report')).toMatchObject({ exitCode: 1, undone: report.undone });
});

test('a "stop" in the middle shortens a wait that has begun, and never lengthens it', async () => {
  await using supervisor = await new Supervisor().listen();
  await using app = new App(
    `${BASE} const shutdown = createShutdown({ timeout: '50s' }); shutdown.ready(); void shutdown.run('export', () => new Promise(() => {}));`,
    { env: supervisor.environment },
  );
  await supervisor.message('ready');
  app.kill('SIGTERM');
  await supervisor.message('phase', { phase: 'waiting' });
  supervisor.say({ type: 'stop', deadlineMs: 700, reason: 'gsup stop' });
  supervisor.say({ type: 'stop', deadlineMs: 70_000, reason: 'gsup stop' });
  expect(await app.ended).toEqual({ code: 1, signal: null });
  expect(app.report).toMatchObject({ reason: 'SIGTERM' });
  expect(app.report.durationMs).toBeLessThan(20_000);
});

test('it connects again after the supervisor was replaced, and says what the new one has to know', async () => {
  await using supervisor = await new Supervisor().listen();
  await using app = new App(`${BASE} const shutdown = createShutdown(); shutdown.ready();`, {
    env: supervisor.environment,
  });
  await supervisor.message('ready');
  await supervisor.die();
  await supervisor.listen();
  await supervisor.message('ready', { nth: 2 });
  expect(supervisor.heard.all.map(({ type }) => type)).toEqual(['hello', 'ready', 'hello', 'ready']);
  app.kill('SIGTERM');
  await app.ended;
  await supervisor.message('report');
});

test('a supervisor that is not there, or dies in the middle, changes nothing', async () => {
  const supervisor = await new Supervisor().listen();
  const { environment } = supervisor;
  await using orphan = new App(
    `${BASE} const shutdown = createShutdown(); shutdown.ready(); const release = shutdown.track();
    process.on('SIGUSR2', release);`,
    { env: environment },
  );
  await supervisor.message('ready');
  orphan.kill('SIGTERM');
  await supervisor.message('phase', { phase: 'waiting' });
  await supervisor[Symbol.asyncDispose]();
  orphan.kill('SIGUSR2');
  expect(await orphan.ended).toEqual({ code: 0, signal: null });
  expect(orphan.stderr).toBe('');
  await using alone = new App(`import { createShutdown } from 'gsup/app'; createShutdown().ready();`, {
    env: environment,
  });
  expect(await alone.ended).toEqual({ code: 0, signal: null });
  expect(alone.stderr).toBe('');
});

test('the link does not keep the process alive, and several shutdowns share it', async () => {
  await using supervisor = await new Supervisor().listen();
  await using app = new App(
    `${BASE} createShutdown().ready(); createShutdown().ready();
    process.once('SIGUSR2', () => clearInterval(alive));`,
    { env: supervisor.environment },
  );
  await supervisor.message('ready', { nth: 2 });
  app.kill('SIGUSR2');
  expect(await app.ended).toEqual({ code: 0, signal: null });
  await supervisor.message('report', { nth: 2 });
  expect(supervisor.heard.all.filter(({ type }) => type === 'hello')).toHaveLength(1);
});

test('both copies of the library share it', async () => {
  await using supervisor = await new Supervisor().listen();
  await using app = new App(
    `${BASE} import { createRequire } from 'node:module';
    createShutdown().ready(); createRequire(process.cwd() + '/x.js')('gsup/app').createShutdown().ready();`,
    { env: supervisor.environment },
  );
  await supervisor.message('ready', { nth: 2 });
  app.kill('SIGTERM');
  expect(await app.ended).toEqual({ code: 0, signal: null });
  await supervisor.message('report', { nth: 2 });
  expect(supervisor.heard.all.filter(({ type }) => type === 'hello')).toHaveLength(1);
});

test('a worker thread has none', async () => {
  await using supervisor = await new Supervisor().listen();
  await using app = new App(
    `${BASE} import { Worker } from 'node:worker_threads';
    new Worker(\`import('gsup/app').then(async ({ createShutdown }) => {
      createShutdown().ready();
      const { connect } = await import('node:net');
      connect(process.env.GSUP_LINK).end('{"type":"thread"}\\\\n', () => console.log('spoken'));
    })\`, { eval: true });`,
    { env: supervisor.environment },
  );
  await app.said('spoken');
  await supervisor.message('thread');
  expect(supervisor.heard.all).toEqual([{ type: 'thread' }]);
});

test('phases that were entered before the link stood are told when it does', async () => {
  const supervisor = new Supervisor();
  await using app = new App(
    `${BASE} const shutdown = createShutdown({ logger: ({ phase }) => phase && console.log(phase) });
    const release = shutdown.track('upload'); process.on('SIGUSR2', release); console.log('up');`,
    { env: supervisor.environment },
  );
  await app.said('up');
  app.kill('SIGTERM');
  await app.said('waiting');
  await supervisor.listen();
  await using _ = supervisor;
  await supervisor.message('phase', { phase: 'waiting' });
  app.kill('SIGUSR2');
  expect(await app.ended).toEqual({ code: 0, signal: null });
  const phases = supervisor.heard.all.map(({ type, phase }) => phase ?? type);
  expect(phases.slice(0, 4)).toEqual(['hello', 'draining', 'closing-servers', 'waiting']);
  expect(phases.at(-1)).toBe('report');
});

test('a shutdown that was over before the link stood is told in whole, with its report', async () => {
  const supervisor = new Supervisor();
  await using app = new App(
    `${BASE} const shutdown = createShutdown({ logger: ({ phase }) => phase && console.log(phase) });
    process.on('SIGUSR2', () => {});
    shutdown.hook('last', () => new Promise((resolve) => process.on('SIGUSR2', resolve)), { phase: 'flush' }); console.log('up');`,
    { env: supervisor.environment },
  );
  await app.said('up');
  app.kill('SIGTERM');
  await app.said('flushing');
  await supervisor.listen();
  await using _ = supervisor;
  app.kill('SIGUSR2');
  expect(await app.ended).toEqual({ code: 0, signal: null });
  const told = await supervisor.heard.until((all) => all.some(({ type }) => type === 'report'));
  const phases = told.map(({ type, phase }) => phase ?? type);
  expect([...new Set(phases)]).toEqual(['hello', ...PHASES, 'report']);
});
