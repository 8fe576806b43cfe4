import { connect } from 'node:net';
import { afterEach, describe, expect, test } from 'vitest';
import { FRESH } from '../../src/core/state.ts';
import { FakeSource, type HttpCall, running, Served, TOKEN } from '../kit/http.ts';
import { serviceSpec } from '../kit/spec.ts';

const BEARER = { authorization: `Bearer ${TOKEN}` };
const JSON_TYPE = { 'content-type': 'application/json' };

let served: Served | null = null;
afterEach(async () => {
  await served?.[Symbol.asyncDispose]();
  served = null;
});

async function serve(spec: Parameters<typeof Served.begin>[1] = {}): Promise<Served> {
  const source = new FakeSource(serviceSpec({ name: 'api', instances: 2 }), serviceSpec({ name: 'db' }));
  served = await Served.begin(source, spec);
  return served;
}

describe('health', () => {
  test('/livez and /readyz answer 200 when everything is there', async () => {
    const { ask } = bound(await serve());
    expect(await ask('/livez')).toMatchObject({ status: 200, body: '{"status":"live"}\n' });
    expect(await ask('/readyz')).toMatchObject({ status: 200, body: '{"status":"ready","ready":true}\n' });
  });

  test('/readyz names the services that are not ready, and their instances', async () => {
    const { ask, source } = bound(await serve());
    source.become('api', 1, { ...FRESH, name: 'backoff', until: Date.now() + 1_000, reason: 'exit 1' });
    const { status, body } = await ask('/readyz');
    expect(status).toBe(503);
    expect(JSON.parse(body)).toEqual({
      status: 'not-ready',
      ready: false,
      services: [{ service: 'api', ready: 1, wanted: 2, instances: { 'api:1': 'backoff' } }],
    });
    source.become('api', 1, running(1));
    expect((await ask('/readyz')).status).toBe(200);
  });

  test('what has done its work is ready', async () => {
    const { ask, source } = bound(await serve());
    source.become('db', 0, { ...FRESH, name: 'exited' });
    expect((await ask('/readyz')).status).toBe(200);
  });

  test('/readyz says draining from the first moment of a shutdown, though all still run', async () => {
    const { ask, source } = bound(await serve());
    source.shutDown();
    const { status, body } = await ask('/readyz');
    expect([status, JSON.parse(body)]).toEqual([503, { status: 'draining', ready: false, services: [] }]);
    expect((await ask('/livez')).status).toBe(200);
  });

  test('needs no token', async () => {
    const { ask } = bound(await serve({ token: TOKEN }));
    expect((await ask('/livez')).status).toBe(200);
    expect((await ask('/readyz')).status).toBe(200);
  });

  test('HEAD is as GET, without a body', async () => {
    const { ask } = bound(await serve());
    expect(await ask('/readyz', { method: 'HEAD' })).toMatchObject({ status: 200, body: '' });
  });
});

describe('who may come', () => {
  const paths = [
    '/',
    '/livez',
    '/readyz',
    '/metrics',
    '/api/instances',
    '/api/events',
    '/api/logs?name=api',
    '/nothing',
  ];
  const foreign: readonly [string, Record<string, string>][] = [
    ['another Host', { Host: 'gsup.evil.example' }],
    ['another Host that begins like ours', { Host: 'localhost.evil.example:9615' }],
    ['another address as Host', { Host: '192.0.2.7:9615' }],
    ['another Origin', { Origin: 'https://evil.example' }],
    ['an Origin on another port of this machine', { Origin: 'http://localhost:1' }],
    ['an Origin of nobody', { Origin: 'null' }],
    [
      'a page of another site that does not read the answer',
      { 'Sec-Fetch-Site': 'cross-site', 'Sec-Fetch-Mode': 'no-cors' },
    ],
    ['a page on another port of this machine', { 'Sec-Fetch-Site': 'same-site', 'Sec-Fetch-Mode': 'no-cors' }],
  ];

  test.each(foreign)('%s gets 403 everywhere, with the token or not, and learns nothing', async (_, headers) => {
    const { ask } = bound(await serve({ token: TOKEN }));
    for (const path of paths) {
      const answer = await ask(path, { headers: { ...headers, ...BEARER } });
      expect([path, answer.status]).toEqual([path, 403]);
      expect(answer.headers['access-control-allow-origin']).toBe(undefined);
    }
    const stop = { method: 'POST', headers: { ...headers, ...BEARER, ...JSON_TYPE }, body: '{"names":["api"]}' };
    expect((await ask('/api/stop', stop)).status).toBe(403);
    expect(served?.source.asked).toEqual([]);
  });

  test.each([
    'localhost',
    'localhost:9615',
    'LOCALHOST.',
    'gsup.localhost:9615',
    '127.0.0.1:1',
    '127.1.2.3',
    '[::1]:9615',
    'gsup.example.com',
    'gsup.example.com:443',
  ])('the Host %s is ours', async (Host) => {
    const { ask } = bound(await serve({ hosts: ['gsup.example.com'] }));
    expect((await ask('/readyz', { headers: { Host } })).status).toBe(200);
  });

  test('a request of HTTP/1.0 needs no Host: health checks of load balancers have none', async () => {
    const { port } = await serve();
    const socket = connect(port, '127.0.0.1');
    socket.write('GET /readyz HTTP/1.0\r\n\r\n');
    let text = '';
    for await (const part of socket) text += part;
    expect(text).toMatch(/^HTTP\/1\.1 200 /);
  });

  test('our own Origin is ours, behind a proxy too', async () => {
    const { ask, port } = bound(await serve({ hosts: ['gsup.example.com'] }));
    const origins = [
      { Origin: `http://127.0.0.1:${port}` },
      { Origin: 'http://localhost:1', Host: 'localhost:1' },
      { Origin: 'https://gsup.example.com', Host: 'gsup.example.com' },
      { Origin: 'https://gsup.example.com', Host: '127.0.0.1:9615' },
    ];
    for (const headers of origins) expect((await ask('/api/instances', { headers })).status).toBe(200);
  });

  test('a link from elsewhere opens the page, and nothing else', async () => {
    const { ask } = bound(await serve());
    const headers = { 'Sec-Fetch-Site': 'cross-site', 'Sec-Fetch-Mode': 'navigate' };
    expect((await ask('/', { headers })).status).toBe(200);
    expect((await ask('/api/instances', { headers })).status).toBe(403);
  });

  test('with a token nobody sees anything without it', async () => {
    const { ask } = bound(await serve({ token: TOKEN }));
    for (const path of ['/metrics', '/api/instances', '/api/events', '/api/logs?name=api']) {
      for (const authorization of ['', 'Bearer', `Bearer ${TOKEN}x`, `Bearer ${TOKEN.slice(1)}`, `Basic ${TOKEN}`]) {
        const { status, headers } = await ask(path, { headers: { authorization } });
        expect([path, status]).toEqual([path, 401]);
        expect(headers['www-authenticate']).toBe('Bearer realm="gsup"');
      }
    }
    expect((await ask('/metrics', { headers: BEARER })).status).toBe(200);
    expect((await ask('/api/instances', { headers: { cookie: `token=${TOKEN}` } })).status).toBe(401);
    expect((await ask(`/api/instances?token=${TOKEN}`)).status).toBe(401);
    // The page itself has nothing in it, and asks for the token.
    expect((await ask('/')).status).toBe(200);
  });
});

describe('what is changed', () => {
  const act = (call: HttpCall = {}): HttpCall => ({
    method: 'POST',
    headers: { ...BEARER, ...JSON_TYPE },
    body: '{"names":["api:0"]}',
    ...call,
  });

  test.each(['start', 'stop', 'restart', 'reload'] as const)('POST /api/%s does it, with the token', async (verb) => {
    const { ask, source } = bound(await serve({ token: TOKEN }));
    const { status, body } = await ask(`/api/${verb}`, act());
    expect(status).toBe(200);
    expect(JSON.parse(body.trim())).toMatchObject({ type: 'result', exitStatus: 0 });
    expect(source.asked).toEqual([{ verb, names: ['api:0'] }]);
    expect(source.notices).toEqual([`${verb} api:0: asked for over HTTP by 127.0.0.1`]);
  });

  test('nobody acts where there is no token', async () => {
    const { ask, source } = bound(await serve());
    expect(await ask('/api/stop', act())).toMatchObject({ status: 403 });
    expect(source.asked).toEqual([]);
  });

  test.each<[number, HttpCall]>([
    [401, { headers: JSON_TYPE }],
    [401, { headers: { ...JSON_TYPE, cookie: `token=${TOKEN}` } }],
    [415, { headers: BEARER }],
    [415, { headers: { ...BEARER, 'content-type': 'text/plain' } }],
    [415, { headers: { ...BEARER, 'content-type': 'application/x-www-form-urlencoded' }, body: 'names=api' }],
    [400, { body: 'names' }],
    [400, { body: '{}' }],
    [400, { body: '{"names":[]}' }],
    [400, { body: '{"names":[1]}' }],
    [413, { body: JSON.stringify({ names: ['x'.repeat(20_000)] }) }],
    [405, { method: 'GET', body: '' }],
    [405, { method: 'PUT' }],
    [405, { method: 'OPTIONS' }],
  ])('%d for %j, and nothing is done', async (expected, call) => {
    const { ask, source } = bound(await serve({ token: TOKEN }));
    const { status, headers } = await ask('/api/stop', act(call));
    expect(status).toBe(expected);
    expect(headers['access-control-allow-origin']).toBe(undefined);
    expect(source.asked).toEqual([]);
  });

  test('no GET changes anything, wherever it goes', async () => {
    const { ask, source } = bound(await serve({ token: TOKEN }));
    for (const path of ['/', '/livez', '/readyz', '/metrics', '/api/instances', '/api/stop?names=api', '/api/start'])
      await ask(path, { headers: BEARER });
    expect(source.asked).toEqual([]);
  });
});

describe('answers', () => {
  test('each keeps other sites out: policy, no sniffing, no referrer, no frames', async () => {
    const { ask } = bound(await serve());
    for (const path of ['/', '/page.js', '/livez', '/api/instances', '/nothing']) {
      const { headers } = await ask(path);
      expect(headers).toMatchObject({
        'content-security-policy':
          "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
        'x-content-type-options': 'nosniff',
        'referrer-policy': 'no-referrer',
        'x-frame-options': 'DENY',
        'cross-origin-resource-policy': 'same-origin',
      });
    }
  });

  test('a file of the page that the browser has is not sent again', async () => {
    const { ask } = bound(await serve());
    const { headers } = await ask('/page.js');
    const again = await ask('/page.js', { headers: { 'if-none-match': String(headers.etag) } });
    expect([again.status, again.body]).toEqual([304, '']);
  });

  test('all files of the page together have less than 100 kB', async () => {
    const { ask } = bound(await serve());
    const sizes = await Promise.all(
      ['/', '/page.js', '/page.css', '/icon.svg'].map(async (path) => Buffer.byteLength((await ask(path)).body)),
    );
    expect(sizes.reduce((sum, size) => sum + size, 0)).toBeLessThan(100_000);
  });

  test('logs are looked through and come line by line', async () => {
    const { ask, source } = bound(await serve());
    source.lines = ['one', 'two'].map((line) => ({ instance: 'api:0', at: 1, stream: 'stdout', line }));
    const { body } = await ask('/api/logs?name=api&lines=5&search=tw');
    expect(body).toBe('{"instance":"api:0","at":1,"stream":"stdout","line":"two"}\n');
    expect(source.queries).toEqual([{ name: 'api', lines: 5, search: 'tw', isFollowed: false }]);
    expect((await ask('/api/logs?name=nobody')).status).toBe(404);
    expect((await ask('/api/logs')).status).toBe(400);
    expect((await ask('/api/logs?name=api&lines=100000')).status).toBe(400);
  });

  test('what there is nothing of is not there', async () => {
    const { ask } = bound(await serve());
    expect((await ask('/api/timeline?service=api')).status).toBe(404);
    expect((await ask('/api/why?instance=api:0')).status).toBe(404);
    expect((await ask('/__proto__')).status).toBe(404);
    expect((await ask('/../../etc/passwd')).status).toBe(404);
  });

  test('who is slow to say what it wants is sent away, and others are served meanwhile', async () => {
    const { ask, port } = bound(await serve());
    const slow = Array.from({ length: 50 }, () => connect(port, '127.0.0.1'));
    for (const socket of slow) socket.on('error', () => {}).write('GET /livez HTTP/1.1\r\nHost: localhost\r\nX-Slow: ');
    expect((await ask('/livez')).status).toBe(200);
    const ends = slow.map((socket) => new Promise((resolve) => socket.resume().once('close', resolve)));
    await Promise.all(ends);
    expect((await ask('/livez')).status).toBe(200);
  });
});

function bound(one: Served) {
  return { ask: (path: string, call: HttpCall = {}) => one.ask(path, call), source: one.source, port: one.port };
}
