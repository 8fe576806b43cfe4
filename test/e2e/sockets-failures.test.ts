/** Sockets that can't be had, or change hands, with the built command line. */
import { connect, createServer } from 'node:net';
import { expect, test } from 'vitest';
import { Folder, freePort, Gsup, isAlive } from '../kit/gsup.ts';
import { Home } from '../kit/home.ts';

const APP = `
const server = require('node:net').createServer((socket) => {
  // A check goes away before it has read.
  socket.on('error', () => {});
  socket.end(process.env.GSUP_SERVICE);
});
server.listen(Number(process.env.PORT), '127.0.0.1');
process.on('SIGTERM', () => server.close(() => process.exit(0)));
`;

test.concurrent('a port that somebody has is a failed start: told with its holder, stopped and deleted at once', async () => {
  await using home = new Home();
  await using held = await heldPort();
  const { status, stderr } = await home.run([
    ...['start', '--name', 'api', '--restart', 'never', '--socket', `127.0.0.1:${held.port}`],
    ...['--', 'sleep', '1000'],
  ]);
  expect(status).toBe(1);
  expect(stderr).toContain(`cannot listen on 127.0.0.1:${held.port}: it is held by pid ${process.pid} (`);
  expect(stderr).not.toContain('internal error');
  expect(await home.instance('api:0')).toMatchObject({ state: 'failed', pid: null });
  await home.ok(['stop', 'api']);
  await home.ok(['delete', 'api']);
});

test.concurrent('in the foreground a socket that can not be had leaves the other services as they are', async () => {
  using folder = new Folder();
  await using held = await heldPort();
  folder.write(
    'supervisor.yaml',
    `services:
  good: { command: sleep 1000 }
  bad: { command: sleep 1000, restart: never, sockets: { x: "127.0.0.1:${held.port}" } }
`,
  );
  await using gsup = new Gsup(['run', '-c', 'supervisor.yaml'], { cwd: folder.path });
  const { pid = 0 } = await gsup.record('spawned', 'good');
  const { reason } = await gsup.record('failed', 'bad');
  expect(reason).toContain('it is held by pid');
  expect(isAlive(pid)).toBe(true);
  gsup.kill('SIGTERM');
  await gsup.status();
  expect(isAlive(pid)).toBe(false);
});

test.concurrent('SIGHUP: an address goes from a removed service to one that changes, and to a new one', async () => {
  using folder = new Folder({ 'app.cjs': APP });
  const [first, second] = [await freePort(), await freePort()];
  const write = (services: Readonly<Record<string, number>>) =>
    folder.write('supervisor.yaml', `${fileOf(services)}  stays: { command: sleep 1000 }\n`);
  write({ a: first, b: second });
  await using gsup = new Gsup(['run', '-c', 'supervisor.yaml'], { cwd: folder.path });
  await gsup.record('ready', 'a');
  await gsup.record('ready', 'b');
  write({ b: first });
  gsup.kill('SIGHUP');
  await gsup.record('rolling-completed', 'b');
  expect(await answerAt(first)).toBe('b');
  write({ c: first });
  gsup.kill('SIGHUP');
  await gsup.record('ready', 'c');
  expect(await answerAt(first)).toBe('c');
  expect(gsup.records.filter(({ phase }) => phase === 'rolling-aborted' || phase === 'backoff')).toEqual([]);
});

test.concurrent('two sockets of the command line can not have one address', async () => {
  await using home = new Home();
  const port = await freePort();
  const sockets = ['--socket', `a=127.0.0.1:${port}`, '--socket', `b=127.0.0.1:${port}`];
  const { status } = await home.run(['start', '--name', 'api', ...sockets, '--', 'sleep', '1000']);
  expect(status).toBe(2);
});

function fileOf(services: Readonly<Record<string, number>>): string {
  const lines = Object.entries(services).map(
    ([name, port]) =>
      `  ${name}: { script: app.cjs, env: { PORT: "${port}" }, sockets: { s: "127.0.0.1:${port}" }, ready: { tcp: "127.0.0.1:${port}" }, rolling: { minReady: 0s } }\n`,
  );
  return `services:\n${lines.join('')}`;
}

async function heldPort(): Promise<{ readonly port: number } & AsyncDisposable> {
  const server = createServer();
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  const address = server.address();
  const port = typeof address === 'object' && address ? address.port : 0;
  return {
    port,
    [Symbol.asyncDispose]: () => new Promise((closed) => server.close(() => closed())),
  };
}

function answerAt(port: number): Promise<string> {
  return new Promise((answered, fail) => {
    let text = '';
    const socket = connect(port, '127.0.0.1');
    socket.setTimeout(10_000, () => socket.destroy(new Error(`nobody answered at ${port}`)));
    socket.on('data', (chunk) => {
      text += chunk;
    });
    socket.once('error', fail).once('close', () => answered(text));
  });
}
