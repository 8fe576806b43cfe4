import { connect, type Socket } from 'node:net';
import { expect, test } from 'vitest';
import { fixture, type Gsup } from '../kit/gsup.ts';
import { Home } from '../kit/home.ts';
import { type Puppet, Stage } from '../kit/puppet.ts';

const PUPPET = fixture('puppet.mjs');
const CEILING_MS = 15_000;

/** The test as the app at the end of a link. */
class App implements Disposable {
  readonly socket: Socket;
  readonly lines: Record<string, unknown>[] = [];
  isClosed = false;
  readonly #looks = new Set<() => void>();

  constructor(path: string) {
    let rest = '';
    this.socket = connect(path);
    this.socket.on('error', () => {});
    this.socket.setEncoding('utf8').on('data', (text: string) => {
      const lines = (rest + text).split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) this.lines.push(JSON.parse(line));
      this.#wake();
    });
    this.socket.on('close', () => {
      this.isClosed = true;
      this.#wake();
    });
  }

  say(message: unknown): void {
    this.socket.write(`${typeof message === 'string' ? message : JSON.stringify(message)}\n`);
  }

  /** Resolves when the other side has closed it. */
  closed(): Promise<true> {
    return this.#until('the link to be closed', () => (this.isClosed ? true : undefined));
  }

  /** The first line of this type. */
  heard(type: string): Promise<Record<string, unknown>> {
    return this.#until(`a line ${type}`, () => this.lines.find((line) => line['type'] === type));
  }

  [Symbol.dispose](): void {
    this.socket.destroy();
  }

  #until<T>(what: string, find: () => T | undefined): Promise<T> {
    return new Promise((found, fail) => {
      const look = (): void => {
        const result = find();
        if (result === undefined) return;
        clearTimeout(timer);
        this.#looks.delete(look);
        found(result);
      };
      const timer = setTimeout(
        () => fail(new Error(`waited in vain for ${what}: ${JSON.stringify(this.lines)}`)),
        CEILING_MS,
      );
      this.#looks.add(look);
      look();
    });
  }

  #wake(): void {
    for (const look of [...this.#looks]) look();
  }
}

type Started = {
  readonly start: Gsup & AsyncDisposable;
  readonly puppet: Puppet;
  readonly path: string;
  readonly id: string;
};

async function started(home: Home, stage: Stage, ...options: string[]): Promise<Started> {
  const start = home.begin(['start', PUPPET, '--name', 'api', '--grace', '1m', '--ready', 'exec:true', ...options], {
    env: await stage.environment(),
  });
  const puppet = await stage.connected();
  const { GSUP_LINK: path = '', GSUP_ID: id = '' } = puppet.hello.env;
  return { start, puppet, path, id };
}

test.concurrent('a hello with a wrong token, and anything before hello, is closed', async () => {
  await using home = new Home();
  await using stage = new Stage();
  const { path, start, id } = await started(home, stage);
  expect(await start.status()).toBe(0);
  const others = [
    { type: 'hello', id: '00000000-0000-0000-0000-000000000000' },
    { type: 'hello' },
    { type: 'ready' },
    { type: 'hello', id: '__proto__' },
    { type: 'hello', id: [id] },
  ];
  for (const message of others) {
    using stranger = new App(path);
    stranger.say(message);
    await stranger.closed();
  }
  using endless = new App(path);
  endless.socket.write('x'.repeat(200_000));
  await endless.closed();
  expect(await home.instance('api:0')).toMatchObject({ state: 'running' });
});

test.concurrent('a line that is not a JSON object ends the connection, and the app may connect again', async () => {
  await using home = new Home();
  await using stage = new Stage();
  const { start, path, id } = await started(home, stage);
  expect(await start.status()).toBe(0);
  for (const line of ['this is no JSON', '[]', 'null', '7', '']) {
    using app = new App(path);
    app.say({ type: 'hello', id });
    app.say(line);
    await app.closed();
  }
  using app = new App(path);
  app.say({ type: 'hello', id });
  app.say({ type: 'phase', phase: 'warming' });
  expect(await home.record('app-phase', 'api:0')).toMatchObject({ appPhase: 'warming' });
});

test.concurrent('ready over the link counts for "ready: message"', async () => {
  await using home = new Home();
  await using stage = new Stage();
  const { start, path, id, puppet } = await started(home, stage, '--ready', 'message');
  await home.record('spawned', 'api:0');
  using app = new App(path);
  app.say({ type: 'hello', id });
  expect(await home.instance('api:0')).toMatchObject({ state: 'starting', ready: false });
  app.say({ type: 'ready' });
  expect(await start.status()).toBe(0);
  expect(start.stderr).toContain(`✓ api:0  ready as ${puppet.pid}\n`);
});

test.concurrent('"ready" over the IPC channel of Node counts for "ready: message" too', async () => {
  await using home = new Home();
  await home.ok(['start', fixture('message-ready.mjs'), '--wait-ready']);
  expect(await home.instance('message-ready:0')).toMatchObject({ state: 'running', ready: true });
});

test.concurrent('a stop comes down the link with its deadline; phases and reports of the app are recorded', async () => {
  await using home = new Home();
  await using stage = new Stage();
  const { start, path, id, puppet } = await started(home, stage);
  expect(await start.status()).toBe(0);
  await puppet.send({ act: 'ignore', signal: 'SIGTERM' });
  using app = new App(path);
  app.say({ type: 'hello', id });
  app.say({ type: 'unheard-of' });
  app.say({ type: 'report', served: 3 });
  await home.record('app-phase', 'api:0');
  await using stop = home.begin(['stop', 'api']);
  const { deadlineMs, reason } = await app.heard('stop');
  expect(reason).toBe('gsup stop');
  expect(Number(deadlineMs)).toBeGreaterThan(50_000);
  expect(Number(deadlineMs)).toBeLessThanOrEqual(60_000);
  app.say({ type: 'phase', phase: 'waiting', pending: { requests: 2 } });
  expect(await home.record('app-phase', 'api:0', 2)).toMatchObject({ appPhase: 'waiting', pending: { requests: 2 } });
  await puppet.send({ act: 'exit' });
  expect(await stop.status()).toBe(0);
});

test.concurrent('after a kill -9 of the daemon the app connects again, is heard, and is told of its stop', async () => {
  await using home = new Home();
  await using stage = new Stage();
  const { start, path, id, puppet } = await started(home, stage);
  expect(await start.status()).toBe(0);
  using before = new App(path);
  before.say({ type: 'hello', id });
  await home.killDaemon();
  await before.closed();
  await home.ls();
  using app = new App(path);
  app.say({ type: 'hello', id });
  app.say({ type: 'phase', phase: 'warming' });
  expect(await home.record('app-phase', 'api:0')).toMatchObject({ appPhase: 'warming' });
  await puppet.send({ act: 'ignore', signal: 'SIGTERM' });
  await using stop = home.begin(['stop', 'api']);
  await app.heard('stop');
  await puppet.send({ act: 'exit' });
  expect(await stop.status()).toBe(0);
});

test.concurrent('the token of an earlier run is nobody', async () => {
  await using home = new Home();
  await using stage = new Stage();
  const { start, path, id, puppet } = await started(home, stage, '--restart-delay', '0');
  expect(await start.status()).toBe(0);
  await puppet.send({ act: 'exit', code: 1 });
  const next = await stage.connected();
  expect(next.hello.env['GSUP_ID']).not.toBe(id);
  using app = new App(path);
  app.say({ type: 'hello', id });
  await app.closed();
});
