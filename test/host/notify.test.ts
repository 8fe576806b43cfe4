import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, existsSync, mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import type { NotifyMessage } from '../../src/core/notify.ts';
import { loadNativeNotify } from '../../src/host/native-notify.ts';
import { type NotifySocket, openNotify, socketPathFits } from '../../src/host/notify.ts';
import { News } from '../kit/news.ts';

const has = (program: string) => spawnSync('which', [program]).status === 0;
const hasNative = (await loadNativeNotify()) !== null;
const canPython = hasNative && has('python3');
const canSystemd = hasNative && has('systemd-notify');
const isRoot = process.getuid?.() === 0;
const NOBODY = 65534;

/** `s` is a datagram socket that is connected to NOTIFY_SOCKET. */
const PYTHON = `
import array, os, socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
s.connect(os.environ['NOTIFY_SOCKET'])
`;

let folder: string;
let path: string;
let news: News<NotifyMessage>;
const open: NotifySocket[] = [];

beforeAll(loadNativeNotify);
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'gsup-notify-'));
  chmodSync(folder, 0o711);
  path = join(folder, 'socket');
  news = new News();
});
afterEach(() => {
  for (const socket of open.splice(0)) socket.close();
  rmSync(folder, { recursive: true, force: true });
});

function listen(): NotifySocket {
  const socket = openNotify(path, news.tell);
  if (socket === null) throw new Error('koffi is missing');
  open.push(socket);
  return socket;
}

/** Exit code of a program that was given the socket. */
async function run(argv: readonly [string, ...string[]], identity: { uid?: number; gid?: number } = {}) {
  const [file, ...args] = argv;
  const env = { PATH: process.env['PATH'], NOTIFY_SOCKET: path };
  const child = spawn(file, args, {
    env,
    cwd: '/',
    stdio: ['ignore', 'ignore', 'inherit'],
    timeout: 20_000,
    ...identity,
  });
  const [code] = await once(child, 'exit');
  return code;
}

const python = (code: string) => run(['python3', '-c', PYTHON + code]);
const descriptors = () => readdirSync('/proc/self/fd').length;

test.skipIf(!canPython)('a datagram is told as a message', async () => {
  listen();
  expect(await python("s.send(b'READY=1\\nSTATUS=here\\nX_OWN=1')")).toBe(0);
  expect(await news.until((all) => all.length > 0)).toEqual([{ ready: true, status: 'here' }]);
});

test.skipIf(!canSystemd)('systemd-notify waits for its barrier and passes', async () => {
  listen();
  const before = descriptors();
  expect(await run(['systemd-notify', '--ready', '--status=all is well'])).toBe(0);
  expect(news.all).toEqual([{ ready: true, status: 'all is well' }]);
  expect(descriptors()).toBe(before);
});

test.skipIf(!canPython)('descriptors that come along are closed', async () => {
  listen();
  const before = descriptors();
  const code = `
r, w = os.pipe()
s.sendmsg([b'FDSTORE=1\\nSTATUS=stored'], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array('i', [w] * 50))])
os.close(w)
sys.exit(7 if os.read(r, 1) == b'' else 8)`;
  // It ends with 7 at end of file: nobody holds the other end.
  expect(await python(code)).toBe(7);
  expect(news.all).toEqual([{ status: 'stored' }]);
  expect(descriptors()).toBe(before);
});

test.skipIf(!canSystemd || !isRoot)('another user may send', async () => {
  listen();
  const argv = ['systemd-notify', '--status=from nobody'] as const;
  expect(await run([...argv], { uid: NOBODY, gid: NOBODY })).toBe(0);
  expect(news.all).toEqual([{ status: 'from nobody' }]);
});

test.skipIf(!canPython)('1000 datagrams in a burst all arrive, in order', async () => {
  listen();
  expect(await python("[s.send(b'STATUS=%d' % n) for n in range(1000)]")).toBe(0);
  const all = await news.until(({ length }) => length >= 1000);
  expect(all.map(({ status }) => Number(status))).toEqual(Array.from({ length: 1000 }, (_, n) => n));
});

test.skipIf(!canPython)('64 KiB arrive whole, and what is beyond all measure is left out whole', async () => {
  listen();
  const code = `
s.send(b'X=' + b'x' * 65536 + b'\\nSTATUS=long')
s.send(b'READY=1\\nX=' + b'x' * 300000)
s.send(b'')
s.send(b'STATUS=last')`;
  expect(await python(code)).toBe(0);
  expect(await news.until((all) => all.length > 1)).toEqual([{ status: 'long' }, { status: 'last' }]);
});

test.skipIf(!canPython)('a sender that never stops has to wait, and holds up nothing else', async () => {
  listen();
  const delay = monitorEventLoopDelay({ resolution: 10 });
  delay.enable();
  const code = `
import time
end = time.time() + 3
while time.time() < end: s.send(b'STATUS=' + b'x' * 60000 + b'\\n' * 60000)`;
  expect(await python(code)).toBe(0);
  expect(delay.max / 1e6).toBeLessThan(1_000);
  expect(news.all.length).toBeGreaterThan(10);
  expect(news.all.length).toBeLessThan(150);
});

test.skipIf(!canPython)('the socket of one that was killed is replaced', async () => {
  const code = `
import os, socket, sys, time
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind(sys.argv[1])
print('bound', flush=True)
time.sleep(1000)`;
  const owner = spawn('python3', ['-c', code, path], { stdio: ['ignore', 'pipe', 'inherit'] });
  await once(owner.stdout, 'data');
  const ended = once(owner, 'exit');
  owner.kill('SIGKILL');
  await ended;
  expect(existsSync(path)).toBe(true);
  listen();
  expect(await python("s.send(b'READY=1')")).toBe(0);
  await news.until((all) => all.length === 1);
});

test.skipIf(!canPython)('one that is closed in the midst of a message hears no more', async () => {
  const heard: NotifyMessage[] = [];
  const socket = openNotify(path, (message) => {
    heard.push(message);
    socket?.close();
  });
  const before = descriptors();
  const code = `
s.send(b'STATUS=1')
try:
    for n in range(100): s.send(b'STATUS=2')
except ConnectionRefusedError: sys.exit(5)`;
  expect(await python(code)).toBe(5);
  expect(heard).toEqual([{ status: '1' }]);
  expect(descriptors()).toBe(before - 1);
});

test.skipIf(!hasNative)('everybody may write to the file, and closing removes it', () => {
  const socket = listen();
  expect(socket.path).toBe(path);
  expect(statSync(path).mode & 0o777).toBe(0o666);
  socket.close();
  expect(existsSync(path)).toBe(false);
  socket.close();
});

test.skipIf(!hasNative)('closing leaves a later socket of the same path alone', () => {
  const first = listen();
  listen();
  first.close();
  expect(existsSync(path)).toBe(true);
});

test('a path that is too long is refused with what to do', () => {
  const fitting = `/${'x'.repeat(106)}`;
  expect(socketPathFits(fitting)).toBe(true);
  expect(socketPathFits(`${fitting}y`)).toBe(false);
  expect(socketPathFits(`/${'ü'.repeat(54)}`)).toBe(false);
  expect(() => openNotify(`${fitting}y`, news.tell)).toThrow(
    expect.objectContaining({
      name: 'GsupError',
      message: `cannot listen on ${fitting}y: it is too long`,
      hint: "a socket's path has 107 bytes at most: set GSUP_HOME to a shorter one",
    }),
  );
});

test.skipIf(!hasNative)('a folder that is not there is named, and nothing leaks', () => {
  const before = descriptors();
  const gone = join(folder, 'gone', 'socket');
  expect(() => openNotify(gone, news.tell)).toThrow(`cannot listen on ${gone}: ENOENT`);
  expect(descriptors()).toBe(before);
});
