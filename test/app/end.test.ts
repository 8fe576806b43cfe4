import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { App } from '../kit/app.ts';
import { get, Line } from '../kit/client.ts';
import { Folder } from '../kit/gsup.ts';

/** Imports, and something that keeps the process alive. */
const BASE = `import { createShutdown } from 'gsup/app'; const alive = setInterval(() => {}, 1e6);`;
const say = (text: string): string => `console.log(${JSON.stringify(text)});`;

const CATCHABLE = [
  'SIGHUP',
  'SIGINT',
  'SIGQUIT',
  'SIGILL',
  'SIGTRAP',
  'SIGABRT',
  'SIGBUS',
  'SIGFPE',
  'SIGSEGV',
  'SIGUSR2',
  'SIGTERM',
] as const;

test.concurrent.each(CATCHABLE)('%s begins it when it is one of several that were asked for', async (signal) => {
  await using app = new App(`${BASE}
    const shutdown = createShutdown({ signals: ${JSON.stringify(CATCHABLE)}, logger: ({ type, reason }) => type && console.log(reason) });
    shutdown.hook('db', async () => { await new Promise(setImmediate); ${say('closed')} });
    ${say('up')}`);
  await app.said('up');
  app.kill(signal);
  expect(await app.ended).toEqual({ code: 0, signal: null });
  expect(app.lines).toEqual(['up', 'closed', signal]);
});

test.concurrent.each([
  ['without a logger it is told on stderr', '', 1, 0],
  ['with a logger only to the logger', 'logger: (record) => record.type && console.log(record.msg),', 0, 1],
  ['with a logger that is silent nowhere', 'logger: () => {},', 0, 0],
])('what is left undone: %s', async (_name, logger, onStderr, onStdout) => {
  await using app = new App(`${BASE}
    const shutdown = createShutdown({ ${logger} timeout: 200 });
    shutdown.hook('db', () => new Promise(() => {}));
    ${say('up')}`);
  await app.said('up');
  app.kill('SIGTERM');
  expect(await app.ended).toEqual({ code: 1, signal: null });
  const told = /hook "db" had not ended after \d+ ms/g;
  expect([app.stderr.split('\n').filter((line) => line !== '').length, app.stdout.match(told)?.length ?? 0]).toEqual([
    onStderr,
    onStdout,
  ]);
});

test.concurrent('a second SIGINT after a SIGTERM and a SIGINT ends it at once, and the logger is told', async () => {
  await using app = new App(`${BASE}
    const shutdown = createShutdown({ timeout: '1h', logger: ({ type, msg }) => type && console.log(msg) });
    let ints = 0;
    process.on('SIGTERM', () => console.log('TERM'));
    process.prependListener('SIGINT', () => console.log('INT ' + ++ints));
    shutdown.hook('db', () => new Promise(() => {}));
    ${say('up')}`);
  await app.said('up');
  app.kill('SIGTERM');
  await app.said('TERM');
  app.kill('SIGINT');
  await app.said('INT 1');
  app.kill('SIGINT');
  expect(await app.ended).toEqual({ code: 130, signal: null });
  expect(app.lines).toEqual(['up', 'TERM', 'INT 1', 'INT 2', 'shutdown cut short by second SIGINT']);
  expect(app.stderr).toBe('');
});

test.concurrent.each(['SIGTERM', 'SIGINT'] as const)('two %s in one breath run every hook once', async (signal) => {
  await using app = new App(`${BASE}
    const shutdown = createShutdown();
    shutdown.hook('db', () => { ${say('closed')} });
    ${say('up')}`);
  await app.said('up');
  app.kill(signal);
  app.kill(signal);
  const { code } = await app.ended;
  // The kernel may make one of two that wait: then there was no second SIGINT.
  expect(app.lines.filter((line) => line === 'closed').length).toBeLessThanOrEqual(1);
  expect(signal === 'SIGTERM' ? [0] : [0, 130]).toContain(code);
});

test.concurrent.each([
  ['a rejection while it starts', `await Promise.reject(new Error('no config'));`],
  ['a throw while it starts', `throw new Error('no config');`],
  [
    'a rejection that nobody caught, before ready()',
    `void (async () => { throw new Error('no config'); })(); await new Promise(() => {});`,
  ],
])('%s: hooks of before run, readiness never came, status 1', async (_name, failure) => {
  await using app = new App(`${BASE}
    const shutdown = createShutdown();
    shutdown.hook('db', async () => { await new Promise(setImmediate); ${say('closed')} });
    ${failure}
    shutdown.ready(); ${say('never')}`);
  expect(await app.ended).toEqual({ code: 1, signal: null });
  expect(app.lines).toEqual(['closed']);
  expect(app.report).toMatchObject({ errors: ['no config'], trigger: { kind: 'error' } });
});

test.concurrent('errors during the shutdown, of a listener and of a hook, are all reported, and every hook runs', async () => {
  await using app = new App(`${BASE}
    const shutdown = createShutdown();
    shutdown.signal.addEventListener('abort', () => { throw new Error('listener'); });
    shutdown.hook('last', () => { ${say('last')} });
    shutdown.hook('loose', async () => { void Promise.reject(new Error('loose')); await new Promise((r) => setTimeout(r, 20)); });
    shutdown.hook('next tick', async () => { process.nextTick(() => { throw new Error('tick'); }); await new Promise((r) => setTimeout(r, 20)); });
    ${say('up')}`);
  await app.said('up');
  app.kill('SIGTERM');
  expect(await app.ended).toEqual({ code: 1, signal: null });
  expect(app.lines).toEqual(['up', 'last']);
  expect(app.report).toMatchObject({ reason: 'SIGTERM', errors: ['listener', 'tick', 'loose'], undone: [] });
});

test.concurrent('an error that began it makes the status 1 although everything was done', async () => {
  await using app = new App(`${BASE}
    const shutdown = createShutdown();
    shutdown.hook('db', () => { ${say('closed')} });
    setImmediate(() => { throw new Error('kaboom'); });`);
  expect(await app.ended).toEqual({ code: 1, signal: null });
  expect(app.lines).toEqual(['closed']);
});

test.concurrent('process.exit() has its own way: in a hook, and anywhere else', async () => {
  await using inHook = new App(`${BASE}
    const shutdown = createShutdown();
    shutdown.hook('never', () => { ${say('never')} });
    shutdown.hook('exit', () => process.exit(7));
    ${say('up')}`);
  await inHook.said('up');
  inHook.kill('SIGTERM');
  expect(await inHook.ended).toEqual({ code: 7, signal: null });
  expect(inHook.lines).toEqual(['up']);
  await using anywhere = new App(`${BASE} createShutdown().hook('never', () => { ${say('never')} }); process.exit(5);`);
  expect(await anywhere.ended).toEqual({ code: 5, signal: null });
  expect(anywhere.lines).toEqual([]);
});

test.concurrent('a reader of its output that has gone does not keep it from its hooks, nor alive', async () => {
  using folder = new Folder();
  const file = join(folder.path, 'closed');
  await using app = new App(
    `${BASE} import { writeFileSync } from 'node:fs';
    const shutdown = createShutdown({ timeout: 400 });
    void shutdown.run('export', () => new Promise(() => {}));
    shutdown.hook('db', async () => {
      console.log('nobody hears');
      await new Promise(setImmediate);
      writeFileSync(process.env.FILE, 'closed');
    });
    ${say('up')}`,
    { env: { FILE: file } },
  );
  await app.said('up');
  app.child.stdout?.destroy();
  app.child.stderr?.destroy();
  app.kill('SIGTERM');
  expect(await app.ended).toEqual({ code: 1, signal: null });
  expect(readFileSync(file, 'utf8')).toBe('closed');
});

test.concurrent('idle, silent and half-told connections do not keep the process, a busy one is answered', async () => {
  await using app = new App(`import { createShutdown } from 'gsup/app'; import http from 'node:http';
    const shutdown = createShutdown({ timeout: '1h' });
    let connections = 0;
    const server = shutdown.server(http.createServer((request, response) => {
      if (request.url === '/') return response.end('hello');
      ${say('asked')}
      shutdown.signal.addEventListener('abort', () => setTimeout(() => response.end('whole'), 100));
    }));
    server.on('connection', () => console.log('connection ' + ++connections));
    server.listen(0, '127.0.0.1', () => console.log('port ' + server.address().port));`);
  const port = await app.port();
  using idle = await Line.to(port);
  idle.get('/');
  await idle.heard('hello');
  using silent = await Line.to(port);
  using half = await Line.to(port);
  half.say('GET / HTTP/1.1\r\nHo');
  await app.said('connection 3');
  const answer = get(port, '/slow');
  await app.said('asked');
  app.kill('SIGTERM');
  expect(await answer).toMatchObject({ status: 200, body: 'whole', headers: { connection: 'close' } });
  await Promise.all([idle.closed(), silent.closed(), half.closed()]);
  expect(await app.ended).toEqual({ code: 0, signal: null });
  expect(app.stderr).toBe('');
});

test.concurrent('beside a worker thread that uses the library too, the process ends as ever', async () => {
  await using app = new App(`${BASE}
    import { Worker } from 'node:worker_threads';
    const shutdown = createShutdown();
    shutdown.hook('main', () => { ${say('main hook')} });
    const thread = (rest) => new Worker("import('gsup/app').then(({ createShutdown }) => { const shutdown = createShutdown(); shutdown.hook('thread', () => console.log('thread hook')); " + rest + " })", { eval: true });
    const short = thread('');
    await new Promise((resolve) => short.once('exit', (code) => { console.log('thread ended ' + code); resolve(); }));
    thread("setInterval(() => {}, 1e6); console.log('thread up')");`);
  await app.said('thread up');
  app.kill('SIGTERM');
  expect(await app.ended).toEqual({ code: 0, signal: null });
  expect(app.lines).toEqual(['thread hook', 'thread ended 0', 'thread up', 'main hook']);
});

test.concurrent('both copies of the library: a second SIGINT ends the process once, an error reaches both', async () => {
  const both = `${BASE} import { createRequire } from 'node:module';
    const other = createRequire(process.cwd() + '/x.js')('gsup/app');
    const shutdowns = [createShutdown(), other.createShutdown()];
    process.on('exit', (code) => console.log('exit ' + code));`;
  await using twice = new App(`${both}
    shutdowns[0].hook('db', () => { ${say('hanging')} return new Promise(() => {}); });
    ${say('up')}`);
  await twice.said('up');
  twice.kill('SIGINT');
  await twice.said('hanging');
  twice.kill('SIGINT');
  expect(await twice.ended).toEqual({ code: 130, signal: null });
  expect(twice.lines).toEqual(['up', 'hanging', 'exit 130']);
  await using failing = new App(`${both}
    shutdowns.forEach((one, n) => one.hook('db', () => console.log('hook ' + n)));
    setImmediate(() => { throw new Error('kaboom'); });`);
  expect(await failing.ended).toEqual({ code: 1, signal: null });
  expect(failing.lines.toSorted()).toEqual(['exit 1', 'hook 0', 'hook 1']);
});

test.concurrent('a GSUP_LINK that is not there, and one where somebody talks without end, change nothing', async () => {
  const script = `${BASE}
    const shutdown = createShutdown();
    shutdown.ready();
    shutdown.hook('db', () => { ${say('closed')} });
    ${say('up')}`;
  await using alone = new App(script, {
    env: { GSUP_LINK: '/nowhere/link.sock', GSUP_ID: 'token', GSUP_GRACE_MS: '60000' },
  });
  await alone.said('up');
  alone.kill('SIGTERM');
  expect(await alone.ended).toEqual({ code: 0, signal: null });
  expect([alone.lines, alone.stderr]).toEqual([['up', 'closed'], '']);

  using folder = new Folder();
  const path = join(folder.path, 'link.sock');
  const sockets = new Set<Socket>();
  const cuts = new Set<Socket>();
  const babbler = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    socket.on('close', () => cuts.add(socket));
    socket.resume();
    socket.write(Buffer.alloc(10_000_000, 'a'));
  });
  babbler.listen(path);
  await once(babbler, 'listening');
  await using app = new App(script, { env: { GSUP_LINK: path, GSUP_ID: 'token', GSUP_GRACE_MS: '60000' } });
  await app.said('up');
  await once(babbler, 'connection');
  if (sockets.size < 2) await once(babbler, 'connection');
  expect(cuts.size).toBeGreaterThan(0);
  app.kill('SIGTERM');
  expect(await app.ended).toEqual({ code: 0, signal: null });
  expect([app.lines, app.stderr]).toEqual([['up', 'closed'], '']);
  for (const socket of sockets) socket.destroy();
  babbler.close();
});
