import { expect, test } from 'vitest';
import { App } from '../kit/app.ts';
import { get } from '../kit/client.ts';

/** Imports, and something that keeps the process alive. */
const BASE = `import { createShutdown } from 'gsup/app'; const alive = setInterval(() => {}, 1e6);`;
const say = (text: string): string => `console.log(${JSON.stringify(text)});`;

test.concurrent.each(['SIGTERM', 'SIGINT'] as const)(
  '%s begins it, hooks run, and the process ends with 0',
  async (signal) => {
    await using app = new App(`${BASE}
    const shutdown = createShutdown({ logger: ({ type, reason, trigger }) => type && console.log(reason, JSON.stringify(trigger)) });
    shutdown.hook('db', async () => { await null; ${say('closed')} });
    ${say('up')}`);
    await app.said('up');
    app.kill(signal);
    expect(await app.ended).toEqual({ code: 0, signal: null });
    expect(app.lines).toEqual(['up', 'closed', `${signal} {"kind":"signal","signal":"${signal}"}`]);
    expect(app.stderr).toBe('');
  },
);

test.concurrent("a signal of one's own choice begins it, the others end the process as ever", async () => {
  const script = `${BASE} createShutdown({ signals: ['SIGUSR2'] }).hook('x', () => { ${say('hook')} }); ${say('up')}`;
  await using asked = new App(script);
  await asked.said('up');
  asked.kill('SIGUSR2');
  expect(await asked.ended).toEqual({ code: 0, signal: null });
  expect(asked.lines).toEqual(['up', 'hook']);
  await using other = new App(script);
  await other.said('up');
  other.kill('SIGTERM');
  expect(await other.ended).toEqual({ code: null, signal: 'SIGTERM' });
});

test.concurrent('what is left undone is one line of JSON on stderr, and the exit status is 1', async () => {
  await using app = new App(`${BASE}
    const shutdown = createShutdown({ timeout: '200ms' });
    void shutdown.run('export', () => new Promise(() => {}));
    shutdown.hook('db', () => { throw new Error('gone'); });
    ${say('up')}`);
  await app.said('up');
  app.kill('SIGTERM');
  expect(await app.ended).toEqual({ code: 1, signal: null });
  expect(app.stderr.trim().split('\n')).toHaveLength(1);
  expect(app.report).toMatchObject({
    msg: 'shutdown: task "export" had not ended; hook "db" failed: gone',
    type: 'report',
    reason: 'SIGTERM',
    exitCode: 1,
    undone: ['task "export" had not ended', 'hook "db" failed: gone'],
  });
});

test.concurrent('a second SIGINT ends the process at once, with 130, and says what was pending', async () => {
  await using app = new App(`${BASE}
    const shutdown = createShutdown({ timeout: '1h', drainDelay: 0 });
    void shutdown.run('export', () => new Promise(() => {}));
    shutdown.signal.addEventListener('abort', () => { ${say('begun')} });
    ${say('up')}`);
  await app.said('up');
  app.kill('SIGINT');
  await app.said('begun');
  app.kill('SIGINT');
  expect(await app.ended).toEqual({ code: 130, signal: null });
  expect(app.report).toMatchObject({
    msg: 'shutdown cut short by second SIGINT',
    pending: { tasks: 1, names: ['export'] },
  });
});

test.concurrent('a repeated SIGTERM, and a SIGINT after a SIGTERM, change nothing', async () => {
  await using app = new App(`${BASE}
    const shutdown = createShutdown();
    let count = 0;
    const { promise, resolve } = (() => { let resolve; return { promise: new Promise((r) => { resolve = r; }), resolve }; })();
    void shutdown.run('job', () => promise);
    shutdown.hook('db', () => { ${say('closed')} });
    for (const signal of ['SIGTERM', 'SIGINT']) process.on(signal, () => { console.log(++count); if (count === 3) resolve(); });
    ${say('up')}`);
  await app.said('up');
  app.kill('SIGTERM');
  await app.said('1');
  app.kill('SIGTERM');
  await app.said('2');
  app.kill('SIGINT');
  expect(await app.ended).toEqual({ code: 0, signal: null });
  expect(app.lines).toEqual(['up', '1', '2', '3', 'closed']);
});

test.concurrent.each([
  ['an uncaught exception', `setImmediate(() => { throw new Error('kaboom'); });`],
  ['an unhandled rejection', `Promise.reject(new Error('kaboom'));`],
])('%s begins the same shutdown, with status 1 and the error in the report', async (_name, failure) => {
  await using app = new App(`${BASE}
    const shutdown = createShutdown();
    shutdown.hook('db', async () => { await null; ${say('closed')} });
    ${failure}`);
  expect(await app.ended).toEqual({ code: 1, signal: null });
  expect(app.lines).toEqual(['closed']);
  expect(app.stderr).toContain('Error: kaboom\n    at ');
  expect(app.report).toMatchObject({
    reason: 'uncaught error',
    trigger: { kind: 'error', error: 'Error: kaboom' },
    errors: ['kaboom'],
    undone: [],
    hooks: [{ name: 'db', outcome: 'done' }],
  });
});

test.concurrent('an error in the middle of a shutdown is reported, and the shutdown goes on', async () => {
  await using app = new App(`${BASE}
    const shutdown = createShutdown();
    shutdown.hook('second', async () => { ${say('second')} });
    shutdown.hook('first', async () => { setImmediate(() => { throw Object.assign(new Error('read ECONNRESET'), { code: 'ECONNRESET' }); }); await new Promise((r) => setTimeout(r, 50)); });
    ${say('up')}`);
  await app.said('up');
  app.kill('SIGTERM');
  expect(await app.ended).toEqual({ code: 1, signal: null });
  expect(app.lines).toEqual(['up', 'second']);
  expect(app.report).toMatchObject({
    reason: 'SIGTERM',
    errors: ['read ECONNRESET'],
    explanations: [{ mistake: 'connection-reset', where: 'uncaught error' }],
  });
});

test.concurrent('with "uncaught: false" errors are those of Node', async () => {
  await using app = new App(`${BASE}
    createShutdown({ uncaught: false }).hook('db', () => { ${say('closed')} });
    throw new Error('kaboom');`);
  expect(await app.ended).toEqual({ code: 1, signal: null });
  expect(app.lines).toEqual([]);
});

test.concurrent('hooks run at the normal end too, and the exit status stays', async () => {
  await using app = new App(`import { createShutdown } from 'gsup/app';
    const shutdown = createShutdown({ drainDelay: '1h' });
    shutdown.hook('db', async () => { await new Promise((r) => setTimeout(r, 10)); ${say('closed')} });
    process.exitCode = 3;`);
  expect(await app.ended).toEqual({ code: 3, signal: null });
  expect(app.lines).toEqual(['closed']);
});

test.concurrent('nothing of it keeps the process alive, a fork with a channel included', async () => {
  await using app = new App(
    `import { createShutdown } from 'gsup/app'; const shutdown = createShutdown(); shutdown.pool(1); shutdown.child(); ${say('up')}`,
    { ipc: true },
  );
  expect(await app.ended).toEqual({ code: 0, signal: null });
});

test.concurrent('the message "shutdown" begins it, and an app that listens to messages stays alive', async () => {
  await using app = new App(
    `import { createShutdown } from 'gsup/app';
    const shutdown = createShutdown({ logger: ({ trigger }) => trigger && console.log(trigger.kind) });
    process.on('message', (message) => console.log(message));
    ${say('up')}`,
    { ipc: true },
  );
  await app.said('up');
  app.child.send('hello');
  await app.said('hello');
  app.child.send('shutdown');
  expect(await app.ended).toEqual({ code: 0, signal: null });
  expect(app.lines).toEqual(['up', 'hello', 'shutdown', 'message']);
});

test.concurrent('however often it is created, by both copies of the library, signals have one handler and begin all', async () => {
  await using app = new App(`${BASE}
    import { createRequire } from 'node:module';
    const other = createRequire(process.cwd() + '/x.js')('gsup/app');
    const shutdowns = [createShutdown(), createShutdown(), other.createShutdown()];
    shutdowns.forEach((one, n) => one.hook('hook', () => console.log('hook ' + n)));
    shutdowns[2].hook('slow', () => new Promise((r) => setTimeout(r, 50)));
    console.log(['SIGTERM', 'SIGINT', 'uncaughtException', 'beforeExit'].map((event) => process.listenerCount(event)).join());
    ${say('up')}`);
  await app.said('up');
  app.kill('SIGTERM');
  expect(await app.ended).toEqual({ code: 0, signal: null });
  expect(app.lines.slice(0, 2)).toEqual(['1,1,1,1', 'up']);
  expect(app.lines.slice(2).sort()).toEqual(['hook 0', 'hook 1', 'hook 2']);
});

test.concurrent('dispose() gives the signals back', async () => {
  await using app = new App(
    `${BASE}
    const first = createShutdown(); const second = createShutdown({ signals: ['SIGUSR2'] });
    first.dispose();
    const count = () => ['SIGTERM', 'SIGINT', 'SIGUSR2', 'uncaughtException', 'unhandledRejection', 'beforeExit', 'message'].map((event) => process.listenerCount(event)).join();
    console.log(count());
    second.dispose(); second.dispose();
    console.log(count());
    ${say('up')}`,
    { ipc: true },
  );
  await app.said('up');
  expect(app.lines.slice(0, 2)).toEqual(['0,0,1,1,1,1,1', '0,0,0,0,0,0,0']);
  app.kill('SIGTERM');
  expect(await app.ended).toEqual({ code: null, signal: 'SIGTERM' });
});

test.concurrent('begin() leaves the end of the process to its caller, whose exit status is that of the report', async () => {
  await using app = new App(`import { createShutdown } from 'gsup/app';
    const shutdown = createShutdown();
    shutdown.hook('db', () => { throw new Error('x'); });
    const { exitCode } = await shutdown.begin('done');
    console.log('report', exitCode);
    await new Promise((r) => setTimeout(r, 20));
    ${say('still here')}`);
  expect(await app.ended).toEqual({ code: 1, signal: null });
  expect(app.lines).toEqual(['report 1', 'still here']);
});

test.concurrent('with "exit: always" begin() ends the process, with "exit: false" nothing does', async () => {
  await using always = new App(`${BASE} await createShutdown({ exit: 'always' }).begin(); ${say('reported')}`);
  expect(await always.ended).toEqual({ code: 0, signal: null });
  expect(always.lines).toEqual(['reported']);
  await using never = new App(`${BASE}
    const shutdown = createShutdown({ exit: false });
    shutdown.hook('x', () => { setTimeout(() => { ${say('after')} clearInterval(alive); }, 50); });
    ${say('up')}`);
  await never.said('up');
  never.kill('SIGTERM');
  expect(await never.ended).toEqual({ code: 0, signal: null });
  expect(never.lines).toEqual(['up', 'after']);
});

test.concurrent('a signal during begin() joins it, and ends the process', async () => {
  await using app = new App(`${BASE}
    const shutdown = createShutdown();
    shutdown.hook('slow', async () => { const told = new Promise((r) => process.once('SIGUSR2', r)); ${say('in hook')} await told; });
    void shutdown.begin('by hand').then(({ reason }) => console.log(reason));`);
  await app.said('in hook');
  app.kill('SIGTERM');
  app.kill('SIGUSR2');
  expect(await app.ended).toEqual({ code: 0, signal: null });
  expect(app.lines).toEqual(['in hook', 'by hand']);
});

test.concurrent('the deadline is the smallest of timeout and GSUP_GRACE_MS less a tenth, and at least half a second', async () => {
  const deadline = async (options: string, env: Record<string, string>): Promise<string> => {
    await using app = new App(
      `import { createShutdown } from 'gsup/app'; console.log((await createShutdown(${options}).begin()).deadlineMs);`,
      { env },
    );
    await app.ended;
    return app.stdout.trim();
  };
  expect(
    await Promise.all([
      deadline('', {}),
      deadline(`{ timeout: '25s' }`, {}),
      deadline(`{ timeout: '25s' }`, { GSUP_GRACE_MS: '10000' }),
      deadline(`{ timeout: '25s' }`, { GSUP_GRACE_MS: '2000' }),
      deadline(`{ timeout: '1s' }`, { GSUP_GRACE_MS: '60000' }),
      deadline('', { GSUP_GRACE_MS: '60000' }),
    ]),
  ).toEqual(['10000', '25000', '9000', '1500', '1000', '54000']);
});

test.concurrent('in Kubernetes a server goes on for 5 s before it closes, a job without one does not', async () => {
  const run = async (server: string): Promise<number> => {
    await using app = new App(
      `import { createShutdown } from 'gsup/app'; import http from 'node:http';
      const shutdown = createShutdown(); ${server}
      console.log((await shutdown.begin()).phases[0].ms);`,
      { env: { KUBERNETES_SERVICE_HOST: '10.0.0.1', GSUP_GRACE_MS: '60000' } },
    );
    await app.ended;
    return Number(app.stdout.trim());
  };
  const [job, server] = await Promise.all([run(''), run('shutdown.server(http.createServer());')]);
  expect(job).toBeLessThan(1000);
  expect(server).toBeGreaterThanOrEqual(4990);
});

test.concurrent('two handlers of a signal are explained', async () => {
  await using app = new App(`${BASE}
    const shutdown = createShutdown({ logger: ({ explanations }) => explanations && console.log(explanations.map(({ mistake, where }) => mistake + ' ' + where).join('; ')) });
    process.on('SIGTERM', () => {});
    shutdown.hook('db', () => {}); shutdown.hook('db', () => {});
    ${say('up')}`);
  await app.said('up');
  app.kill('SIGTERM');
  await app.ended;
  expect(app.lines[1]).toBe('handler-registered-twice hook "db"; handler-registered-twice 2 handlers of SIGTERM');
});

test.concurrent('pino loses no line, also when its destination is asynchronous', async () => {
  await using app = new App(`${BASE}
    import pino from 'pino';
    const destination = pino.destination({ dest: 1, sync: false, minLength: 4096 });
    const shutdown = createShutdown({ logger: pino({ base: null }, destination), flush: destination });
    shutdown.hook('db', () => {});
    process.stderr.write('up\\n');`);
  await new Promise((resolve) => app.child.stderr?.once('data', resolve));
  app.kill('SIGTERM');
  expect(await app.ended).toEqual({ code: 0, signal: null });
  const records = app.lines.map((line): { phase?: string; type?: string } => JSON.parse(line));
  expect(records.map(({ phase, type }) => phase ?? type)).toEqual([
    'draining',
    'closing-servers',
    'waiting',
    'persisting',
    'closing',
    'flushing',
    'report',
  ]);
});

test.concurrent.each([
  [
    'express',
    `import express from 'express'; const app = express(); app.use(shutdown.health); app.get('/slow', handle);
    const server = http.createServer(app);`,
  ],
  [
    'fastify',
    `import fastify from 'fastify'; const app = fastify(); app.get('/slow', (request, reply) => { reply.hijack(); handle(null, reply.raw); });
    app.get('/readyz', (request, reply) => { reply.hijack(); shutdown.health(request.raw, reply.raw); });
    await app.ready(); const { server } = app;`,
  ],
  [
    'hono',
    `import { createAdaptorServer } from '@hono/node-server'; import { Hono } from 'hono'; const app = new Hono();
    app.get('/slow', (c) => new Promise((resolve) => handle(null, { end: (text) => resolve(c.text(text)) })));
    app.get('/readyz', (c) => c.json({}, shutdown.signal.aborted ? 503 : 200));
    const server = createAdaptorServer(app);`,
  ],
])('%s needs no adapter', async (_name, made) => {
  await using app = new App(`import { createShutdown } from 'gsup/app'; import http from 'node:http';
    const shutdown = createShutdown();
    const handle = (request, response) => { ${say('asked')} shutdown.signal.addEventListener('abort', () => setTimeout(() => response.end('whole'), 50)); };
    ${made}
    shutdown.server(server);
    server.listen(0, '127.0.0.1', () => { shutdown.ready(); console.log('port ' + server.address().port); });`);
  const port = await app.port();
  expect((await get(port, '/readyz')).status).toBe(200);
  const answer = get(port, '/slow');
  await app.said('asked');
  app.kill('SIGTERM');
  expect(await answer).toMatchObject({ status: 200, body: 'whole', headers: { connection: 'close' } });
  expect(await app.ended).toEqual({ code: 0, signal: null });
  expect(app.stderr).toBe('');
});

test.concurrent('an uncaught error without a prototype begins the same shutdown', async () => {
  await using app = new App(`${BASE}
    createShutdown().hook('db', () => console.log('closed'));
    setImmediate(() => { throw Object.create(null); });`);
  expect(await app.ended).toEqual({ code: 1, signal: null });
  expect(app.lines).toEqual(['closed']);
});

test.concurrent('an app that waits for what never comes, at its top level, ends with 13 as ever', async () => {
  await using app = new App(`import { createShutdown } from 'gsup/app';
    createShutdown().hook('db', () => console.log('closed'));
    await new Promise(() => {});`);
  expect(await app.ended).toEqual({ code: 13, signal: null });
  expect(app.lines).toEqual(['closed']);
});

test.concurrent('what a hook leaves open does not keep a process that has nothing left to do', async () => {
  await using app = new App(
    `import { createShutdown } from 'gsup/app'; createShutdown().hook('metrics', () => { setInterval(() => {}, 1e6); });`,
  );
  expect(await app.ended).toEqual({ code: 0, signal: null });
});

test.concurrent('a shutdown that is created in the middle joins, and is waited for', async () => {
  await using app = new App(`${BASE}
    createShutdown({ timeout: '20s' }).hook('db', async () => {
      let reported;
      const isOver = new Promise((resolve) => (reported = resolve));
      const logger = ({ type, deadlineMs }) => type && reported(console.log(deadlineMs < 20_000 ? 'in its deadline' : deadlineMs));
      const late = createShutdown({ timeout: '20s', logger });
      late.hook('late', async () => { await new Promise(setImmediate); ${say('closed late')} });
      await isOver;
      createShutdown().hook('later', () => { ${say('closed later')} });
    });
    ${say('up')}`);
  await app.said('up');
  app.kill('SIGTERM');
  expect(await app.ended).toEqual({ code: 0, signal: null });
  expect(app.lines).toEqual(['up', 'closed late', 'in its deadline', 'closed later']);
});

test.concurrent('"exit: false" leaves the end to another shutdown in the process, which waits for it', async () => {
  await using app = new App(`${BASE}
    createShutdown({ exit: false }).hook('slow', async () => { await new Promise((resolve) => setTimeout(resolve, 50)); ${say('slow')} });
    createShutdown().hook('fast', () => { ${say('fast')} });
    ${say('up')}`);
  await app.said('up');
  app.kill('SIGTERM');
  expect(await app.ended).toEqual({ code: 0, signal: null });
  expect(app.lines).toEqual(['up', 'fast', 'slow']);
});
