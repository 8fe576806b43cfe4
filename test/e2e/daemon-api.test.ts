import { spawnSync } from 'node:child_process';
import { request } from 'node:http';
import { expect, test } from 'vitest';
import { fixture } from '../kit/gsup.ts';
import { Home } from '../kit/home.ts';
import { Stage } from '../kit/puppet.ts';

const SLEEP = ['--ready', 'exec:true', '--', 'sleep', '1000'];
const JSON_TYPE = { 'content-type': 'application/json' };

test.concurrent('ping and the list are plain HTTP and JSON on the socket, with version and protocol in the headers', async () => {
  await using home = new Home();
  await home.ok(['start', '--name', 'api', ...SLEEP]);
  const ping = await home.call('/v1/ping');
  expect(ping.status).toBe(200);
  expect(JSON.parse(ping.body)).toMatchObject({ protocol: 2, home: home.path, services: 1, instances: 1 });
  expect(ping.headers['gsup-protocol']).toBe('2');
  expect(ping.headers['gsup-version']).toBe(JSON.parse(ping.body).version);
  const list = await home.call('/v1/instances');
  expect(list.headers['content-type']).toContain('application/json');
  expect(JSON.parse(list.body)).toMatchObject([
    { service: 'api', instance: 'api:0', index: 0, state: 'running', ready: true, restarts: 0, lastExit: null },
  ]);
});

test.concurrent('curl works on the socket', async (context) => {
  await using home = new Home();
  if (spawnSync('curl', ['--version']).status !== 0) context.skip();
  await home.ok(['start', '--name', 'api', ...SLEEP]);
  const curl = (...args: string[]) =>
    spawnSync('curl', ['-sS', '--max-time', '10', '--unix-socket', home.file('gsup.sock'), ...args]).stdout.toString();
  expect(JSON.parse(curl('http://gsup/v1/instances'))).toHaveLength(1);
  const lines = curl('-d', '{"names":["api"]}', 'http://gsup/v1/stop')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
  expect(lines.at(-1)).toMatchObject({ type: 'result', exitStatus: 0, outcomes: [{ instance: 'api:0', isOk: true }] });
  expect(lines.filter(({ type }) => type === 'record').map(({ record }) => record.phase)).toContain('signal-sent');
});

test.concurrent('what is asked wrongly is refused: 404, 400, 405 or 404, 422, 426, and the daemon goes on', async () => {
  await using home = new Home();
  await home.ok(['ls']);
  const daemon = await home.daemonPid();
  const post = (path: string, body: string, headers: Record<string, string> = {}) =>
    home.call(path, { method: 'POST', body, headers: { ...JSON_TYPE, ...headers } });
  expect((await home.call('/v1/nothing')).status).toBe(404);
  expect((await home.call('/')).status).toBe(404);
  expect((await home.call('/v1/ping', { method: 'DELETE' })).status).toBeGreaterThanOrEqual(404);
  for (const body of ['', '{', 'null', '5', '"text"', '[]', '{"names":[]}', '{"names":"api"}', '{"names":[1]}'])
    expect((await post('/v1/stop', body)).status, body).toBe(400);
  expect((await post('/v1/scale', '{"name":"api","instances":-1}')).status).toBe(400);
  expect((await post('/v1/scale', '{"name":"api","instances":1e9}')).status).toBe(400);
  expect(
    (await post('/v1/apply', '{"services":[{"name":"api"}],"environment":{},"isWhole":false,"isDryRun":false}')).status,
  ).toBe(400);
  expect((await home.call('/v1/logs?lines=many')).status).toBe(400);
  expect((await home.call('/v1/services/%E0%A4%A')).status).toBeLessThan(500);
  const unknown = await home.call('/v1/services/nobody');
  expect({ status: unknown.status, ...JSON.parse(unknown.body) }).toMatchObject({
    status: 422,
    error: 'no service nobody',
    exitStatus: 4,
  });
  const other = await home.call('/v1/instances', { headers: { 'gsup-protocol': '99' } });
  expect({ status: other.status, ...JSON.parse(other.body) }).toMatchObject({
    status: 426,
    error: 'the daemon speaks protocol 2, this command 99',
    hint: 'replace the daemon and leave the services running: gsup update',
  });
  expect((await home.call('/v1/ping', { headers: { 'gsup-protocol': '99' } })).status).toBe(200);
  expect(await home.daemonPid()).toBe(daemon);
});

test.concurrent('names of prototypes in every place of the API are unknown, and harm nobody', async () => {
  await using home = new Home();
  await home.ok(['ls']);
  const daemon = await home.daemonPid();
  for (const name of ['constructor', '__proto__', 'toString']) {
    for (const verb of ['start', 'stop', 'restart', 'delete']) {
      const { body } = await home.call(`/v1/${verb}`, {
        method: 'POST',
        body: JSON.stringify({ names: [name] }),
        headers: JSON_TYPE,
      });
      expect(JSON.parse(body.trim().split('\n').at(-1) ?? ''), `${verb} ${name}`).toMatchObject({ exitStatus: 4 });
    }
    const scale = await home.call('/v1/scale', {
      method: 'POST',
      body: JSON.stringify({ name, instances: 2 }),
      headers: JSON_TYPE,
    });
    expect(scale.body).toContain('"exitStatus":4');
    expect((await home.call(`/v1/services/${name}`)).status).toBe(422);
    expect(
      (await home.call(`/v1/services/${name}/environment`, { method: 'POST', body: '{}', headers: JSON_TYPE })).status,
    ).toBe(422);
    expect((await home.call(`/v1/logs?names=${name}`)).status).toBe(422);
  }
  expect(await home.daemonPid()).toBe(daemon);
});

test.concurrent('events are NDJSON and follow; a reader that goes away leaves nothing behind', async () => {
  await using home = new Home();
  await home.ok(['ls']);
  await using events = home.begin(['events', '-f', '--json']);
  await home.ok(['start', '--name', 'api', ...SLEEP]);
  await events.said(/"phase":"spawned"/);
  await home.ok(['stop', 'api']);
  await events.said(/"phase":"stopped"/);
  const phases = events.output
    .split('\n')
    .slice(0, -1)
    .map((line) => JSON.parse(line).phase);
  expect(phases).toContain('signal-sent');
  events.kill('SIGKILL');
  await events.ended;
  const descriptors = () => home.descriptors(home.daemonPids()[0] ?? 0);
  await home.call('/v1/ping');
  const before = descriptors();
  for (let count = 0; count < 20; count++) {
    const stream = request({
      socketPath: home.file('gsup.sock'),
      path: '/v1/events?follow=true&lines=0',
      agent: false,
    });
    await new Promise<void>((open) => {
      stream.on('response', (response) => {
        response.destroy();
        open();
      });
      stream.on('error', () => {});
      stream.end();
    });
  }
  await home.until('the descriptors to be given back', () => (descriptors() <= before ? true : undefined));
});

test.concurrent('a client that leaves in the middle of an operation leaves it going on', async () => {
  await using home = new Home();
  await using stage = new Stage();
  await home.ok(['start', fixture('puppet.mjs'), '--name', 'api', '--grace', '1m', '--ready', 'exec:true'], {
    env: await stage.environment(),
  });
  const puppet = await stage.connected();
  await puppet.send({ act: 'report', signal: 'SIGTERM' });
  const stop = request({
    socketPath: home.file('gsup.sock'),
    path: '/v1/stop',
    method: 'POST',
    headers: JSON_TYPE,
    agent: false,
  });
  stop.on('error', () => {});
  stop.end('{"names":["api"]}');
  await puppet.heard('SIGTERM');
  stop.destroy();
  await puppet.send({ act: 'exit' });
  expect(await home.record('stopped', 'api:0')).toMatchObject({ verdict: 'clean' });
  expect(await home.instance('api:0')).toMatchObject({ state: 'stopped' });
});

test.concurrent('fifty calls at once are all answered', async () => {
  await using home = new Home();
  await home.ok(['start', '--name', 'api', '-i', '3', ...SLEEP]);
  const answers = await Promise.all(
    Array.from({ length: 50 }, (_, n) => home.call(n % 2 === 0 ? '/v1/instances?usage=true' : '/v1/services/api')),
  );
  expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200]));
});
