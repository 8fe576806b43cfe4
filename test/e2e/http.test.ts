import { chmodSync, existsSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { expect, test } from 'vitest';
import { freePort, Gsup } from '../kit/gsup.ts';
import { Home } from '../kit/home.ts';
import { ask } from '../kit/http.ts';

const TOKEN = 'a-token-of-the-tests';
const SERVICES = 'services: { api: { command: sleep 1000, instances: 2 } }\n';

function file(home: Home, http: string, services = SERVICES): string {
  return home.write('supervisor.yaml', `${http === '' ? '' : `http: ${http}\n`}${services}`);
}

async function status(port: number, path = '/readyz'): Promise<number | string> {
  return ask(port, path).then(
    (answer) => answer.status,
    (error) => error.code,
  );
}

test('nothing listens, and nothing is kept, where a file says nothing of it', async () => {
  await using home = new Home();
  await home.ok(['apply', '-c', file(home, '')]);
  expect(existsSync(home.file('http.json'))).toBe(false);
});

test('the daemon serves what its file says; the next one too', async () => {
  await using home = new Home();
  const port = await freePort();
  await home.ok(['apply', '-c', file(home, `{ listen: ${port}, token: ${TOKEN} }`)]);
  expect(await status(port)).toBe(200);
  expect(await status(port, '/metrics')).toBe(401);
  const headers = { authorization: `Bearer ${TOKEN}` };
  const metrics = await ask(port, '/metrics', { headers });
  expect(metrics.body).toContain('gsup_service_instances_up{service="api"} 2');
  expect(statSync(home.file('http.json')).mode & 0o777).toBe(0o600);
  await home.ok(['update']);
  await home.until('the next one', () => home.records.filter(({ reason }) => reason?.startsWith('http: listens'))[1]);
  expect(await status(port)).toBe(200);
  // Nobody gets to see it.
  for (const name of ['events.ndjson', 'state.json', 'daemon.log']) expect(home.read(name)).not.toContain(TOKEN);
  expect((await home.ok(['show', 'api', '--json'])).stdout).not.toContain(TOKEN);
});

test('apply moves it, changes its token, and turns it off', async () => {
  await using home = new Home();
  const [first, second] = [await freePort(), await freePort()];
  await home.ok(['apply', '-c', file(home, `{ listen: ${first} }`)]);
  expect(await status(first)).toBe(200);
  await home.ok(['apply', '-c', file(home, `{ listen: ${second} }`)]);
  expect([await status(first), await status(second)]).toEqual(['ECONNREFUSED', 200]);
  await home.ok(['apply', '-c', file(home, `{ listen: "0.0.0.0:${second}", token: ${TOKEN} }`)]);
  expect([await status(second), await status(second, '/api/instances')]).toEqual([200, 401]);
  // What is started beside has no say in it.
  await home.ok(['start', '--name', 'other', '--', 'sleep', '1000']);
  expect(await status(second)).toBe(200);
  await home.ok(['apply', '-c', file(home, '')]);
  expect(await status(second)).toBe('ECONNREFUSED');
});

test('start FILE turns it on, and a file without it leaves it as it is', async () => {
  await using home = new Home();
  const port = await freePort();
  await home.ok(['start', file(home, `{ listen: ${port} }`)]);
  expect(await status(port)).toBe(200);
  await home.ok(['start', file(home, '')]);
  expect(await status(port)).toBe(200);
});

test('SIGHUP reads the token file again', async () => {
  await using home = new Home();
  const port = await freePort();
  const tokenFile = home.write('token', `${TOKEN}\n`);
  chmodSync(tokenFile, 0o600);
  await home.ok(['apply', '-c', file(home, `{ listen: ${port}, tokenFile: token }`)]);
  const as = (token: string) => ask(port, '/api/instances', { headers: { authorization: `Bearer ${token}` } });
  expect((await as(TOKEN)).status).toBe(200);
  writeFileSync(tokenFile, 'another-token-of-the-tests\n');
  process.kill(await home.daemonPid(), 'SIGHUP');
  await home.record('notice');
  await home.until('the new token', () => (home.read('http.json').includes('another') ? true : undefined));
  expect((await as('another-token-of-the-tests')).status).toBe(200);
  expect((await as(TOKEN)).status).toBe(401);
});

test('a port that somebody has is told with who has it; the daemon goes on, and listens when it is free', async () => {
  await using home = new Home();
  const port = await freePort();
  const holder = createServer();
  await new Promise<void>((resolve) => holder.listen(port, '127.0.0.1', resolve));
  const { stderr } = await home.ok(['apply', '-c', file(home, `{ listen: ${port} }`)]);
  expect(stderr).toContain(`http: cannot listen on http://127.0.0.1:${port}: it is held by pid ${process.pid} (`);
  expect((await home.instance('api:0')).state).toBe('running');
  await new Promise((resolve) => holder.close(resolve));
  await home.until('listening', () => (/http: listens on/.test(home.read('events.ndjson')) ? true : undefined));
  expect(await status(port)).toBe(200);
});

test('services are started and stopped over it', async () => {
  await using home = new Home();
  const port = await freePort();
  await home.ok(['apply', '-c', file(home, `{ listen: ${port}, token: ${TOKEN} }`)]);
  const headers = { authorization: `Bearer ${TOKEN}`, 'content-type': 'application/json' };
  const post = (path: string, body: string) => ask(port, path, { method: 'POST', headers, body });
  const stopped = await post('/api/stop', '{"names":["api:1"]}');
  const lines = stopped.body
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
  expect(lines.at(-1)).toMatchObject({ type: 'result', exitStatus: 0, outcomes: [{ instance: 'api:1', isOk: true }] });
  expect(lines.some(({ record }) => record?.phase === 'signal-sent')).toBe(true);
  expect((await home.instance('api:1')).state).toBe('stopped');
  expect((await post('/api/start', '{"names":["api"]}')).status).toBe(200);
  expect((await home.instance('api:1')).state).toBe('running');
  const wrong = await post('/api/stop', '{"names":["nobody"]}');
  expect(JSON.parse(wrong.body)).toMatchObject({ exitStatus: 4, error: 'no service nobody' });
});

test('timeline and why are told over it, of those there are', async () => {
  await using home = new Home();
  const port = await freePort();
  await home.ok(['apply', '-c', file(home, `{ listen: ${port} }`)]);
  await home.ok(['stop', 'api:1']);
  const picture = await ask(port, '/api/timeline?service=api');
  expect([picture.status, picture.headers['content-type']]).toEqual([200, 'image/svg+xml']);
  expect(picture.body).toContain('stop of api:1: gsup stop');
  const why = await ask(port, '/api/why?instance=api:1');
  expect(JSON.parse(why.body).text).toContain('gsup stop');
  for (const path of ['/api/timeline?service=nobody', '/api/why?instance=nobody:0'])
    expect([path, await status(port, path)]).toEqual([path, 404]);
});

test('draining is said while the last service still stops', async () => {
  await using home = new Home();
  const port = await freePort();
  const stubborn = `services: { api: { command: [sh, -c, "trap '' TERM; while :; do sleep 0.1; done"], stop: { grace: 3s } } }\n`;
  await home.ok(['apply', '-c', file(home, `{ listen: ${port} }`, stubborn)]);
  process.kill(await home.daemonPid(), 'SIGTERM');
  await home.record('signal-sent', 'api:0');
  const { status: code, body } = await ask(port, '/readyz');
  expect([code, JSON.parse(body).status]).toEqual([503, 'draining']);
  await home.daemonGone();
  expect(await status(port)).toBe('ECONNREFUSED');
});

test('gsup run serves its file, with logs, and says draining to the end', async () => {
  await using home = new Home();
  const port = await freePort();
  const services = `services: { api: { command: [sh, -c, "trap '' TERM; echo hello; while :; do sleep 0.1; done"], stop: { grace: 2s } } }\n`;
  await using gsup = new Gsup(['run', '-c', file(home, `{ listen: ${port} }`, services)]);
  await gsup.said(/hello/);
  expect(await status(port)).toBe(200);
  const logs = await ask(port, '/api/logs?name=api&search=HELL');
  expect(JSON.parse(logs.body)).toMatchObject({ instance: 'api:0', stream: 'stdout', line: 'hello' });
  expect((await ask(port, '/api/timeline?service=api')).body).toContain('start of api:0');
  const { body } = await ask(port, '/metrics');
  expect(body).toContain('gsup_log_bytes_total{service="api"} 6');
  gsup.kill('SIGTERM');
  await gsup.record('signal-sent', 'api');
  expect((await ask(port, '/readyz')).status).toBe(503);
  expect(await gsup.status()).toBe(1);
});

test('gsup run does not start when the port is taken, and starts nothing', async () => {
  await using home = new Home();
  const port = await freePort();
  const holder = createServer();
  await new Promise<void>((resolve) => holder.listen(port, '127.0.0.1', resolve));
  await using gsup = new Gsup(['run', '-c', file(home, `{ listen: ${port} }`)]);
  expect(await gsup.status()).toBe(1);
  expect(gsup.stderr).toMatch(
    new RegExp(
      `cannot listen on http://127.0.0.1:${port}: it is held by pid ${process.pid} \\(.*\\)\\n.*kill ${process.pid}`,
      's',
    ),
  );
  expect(gsup.phases()).toEqual([]);
  await new Promise((resolve) => holder.close(resolve));
});

test('SIGHUP moves that of gsup run', async () => {
  await using home = new Home();
  const [first, second] = [await freePort(), await freePort()];
  const path = file(home, `{ listen: ${first} }`);
  await using gsup = new Gsup(['run', '-c', path]);
  await gsup.record('spawned', 'api', 2);
  file(home, `{ listen: ${second} }`);
  gsup.kill('SIGHUP');
  await gsup.until('the move', () => (gsup.stderr.includes(`:${second}`) ? true : undefined));
  expect([await status(first), await status(second)]).toEqual(['ECONNREFUSED', 200]);
  gsup.kill('SIGTERM');
  expect(await gsup.status()).toBe(0);
});
