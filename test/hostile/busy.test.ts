/** A foreign user keeps root's daemon busy or takes its connections: it answers, restarts services and stays small. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { socketPath } from '../../src/api/home.ts';
import { freePort } from '../kit/gsup.ts';
import { Home } from '../kit/home.ts';

const NOBODY = 65_534;
const ANSWER_MS = 2_000;
const CEILING_MS = 20_000;
const GROWTH_KB = 100_000;
const BIN = join(import.meta.dirname, '../../bin/gsup.js');

const isRoot = process.getuid?.() === 0;
if (!isRoot) console.warn('skipped: only root can play another user');

/** A program of the foreign user; its first line says that it is at work. */
class Attacker implements AsyncDisposable {
  readonly #child: ChildProcess;
  readonly #ended: Promise<unknown>;
  readonly atWork: Promise<string>;

  constructor(program: string, ...args: readonly string[]) {
    this.#child = spawn(process.execPath, ['-e', program, ...args], {
      uid: NOBODY,
      gid: NOBODY,
      cwd: '/',
      env: {},
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    this.#ended = new Promise((resolve) => this.#child.once('close', resolve));
    this.atWork = new Promise((resolve, reject) => {
      this.#child.stdout?.setEncoding('utf8').once('data', resolve);
      this.#child.once('close', () => reject(new Error('the attacker ended before it was at work')));
    });
    this.atWork.catch(() => {});
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.kill('SIGKILL');
    await this.#ended;
  }
}

/** Keeps `count` connections open for 8 s and writes `payload` on each as fast as it is taken; reconnects. */
const FLOOD = `
const { connect } = require('node:net');
const [path, count, payload] = process.argv.slice(1);
const end = Date.now() + 8000;
let opened = 0;
const open = () => {
  if (Date.now() > end || opened > 5000) return;
  opened++;
  const socket = connect(path);
  const write = () => { while (payload !== '' && Date.now() < end && socket.write(payload)); };
  socket.on('connect', () => { write(); console.log('at work'); }).on('drain', write);
  socket.on('error', () => {}).on('close', () => setTimeout(open, 5));
};
for (let n = 0; n < Number(count); n++) open();
setTimeout(() => process.exit(), 9000);
`;

const SERVICES = {
  services: { api: { command: ['sh', '-c', 'echo "link $GSUP_LINK id $GSUP_ID"; exec sleep 1000'] } },
};

type Started = { readonly pid: number; readonly link: string };

/** A daemon with one service, under a limit of open files where one is given. */
async function started(home: Home, openFiles: number | null = null): Promise<Started> {
  const file = home.write('services.json', JSON.stringify(SERVICES));
  const limit = openFiles === null ? [] : ['prlimit', `--nofile=${openFiles}`];
  const [program = '', ...args] = [...limit, process.execPath, BIN, 'start', file];
  const { status, stderr } = spawnSync(program, args, {
    env: { ...process.env, GSUP_HOME: home.path },
    encoding: 'utf8',
  });
  if (status !== 0) throw new Error(stderr);
  const [, link = ''] = /link (\S+) id/.exec(await home.said('api:0', /link/)) ?? [];
  return { pid: await home.daemonPid(), link };
}

function memoryKb(pid: number): number {
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]);
}

/** How long the daemon takes to list its instances; at most the ceiling. */
async function answerMs(home: Home): Promise<number> {
  const began = performance.now();
  const late = new Promise<number>((resolve) => setTimeout(() => resolve(CEILING_MS), CEILING_MS).unref());
  const answered = home.call('/v1/instances').then(({ status }) => (status === 200 ? 0 : CEILING_MS));
  return (await Promise.race([answered, late])) + performance.now() - began;
}

/** Kills the service, and asks the daemon until the next run says the token of it. */
async function killsAndSeesRestart(home: Home): Promise<string> {
  const before = await home.instance('api:0');
  process.kill(before.pid ?? 0, 'SIGKILL');
  await home.record('spawned', 'api:0', home.records.filter(({ phase }) => phase === 'spawned').length + 1);
  const lines = await home.until('the next run', () => {
    const found = home.lines('api:0').filter((line) => line.startsWith('link'));
    return found.length > 1 ? found : undefined;
  });
  return lines.at(-1) ?? '';
}

/** An app that says hello and ready on the link: its report is in the journal. */
async function saysHello(home: Home, path: string, id: string, phase: string): Promise<void> {
  const began = performance.now();
  let socket: Socket | undefined;
  const open = (): void => {
    const opened = connect(path);
    opened.on('error', () => {});
    opened.on('connect', () => {
      opened.write(`{"type":"hello","id":"${id}","pid":null}\n{"type":"phase","phase":"${phase}"}\n`);
    });
    socket = opened;
  };
  open();
  // An app of the library comes again by itself.
  const again = setInterval(() => {
    if (socket?.destroyed === true && performance.now() - began < CEILING_MS) open();
  }, 50);
  try {
    await home.until(`the phase ${phase}`, () =>
      home.records.some((one) => (one as { appPhase?: string }).appPhase === phase) ? true : undefined,
    );
  } finally {
    clearInterval(again);
    socket?.destroy();
  }
}

const HELLO = '{"type":"hello","id":"00000000-0000-4000-8000-000000000000","pid":1}\n';
const FLOODS: Readonly<Record<string, readonly [count: number, payload: string]>> = {
  newlines: [2, '\n'.repeat(65_536)],
  'hellos with a wrong token': [20, HELLO.repeat(800)],
  'lines without an end': [20, 'x'.repeat(65_536)],
  'maps without a type': [20, '{}\n'.repeat(20_000)],
  'silent connections': [1_100, ''],
};

describe.skipIf(!isRoot)('a foreign user on the link', () => {
  for (const [name, [count, payload]] of Object.entries(FLOODS)) {
    test(`floods it with ${name}: the daemon answers, restarts a service and hears its app`, async () => {
      await using home = new Home();
      const { pid, link } = await started(home, 1024);
      const before = memoryKb(pid);
      await using attacker = new Attacker(FLOOD, link, String(count), payload);
      await attacker.atWork;
      for (let round = 0; round < 20; round++) expect(await answerMs(home)).toBeLessThan(ANSWER_MS);
      const said = await killsAndSeesRestart(home);
      const [, , , id = ''] = said.split(' ');
      await saysHello(home, link, id, 'warming');
      expect(await answerMs(home)).toBeLessThan(ANSWER_MS);
      expect(await home.daemonPid()).toBe(pid);
      expect(memoryKb(pid) - before).toBeLessThan(GROWTH_KB);
    });
  }
});

/** Lines of the app itself, over its own link, as fast as they are taken. */
const FLOODER = `
const { connect } = require('node:net');
const socket = connect(process.env.GSUP_LINK);
const line = '{"type":"phase","phase":"busy","pending":{"requests":1}}\\n';
socket.write('{"type":"hello","id":"' + process.env.GSUP_ID + '","pid":' + process.pid + '}\\n');
const end = Date.now() + 8000;
const write = () => { while (Date.now() < end && socket.write(line.repeat(500))); };
socket.on('drain', write).on('error', () => {});
write();
if (process.send) { const message = () => { if (Date.now() < end) process.send('noise'.repeat(50), () => message()); }; for (let n = 0; n < 50; n++) message(); }
setInterval(() => {}, 1000);
`;

test('a service that floods its own link and channel is slowed down with one notice, and the journal stays small', async () => {
  await using home = new Home();
  const script = home.write('flooder.cjs', FLOODER);
  await home.ok(['start', script, '--name', 'flooder']);
  await home.ok(['start', '--name', 'api', '--', 'sleep', '1000']);
  const pid = await home.daemonPid();
  const before = memoryKb(pid);
  await home.until('the notice', () => home.records.find(({ phase }) => phase === 'notice'));
  const began = performance.now();
  for (let round = 0; round < 30; round++) expect(await answerMs(home)).toBeLessThan(ANSWER_MS);
  process.kill((await home.instance('api:0')).pid ?? 0, 'SIGKILL');
  await home.record('spawned', 'api:0', 2);
  const phases = home.records.filter(({ phase }) => phase === 'app-phase').length;
  const seconds = (performance.now() - began) / 1_000;
  expect(phases).toBeLessThan(300 + 10 * seconds);
  expect(home.records.filter(({ phase }) => phase === 'notice')).toHaveLength(1);
  expect(await home.daemonPid()).toBe(pid);
  expect(memoryKb(pid) - before).toBeLessThan(GROWTH_KB);
});

/** The limit of open files of a process, which may open nothing more when it is 3. */
function limitFiles(pid: number, count: number): void {
  const { status, stderr } = spawnSync('prlimit', [`--pid=${pid}`, `--nofile=${count}:`], { encoding: 'utf8' });
  if (status !== 0) throw new Error(stderr);
}

test('without a free descriptor the daemon lives, and starts a killed service as soon as there is one', async () => {
  await using home = new Home();
  const spec = {
    command: ['sh', '-c', 'echo "run $GSUP_ID"; exec sleep 1000'],
    live: { exec: 'true', interval: '200ms', failureThreshold: 2 },
    restart: { limit: 2, maxDelay: '300ms' },
    limits: { memory: '1GB' },
  };
  const file = home.write('services.json', JSON.stringify({ services: { api: spec, other: spec } }));
  await home.ok(['start', file]);
  const pid = await home.daemonPid();
  const [before, other] = [await home.instance('api:0'), await home.instance('other:0')];
  const { length: count } = home.records;
  limitFiles(pid, 3);
  process.kill(before.pid ?? 0, 'SIGKILL');
  // More of them than the restart limit, and longer than a look at the memory of a daemon or service takes to come.
  await home.record('backoff', 'api:0', 10);
  limitFiles(pid, 1024);
  await home.record('spawned', 'api:0', 2);
  expect((await home.instance('api:0')).pid).not.toBe(before.pid);
  expect(await home.instance('other:0')).toMatchObject({ state: 'running', pid: other.pid });
  expect(await home.daemonPid()).toBe(pid);
  expect(home.records.slice(count).map(({ phase }) => phase)).not.toContain('failed');
  await home.until('both runs', () => (home.lines('api:0').length === 2 ? true : undefined));
});

test('a request without an end on the control socket is refused, and takes no memory for good', async () => {
  await using home = new Home();
  await home.ok(['start', '--name', 'api', '--', 'sleep', '1000']);
  const pid = await home.daemonPid();
  const { path, release } = socketPath(home.file('gsup.sock'), home.path);
  const socket = connect(path);
  socket.on('error', () => {});
  socket.write('POST /v1/stop HTTP/1.1\r\nHost: gsup\r\nTransfer-Encoding: chunked\r\n\r\n');
  const chunk = `100000\r\n${'x'.repeat(0x100000)}\r\n`;
  let sent = 0;
  const write = (): void => {
    while (sent++ < 100 && socket.write(chunk));
  };
  socket.on('drain', write).resume();
  write();
  await new Promise((resolve) => socket.once('close', resolve));
  release();
  expect(sent).toBeLessThan(90);
  expect(await answerMs(home)).toBeLessThan(ANSWER_MS);
  expect(await home.daemonPid()).toBe(pid);
});

/** Holds connections to a port: idle ones, event streams that are never read, half requests. */
const HOLD = `
const { connect } = require('node:net');
const port = Number(process.argv[1]);
const texts = ['', 'GET /api/events HTTP/1.1\\r\\nHost: localhost\\r\\n\\r\\n', 'POST /api/stop HTTP/1.1\\r\\nHost: localhost\\r\\nX-Slow: '];
let opened = 0, count = 0;
const open = (n) => {
  if (++opened > 3000) return;
  const socket = connect(port, '127.0.0.1');
  socket.on('connect', () => { socket.write(texts[n % 3]); if (++count === 400) console.log('at work'); });
  socket.on('error', () => {}).on('close', () => setTimeout(() => open(n), 50)).pause();
};
for (let n = 0; n < 500; n++) open(n);
setTimeout(() => process.exit(), 10000);
`;

/** The first bytes of an event stream. */
function firstOfStream(port: number, token: string | null): Promise<string> {
  const authorization = token === null ? '' : `Authorization: Bearer ${token}\r\n`;
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1');
    socket.write(`GET /api/events HTTP/1.1\r\nHost: localhost\r\n${authorization}\r\n`);
    socket.setEncoding('utf8').once('data', (text: string) => {
      socket.destroy();
      resolve(text);
    });
    socket.once('error', reject).once('close', () => reject(new Error('closed')));
  });
}

describe.skipIf(!isRoot)('a foreign user on the port of the page', () => {
  for (const token of [null, 'a-token-of-the-tests']) {
    test(`holds every connection and stream ${token === null ? 'where there is no token' : 'without the token'}: others get an answer`, async () => {
      await using home = new Home();
      const port = await freePort();
      const http = token === null ? { listen: port } : { listen: port, token };
      const file = home.write('services.json', JSON.stringify({ http, services: { api: { command: 'sleep 1000' } } }));
      await home.ok(['apply', '-c', file]);
      const pid = await home.daemonPid();
      await using attacker = new Attacker(HOLD, String(port));
      await attacker.atWork;
      const headers: Record<string, string> = token === null ? {} : { authorization: `Bearer ${token}` };
      for (let round = 0; round < 5; round++) {
        for (const path of ['livez', 'readyz', 'metrics']) {
          const { status } = await fetch(`http://127.0.0.1:${port}/${path}`, { headers });
          expect([path, status]).toEqual([path, 200]);
        }
        expect(await firstOfStream(port, token)).toMatch(/^HTTP\/1.1 200/);
        expect(await answerMs(home)).toBeLessThan(ANSWER_MS);
      }
      expect(await home.daemonPid()).toBe(pid);
      expect(home.descriptors(pid)).toBeLessThan(400);
    });
  }
});
