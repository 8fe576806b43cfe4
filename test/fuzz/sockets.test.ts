/** Every socket of a running daemon under mutated bytes: it stays the same process, answers at once and does not grow. */
import { readFileSync } from 'node:fs';
import { connect, type NetConnectOpts } from 'node:net';
import { expect, test } from 'vitest';
import { socketPath } from '../../src/api/home.ts';
import { fuzz, type Target } from '../kit/fuzz.ts';
import { freePort } from '../kit/gsup.ts';
import { Home } from '../kit/home.ts';

const TOKEN = 'a-token-of-the-tests';
const ANSWER_MS = 2_000;
const GROWTH_KB = 150_000;
/** The daemon may keep a silent connection; this side does not. */
const PATIENCE_MS = 25;

/** Sends the bytes on a connection of their own, half first, and reads what comes until it is closed. */
function send(to: NetConnectOpts, input: Buffer): Promise<void> {
  return new Promise((done) => {
    const socket = connect(to);
    socket.setTimeout(PATIENCE_MS, () => socket.destroy());
    socket.on('error', () => {}).on('close', () => done());
    socket.on('data', () => {});
    socket.on('connect', () => {
      socket.write(input.subarray(0, input.length >> 1));
      setImmediate(() => socket.end(input.subarray(input.length >> 1)));
    });
  });
}

function memoryKb(pid: number): number {
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]);
}

/** Fuzzes one door of a daemon, asking it in between. */
async function fuzzDoor(home: Home, target: Target): Promise<void> {
  const pid = await home.daemonPid();
  const before = memoryKb(pid);
  let count = 0;
  await fuzz({
    ...target,
    run: async (input) => {
      await target.run(input);
      if (count++ % 20 !== 0) return;
      const began = performance.now();
      expect(await home.daemonPid()).toBe(pid);
      expect(performance.now() - began).toBeLessThan(ANSWER_MS);
    },
  });
  expect(await home.daemonPid()).toBe(pid);
  expect(memoryKb(pid) - before).toBeLessThan(GROWTH_KB);
}

const request = (line: string, body = '') =>
  `${line} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
const HTTP_WORDS = [
  'HTTP/1.1\r\n',
  '\r\n\r\n',
  'Content-Length: ',
  'Transfer-Encoding: chunked\r\n',
  'Expect: 100-continue\r\n',
  '%00',
  '..%2f',
  '?names=',
  '{"names":',
  '"all"',
  '[]',
  'null',
];

test('the control socket', async () => {
  await using home = new Home();
  await home.ok(['start', '--name', 'api', '--', 'sleep', '1000']);
  const { path, release } = socketPath(home.file('gsup.sock'), home.path);
  // Routes that change nothing: a mutation of others would stop what is asked in between.
  const seeds = [
    request('GET /v1/ping'),
    request('GET /v1/instances?usage=true'),
    request('GET /v1/services/api'),
    request('GET /v1/logs?names=api&lines=10'),
    request('GET /v1/events?lines=10'),
    request('POST /v1/signal', '{"names":["nobody"],"signal":"SIGCONT"}'),
  ];
  await fuzzDoor(home, { name: 'control socket', seeds, words: HTTP_WORDS, run: (input) => send({ path }, input) });
  release();
});

test('the link', async () => {
  await using home = new Home();
  await home.ok(['start', '--name', 'api', '--', 'sh', '-c', 'echo "link $GSUP_LINK id $GSUP_ID"; exec sleep 1000']);
  const line = await home.said('api:0', /link/);
  const [, path = '', id] = /link (\S+) id (\S+)/.exec(line) ?? [];
  const hello = `{"type":"hello","id":"${id}"}\n`;
  const seeds = [
    `${hello}{"type":"ready"}\n{"type":"phase","phase":"draining","pending":{"requests":3}}\n`,
    `${hello}{"type":"report","reason":"x","phases":[{"phase":"a","ms":1}],"undone":["b"]}\n`,
    '{"type":"hello","id":"00000000-0000-4000-8000-000000000000","pid":1}\n',
  ];
  const words = [hello, '{"type":', '"phase":', '"pending":{', '}\n', '\n', 'null', '[]', '"pid":-1'];
  await fuzzDoor(home, { name: 'link', seeds, words, run: (input) => send({ path }, input) });
});

test('the page and its API', async () => {
  await using home = new Home();
  const port = await freePort();
  const text = `http: { listen: ${port}, token: ${TOKEN} }\nservices: { api: { command: sleep 1000 } }\n`;
  await home.ok(['apply', '-c', home.write('supervisor.yaml', text)]);
  const authorised = (line: string) =>
    request(line).replace('Connection', `Authorization: Bearer ${TOKEN}\r\nConnection`);
  const seeds = [
    '/',
    '/livez',
    '/readyz',
    '/metrics',
    '/api/events',
    '/api/logs?name=api&lines=5',
    '/api/timeline?service=api',
  ].flatMap((path) => [request(`GET ${path}`), authorised(`GET ${path}`)]);
  await fuzzDoor(home, {
    name: 'page',
    seeds,
    words: HTTP_WORDS,
    run: (input) => send({ host: '127.0.0.1', port }, input),
  });
});
