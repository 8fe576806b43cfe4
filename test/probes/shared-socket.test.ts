import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { afterEach, expect, test } from 'vitest';
import { heldBy } from '../../src/host/peer.ts';
import { type ActiveCheck, checkOnce } from '../../src/probes/check.ts';
import { NOBODY_TOOK_IT, OTHERS_ANSWER } from '../../src/probes/ownership.ts';

const has = (program: string) => spawnSync('which', [program]).status === 0;
const TRIES = 30;

const children: ChildProcess[] = [];
afterEach(async () => {
  for (const child of children.splice(0)) {
    if (child.exitCode !== null || child.signalCode !== null) continue;
    child.kill('SIGKILL');
    await once(child, 'exit');
  }
});

/** Programs that all listen on one socket that was bound for them, descriptor 3, once each has said that it is up. */
async function share(...programs: readonly (readonly [string, ...string[]])[]) {
  const server = createServer();
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const { port } = server.address() as AddressInfo;
  const { fd } = (server as unknown as { _handle: { fd: number } })._handle;
  const pids: number[] = [];
  for (const [file, ...args] of programs) {
    const child = spawn(file, args, { stdio: ['ignore', 'pipe', 'inherit', fd] as never });
    children.push(child);
    if (child.stdout !== null) await once(child.stdout, 'data');
    pids.push(child.pid ?? 0);
  }
  server.close();
  return { port, pids };
}

const node = (status: number) =>
  [
    process.execPath,
    '-e',
    `require('node:http').createServer((_, response) => response.writeHead(${status}).end()).listen({ fd: 3 }, () => console.log('up'))`,
  ] as const;
/** Listens, and never comes to accept. */
const HUNG = [process.execPath, '-e', `require('node:fs').writeSync(1, 'up'); for (;;);`] as const;
/** HTTP/1.0, one at a time, closed behind each answer. */
const python = (status: number) =>
  [
    'python3',
    '-c',
    `
import http.server, socket
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self): self.send_response(${status}); self.end_headers()
    def log_message(self, *_): pass
server = http.server.HTTPServer(('127.0.0.1', 0), Handler, False)
server.socket = socket.socket(fileno=3)
print('up', flush=True)
server.serve_forever()`,
  ] as const;

function ask(check: ActiveCheck, pid: number | undefined, timeoutMs = 20_000): Promise<string | null> {
  const isOurs = ({ localAddress = '', localPort = 0, remoteAddress = '', remotePort = 0 }: Socket) =>
    heldBy({ localAddress, localPort, remoteAddress, remotePort }, pid === undefined ? [] : [pid]);
  return checkOnce(check, { cwd: '/', environment: {}, isOurs }, timeoutMs, new AbortController().signal);
}

/** The kernel gives the connections to whom it likes: asked until it was the one, and every answer is kept. */
async function answersOf(check: ActiveCheck, pid: number | undefined): Promise<ReadonlySet<string | null>> {
  const answers = new Set<string | null>();
  for (let tries = 0; tries < TRIES; tries++) {
    const answer = await ask(check, pid);
    if (answer === OTHERS_ANSWER) continue;
    answers.add(answer);
    if (tries >= 5) break;
  }
  return answers;
}

test.each([
  ['Node', node, true],
  ['Python, which closes behind each answer', python, has('python3')],
])('of two that share a socket each is known by its own answers: %s', async (_, program, isThere) => {
  if (!isThere) return;
  const { port, pids } = await share(program(200), program(500));
  const http = { kind: 'http', url: `http://127.0.0.1:${port}/` } as const;
  expect(await answersOf(http, pids[0])).toEqual(new Set([null]));
  expect(await answersOf(http, pids[1])).toEqual(new Set(['HTTP 500']));
  const tcp = { kind: 'tcp', host: '127.0.0.1', port } as const;
  expect(await answersOf(tcp, pids[0])).toEqual(new Set([null]));
  expect(await answersOf(tcp, pids[1])).toEqual(new Set([null]));
});

test('one that hangs beside one that lives is not taken for well', async () => {
  const { port, pids } = await share(node(200), HUNG);
  expect(await ask({ kind: 'http', url: `http://127.0.0.1:${port}/` }, pids[1])).toBe(OTHERS_ANSWER);
  expect(await ask({ kind: 'tcp', host: '127.0.0.1', port }, pids[1])).toBe(OTHERS_ANSWER);
  expect(await ask({ kind: 'tcp', host: '127.0.0.1', port }, pids[0])).toBe(null);
});

test('one that hangs alone is sick, though the kernel still connects', async () => {
  const { port, pids } = await share(HUNG);
  expect(await ask({ kind: 'http', url: `http://127.0.0.1:${port}/` }, pids[0], 200)).toBe(NOBODY_TOOK_IT);
  expect(await ask({ kind: 'tcp', host: '127.0.0.1', port }, pids[0], 200)).toBe(NOBODY_TOOK_IT);
});
