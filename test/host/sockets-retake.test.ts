import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync, symlinkSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { buildSync } from 'esbuild';
import { beforeAll, expect, test } from 'vitest';
import type { SocketSpec } from '../../src/core/service.ts';
import { loadNative } from '../../src/host/native.ts';
import { loadNativeSockets } from '../../src/host/native-sockets.ts';
import { Sockets } from '../../src/host/sockets.ts';
import { Folder, freePort } from '../kit/gsup.ts';
import { ask, Heir, tcpSpec, unixSpec } from '../kit/inherited.ts';

const ROOT = resolve(import.meta.dirname, '../..');
const NODE = `return listening(net.createServer((client) => client.end('node ' + process.pid)), { fd: 3 });`;

beforeAll(async () => {
  await loadNative();
  await loadNativeSockets();
});

function isBlocking(fd: number): boolean {
  const text = readFileSync(`/proc/self/fdinfo/${fd}`, 'latin1');
  return (Number.parseInt(/^flags:\s*(\d+)/m.exec(text)?.[1] ?? '', 8) & 0o4000) === 0;
}

const OWNER = `
    import { spawn } from 'node:child_process';
    import { loadNativeSockets } from './src/host/native-sockets.ts';
    import { Sockets } from './src/host/sockets.ts';
    const [specs, native] = JSON.parse(process.argv[2]);
    await loadNativeSockets();
    const sockets = new Sockets(native);
    const fds = sockets.open('web', specs);
    const child = spawn('sleep', ['1000'], { stdio: ['ignore', 'ignore', 'ignore', ...fds], detached: true });
    console.log(JSON.stringify({ names: sockets.names('web'), pid: child.pid }));
    setInterval(() => {}, 1000);`;

async function startOwner(folder: Folder, specs: readonly SocketSpec[], options: object) {
  const [built] = buildSync({
    stdin: { contents: OWNER, resolveDir: ROOT, loader: 'ts' },
    bundle: true,
    platform: 'node',
    format: 'esm',
    target: 'node20.19',
    external: ['koffi'],
    write: false,
  }).outputFiles;
  const file = folder.write('owner.mjs', built?.text ?? '');
  // Where its only package is found.
  symlinkSync(join(ROOT, 'node_modules'), join(folder.path, 'node_modules'));
  const owner = spawn(process.execPath, [file, JSON.stringify([specs, options])], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [line] = await once(createInterface({ input: owner.stdout }), 'line');
  const { names, pid }: { names: Record<string, string>; pid: number } = JSON.parse(line);
  return { owner, names, pid };
}

test.each([
  ['with koffi', {}],
  ['without koffi', { native: null }],
])('a process that lives gives the sockets back, %s', async (_, options) => {
  using folder = new Folder();
  const path = join(folder.path, 'web.sock');
  const [port, other] = [await freePort(), await freePort()];
  const specs = [tcpSpec(port, '::', { name: 'tcp' }), unixSpec(path, { name: 'unix' })];
  const { owner, names, pid } = await startOwner(folder, specs, options);
  using sockets = new Sockets();
  try {
    const ended = once(owner, 'exit');
    owner.kill('SIGKILL');
    await ended;
    const waiting = ask({ port });
    const changed = [tcpSpec(other, '::', { name: 'tcp' })];
    expect(sockets.retake('web', changed, names, pid)).toEqual(['tcp']);
    expect(sockets.retake('web', specs, { tcp: 'socket:[1]' }, pid)).toEqual(['tcp', 'unix']);
    expect(sockets.retake('web', specs, names, pid)).toEqual([]);
    expect(sockets.names('web')).toEqual(names);
    process.kill(pid, 'SIGKILL');
    const fds = sockets.open('web', specs);
    expect(fds.map((fd) => isBlocking(fd))).toEqual([true, true]);
    await using node = new Heir({ fds });
    await node.do(NODE);
    expect(await waiting).toBe(`node ${node.pid}`);
    sockets.close('web');
    expect(existsSync(path)).toBe(false);
  } finally {
    owner.kill('SIGKILL');
    killIfAlive(pid);
  }
});

test('a process without them, or no process, has none to give', async () => {
  using sockets = new Sockets();
  const specs = [tcpSpec(await freePort())];
  expect(sockets.retake('web', specs, {}, process.pid)).toEqual(['web']);
  expect(sockets.retake('web', specs, { web: 'socket:[1]' }, 2 ** 22 + 1)).toEqual(['web']);
});

function killIfAlive(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It ended in the test.
  }
}
