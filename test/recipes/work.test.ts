import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { describe, expect, test } from 'vitest';
import { App } from '../kit/app.ts';
import { get, Line } from '../kit/client.ts';
import { Folder, fixture } from '../kit/gsup.ts';
import { Backend, PHASES, Program, WAYS } from './program.ts';

describe.each(WAYS)('%s', (way) => {
  test.concurrent('bullmq: a job in flight is finished, a long one goes back between two steps', async () => {
    await using backend = await Backend.open();
    await using program = new Program('bullmq.mjs', way, backend.env);
    await backend.asked('/ann');
    await backend.asked('/bob');
    await program.stop();
    await program.entered('waiting');
    await backend.answer('/ann', 'sent');
    await program.said(/welcome completed/);
    await backend.answer('/bob', 'sent');
    await program.ended();
    expect(backend.paths).toEqual(['/ann', '/bob']);
    const story = program.story();
    expect(story.slice(story.indexOf('[waiting]'), story.indexOf('[persisting]') + 1)).toEqual([
      '[waiting]',
      'welcome completed',
      'queued reminder from 0',
      'queued newsletter from 1',
      '[persisting]',
    ]);
  });

  test.concurrent('queue: the job in flight is finished, the others are done by the next process', async () => {
    using folder = new Folder();
    await using backend = await Backend.open();
    const env = { ...backend.env, QUEUE_FILE: join(folder.path, 'queue.json') };
    {
      await using program = new Program('queue.mjs', way, env);
      const port = await program.port();
      for (const job of ['one', 'two', 'three']) expect(await get(port, `/${job}`)).toMatchObject({ status: 202 });
      await backend.asked('/one');
      await program.stop();
      await program.entered('waiting');
      await backend.answer('/one', '');
      await program.ended();
      expect(program.story().slice(0, 2)).toEqual(['restored 0 jobs', 'port']);
      expect(program.story().slice(4, 7)).toEqual(['[waiting]', 'one done', '[persisting]']);
    }
    expect(readFileSync(env.QUEUE_FILE, 'utf8')).toBe('["two","three"]');
    await using program = new Program('queue.mjs', way, env);
    await program.port();
    await backend.answer('/two', '');
    await backend.asked('/three');
    await program.stop();
    await program.entered('waiting');
    await backend.answer('/three', '');
    await program.ended();
    expect(program.story().slice(0, 3)).toEqual(['restored 2 jobs', 'port', 'two done']);
    expect(readFileSync(env.QUEUE_FILE, 'utf8')).toBe('[]');
  });

  test.concurrent('pg: the pool is ended after the requests, the tasks and the hooks that use it', async () => {
    await using backend = await Backend.open();
    await using program = new Program('pg.mjs', way, backend.env);
    const port = await program.port();
    const order = get(port);
    await backend.asked('/price');
    await backend.asked('/customers');
    await program.stop();
    await program.entered('waiting');
    await backend.answer('/price', '42');
    expect(await order).toMatchObject({ status: 200, body: 'ordered\n' });
    await backend.answer('/customers', '[]');
    const report = await program.ended();
    expect(report.explanations).toEqual([]);
    const story = program.story();
    expect(story.slice(story.indexOf('[waiting]'))).toEqual([
      '[waiting]',
      'INSERT INTO orders (price) VALUES ($1)',
      'INSERT INTO customers SELECT * FROM json_populate_recordset(NULL::customers, $1)',
      '[persisting]',
      '[closing]',
      'INSERT INTO stops DEFAULT VALUES',
      'pool ended',
      '[flushing]',
      '[report]',
    ]);
  });

  test.concurrent('interval: a round that has begun is finished, the next does not begin', async () => {
    await using backend = await Backend.open();
    await using program = new Program('interval.mjs', way, { ...backend.env, EVERY_MS: '20' });
    await backend.answer('/clean', '');
    await backend.asked('/clean', 2);
    await program.stop();
    await program.entered('waiting');
    await backend.answer('/clean', '');
    await program.ended();
    expect(backend.paths).toEqual(['/clean', '/clean']);
    const story = program.story();
    expect(story.slice(story.indexOf('[waiting]'), story.indexOf('[persisting]'))).toEqual(['[waiting]', 'cleaned']);
  });

  test.concurrent('threads: what a thread works on is finished, who stands in line gets 503', async () => {
    await using backend = await Backend.open();
    await using program = new Program('threads.mjs', way, backend.env);
    const port = await program.port();
    const inWork = ['/1', '/2'].map((path) => get(port, path));
    await backend.asked('/1');
    await backend.asked('/2');
    using inLine = await Line.to(port);
    inLine.say('GET /3 HTTP/1.1\r\nHost: test\r\nExpect: 100-continue\r\n\r\n');
    await inLine.heard('100 Continue');
    await program.stop();
    await inLine.heard('503 Service Unavailable');
    await inLine.heard('cannot begin task "render /3": the app is shutting down');
    await program.entered('waiting');
    await backend.answer('/1', 'one');
    await backend.answer('/2', 'two');
    expect((await Promise.all(inWork)).map(({ status, body }) => `${status} ${body}`)).toEqual(['200 one', '200 two']);
    await program.ended();
    expect(backend.paths.toSorted()).toEqual(['/1', '/2']);
  });

  test.concurrent('pino: what the last hook logs is in the log, and the report is its last line', async () => {
    using folder = new Folder();
    const file = join(folder.path, 'app.log');
    await using program = new Program('pino.mjs', way, { LOG_FILE: file });
    const port = await program.port();
    using kept = await Line.to(port);
    kept.get('/first');
    await kept.heard('ok');
    using upload = await Line.to(port);
    upload.say('POST /upload HTTP/1.1\r\nHost: test\r\nContent-Length: 6\r\nExpect: 100-continue\r\n\r\nabc');
    await upload.heard('100 Continue');
    await program.stop();
    // Nothing is written yet, but what is idle is closed when the shutdown has begun.
    await kept.closed();
    expect(readFileSync(file, 'utf8')).toBe('');
    upload.say('def');
    await upload.heard('ok');
    const log = () => readFileSync(file, 'utf8');
    await program.ended(log);
    expect(program.story(log())).toEqual([
      'answered',
      '[draining]',
      '[closing-servers]',
      '[waiting]',
      'answered',
      '[persisting]',
      '[closing]',
      'cache closed',
      '[flushing]',
      '[report]',
    ]);
  });

  test.concurrent('typescript: the app itself reads the report, and ends by itself', async () => {
    using folder = new Folder();
    const file = join(folder.path, 'visits.json');
    await using program = new Program('typescript.ts', way, { VISITS_FILE: file });
    const port = await program.port();
    using upload = await Line.to(port);
    upload.say('POST /upload HTTP/1.1\r\nHost: test\r\nContent-Length: 6\r\nExpect: 100-continue\r\n\r\nabc');
    await upload.heard('100 Continue');
    await program.stop();
    await program.entered('waiting');
    upload.say('def');
    await upload.heard('\r\n1\n');
    await program.ended();
    const story = program.story().map((line) => line.replace(/ \d+ ms/, ''));
    const last = PHASES.map((phase) => `${phase} took`);
    expect(story).toEqual(['port', ...PHASES.map((phase) => `[${phase}]`), '[report]', ...last]);
    expect(JSON.parse(readFileSync(file, 'utf8'))).toMatchObject([{ path: '/upload' }]);
  });
});

test('pg: closed at the signal instead, the pool fails those who use it, and the report says why', async () => {
  const script = readFileSync(fixture('recipes/pg.mjs'), 'utf8')
    .replace("'./stand-ins/pg.mjs'", "'./fixtures/recipes/stand-ins/pg.mjs'")
    .replace(/shutdown\.hook\('database'.*/, "process.on('SIGTERM', () => pool.end());")
    .replace(/, logger: .*? }\)/, ' })');
  await using backend = await Backend.open();
  await using app = new App(script, { env: { ...backend.env, PORT: '0' } });
  const order = get(await app.port());
  await backend.asked('/price');
  await backend.asked('/customers');
  app.kill('SIGTERM');
  await app.said('pool ended');
  await backend.answer('/price', '42');
  expect(await order).toMatchObject({ status: 500, body: 'Cannot use a pool after calling end on the pool\n' });
  await backend.answer('/customers', '[]');
  expect(await app.ended).toMatchObject({ code: 1 });
  const tooEarly = { mistake: 'database-closed-too-early' };
  expect(app.report).toMatchObject({
    undone: [
      'task "import" failed: Cannot use a pool after calling end on the pool',
      'hook "last row" failed: Cannot use a pool after calling end on the pool',
    ],
    tasks: [{ name: 'import', outcome: 'failed' }],
    explanations: [
      { ...tooEarly, where: 'task "import"' },
      { ...tooEarly, where: 'hook "last row"' },
      { mistake: 'handler-registered-twice', where: '2 handlers of SIGTERM' },
    ],
  });
});

test('typescript: its types are right by what the package publishes', () => {
  const root = resolve(import.meta.dirname, '../..');
  using folder = new Folder();
  const config = {
    extends: join(root, 'tsconfig.json'),
    compilerOptions: { typeRoots: [join(root, 'node_modules/@types')] },
    files: [fixture('recipes/typescript.ts')],
    include: [],
  };
  const project = folder.write('tsconfig.json', JSON.stringify(config));
  const { status, stdout } = spawnSync(join(root, 'node_modules/.bin/tsc'), ['-p', project], { encoding: 'utf8' });
  expect({ status, stdout }).toEqual({ status: 0, stdout: '' });
});
