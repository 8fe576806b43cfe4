import { once } from 'node:events';
import {
  chmodSync,
  existsSync,
  linkSync,
  mkdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  unlinkSync,
} from 'node:fs';
import { type AddressInfo, connect, createServer } from 'node:net';
import { networkInterfaces } from 'node:os';
import { join, resolve } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { isGsupError } from '../../src/core/error.ts';
import type { SocketSpec } from '../../src/core/service.ts';
import { loadNativeSockets, type NativeSockets, nativeSocketsNow } from '../../src/host/native-sockets.ts';
import { plainSockets } from '../../src/host/plain-sockets.ts';
import { Sockets } from '../../src/host/sockets.ts';
import { Folder, freePort } from '../kit/gsup.ts';
import { ask, Heir, tcpSpec, unixSpec } from '../kit/inherited.ts';

const hasIpv6 = Object.values(networkInterfaces()).some((all) => all?.some(({ address }) => address === '::1'));
const ROOT = resolve(import.meta.dirname, '../..');
const O_NONBLOCK = 0o4000;
const O_CLOEXEC = 0o2000000;

/** Accepts without looking whether there is something, answers with its pid, as often as it is told to. */
const PYTHON = `
import os, socket, sys
assert os.environ['LISTEN_PID'] == str(os.getpid()) and os.environ['LISTEN_FDS'] == '1'
server = socket.socket(fileno=3)
assert server.getblocking()
print('ready', flush=True)
for _ in range(int(sys.argv[1])):
    client, _ = server.accept()
    client.sendall(b'python %d' % os.getpid())
    client.close()
print('done', flush=True)
sys.stdin.read()
`;
const NODE = `
  kept.server = net.createServer((client) => client.end('node ' + process.pid));
  return listening(kept.server, { fd: 3 });`;

beforeAll(async () => {
  await loadNativeSockets();
});

function flagsOf(fd: number): number {
  const text = readFileSync(`/proc/self/fdinfo/${fd}`, 'latin1');
  return Number.parseInt(/^flags:\s*(\d+)/m.exec(text)?.[1] ?? '', 8);
}

function tableLine(port: number): readonly string[] {
  const hex = `:${port.toString(16).toUpperCase().padStart(4, '0')}`;
  return ['/proc/net/tcp', '/proc/net/tcp6']
    .flatMap((file) => readFileSync(file, 'latin1').split('\n'))
    .filter((line) => line.split(/\s+/)[2]?.endsWith(hex) && line.includes(' 0A '));
}

function failure(act: () => unknown): { message: string; hint: string | undefined } {
  try {
    act();
  } catch (error) {
    if (isGsupError(error)) return { message: error.message, hint: error.hint };
    throw error;
  }
  throw new Error('it did not fail');
}

function first(fds: readonly number[]): number {
  return fds[0] ?? -1;
}

/** The port of the end of a connection that has closed it first. */
async function endedConnection(): Promise<{ readonly port: number }> {
  const server = createServer((peer) => peer.resume());
  await once(server.listen(await freePort(), '127.0.0.1'), 'listening');
  const client = connect((server.address() as AddressInfo).port, '127.0.0.1');
  await once(client, 'connect');
  const port = client.localPort ?? 0;
  client.end().resume();
  await once(client, 'close');
  server.close();
  return { port };
}

describe.each([
  ['with koffi', undefined],
  ['without koffi', null],
] as const)('%s', (_, native) => {
  const make = () => new Sockets(native === undefined ? {} : { native });

  test('a socket listens, blocks, is closed on exec, and is given again', async () => {
    using sockets = make();
    const port = await freePort();
    const fd = first(sockets.open('web', [tcpSpec(port)]));
    expect(tableLine(port)).toHaveLength(1);
    expect(flagsOf(fd) & (O_NONBLOCK | O_CLOEXEC)).toBe(O_CLOEXEC);
    expect(sockets.open('web', [tcpSpec(port)])).toEqual([fd]);
    expect(sockets.names('web')).toEqual({ web: expect.stringMatching(/^socket:\[\d+\]$/) });
  });

  test('connections wait while nobody accepts, and Python and Node accept them in turn', async () => {
    using sockets = make();
    const spec = tcpSpec(await freePort());
    const fds = sockets.open('web', [spec]);
    const port = spec.address.kind === 'tcp' ? spec.address.port : 0;
    const waiting = [ask({ port }), ask({ port })];
    {
      await using python = new Heir({ file: 'python3', args: ['-c', PYTHON, '2'], fds });
      expect(await python.line()).toBe('ready');
      expect(await Promise.all(waiting)).toEqual([`python ${python.pid}`, `python ${python.pid}`]);
    }
    const later = ask({ port });
    {
      await using node = new Heir({ fds });
      expect(await node.do(NODE)).toEqual({ address: '127.0.0.1', family: 'IPv4', port });
      expect(await later).toBe(`node ${node.pid}`);
    }
    // Node made it non-blocking for all who have it.
    sockets.makeBlocking('web');
    await using python = new Heir({ file: 'python3', args: ['-c', PYTHON, '1'], fds });
    expect(await python.line()).toBe('ready');
    expect(await ask({ port })).toBe(`python ${python.pid}`);
  });

  test('a connection that has ended on that port is in the way, and told', async () => {
    using sockets = make();
    const { port } = await endedConnection();
    expect(failure(() => sockets.open('web', [tcpSpec(port)]))).toEqual({
      message: `cannot listen on 127.0.0.1:${port}: an outgoing connection that has ended keeps that port for a minute (TIME_WAIT)`,
      hint: 'take a port below those of net.ipv4.ip_local_port_range, from which outgoing connections get theirs',
    });
  });

  test('two processes share it, and one that closes or dies leaves it to the other', async () => {
    using sockets = make();
    const port = await freePort();
    const fds = sockets.open('web', [tcpSpec(port)]);
    await using python = new Heir({ file: 'python3', args: ['-c', PYTHON, '1'], fds });
    expect(await python.line()).toBe('ready');
    await using node = new Heir({ fds });
    await node.do(NODE);
    // Which of the two gets one is the kernel's choice; Python takes one and no more.
    const answers = await Promise.all(Array.from({ length: 20 }, () => ask({ port })));
    const named = [`node ${node.pid}`, `python ${python.pid}`];
    expect(named).toEqual(expect.arrayContaining([...new Set(answers)]));
    await python.end();
    expect(await ask({ port })).toBe(`node ${node.pid}`);
    await node.do('return new Promise((closed) => kept.server.close(() => closed(null)))');
    const waiting = ask({ port });
    await using next = new Heir({ fds });
    await next.do(NODE);
    expect(await waiting).toBe(`node ${next.pid}`);
  });

  test.skipIf(!hasIpv6)('every address of IPv6 is every one of IPv4 too', async () => {
    using sockets = make();
    const port = await freePort();
    const fds = sockets.open('web', [tcpSpec(port, '::')]);
    await using node = new Heir({ fds });
    await node.do(NODE);
    expect(await ask({ port })).toBe(`node ${node.pid}`);
    expect(await ask({ port, host: '::1' })).toBe(`node ${node.pid}`);
  });

  test('a port that another process holds is told with that process', async () => {
    using sockets = make();
    await using node = new Heir({});
    const { port } = (await node.do("return listening(net.createServer(), 0, '127.0.0.1')")) as { port: number };
    const command = `${process.execPath} ${resolve(ROOT, 'fixtures/evaluating.cjs')}`;
    for (const host of ['127.0.0.1', '0.0.0.0', '::']) {
      const where = host === '::' ? '[::]' : host;
      expect(failure(() => sockets.open('web', [tcpSpec(port, host)]))).toEqual({
        message: `cannot listen on ${where}:${port}: it is held by pid ${node.pid} (${command})`,
        hint: `stop it, with "kill ${node.pid}" say, or take another port`,
      });
    }
  });

  test('one that begins to listen between binding and listening is told', async () => {
    const calls = native === undefined ? await loadNativeSockets() : plainSockets;
    if (calls === null) throw new Error('koffi is missing');
    const spec = tcpSpec(await freePort());
    const other = calls.bind(spec.address);
    if (typeof other === 'string') throw new Error(other);
    using sockets = new Sockets({
      native: {
        ...calls,
        listen: (fd, backlog) => {
          calls.listen(other.fd, 1);
          return calls.listen(fd, backlog);
        },
      },
    });
    expect(failure(() => sockets.open('web', [spec])).message).toContain(`it is held by pid ${process.pid} (`);
    expect(sockets.names('web')).toEqual({});
    other.close();
  });

  test('a port that another service has is told with that service', async () => {
    using sockets = make();
    const port = await freePort();
    sockets.open('web', [tcpSpec(port)]);
    for (const host of ['127.0.0.1', '0.0.0.0']) {
      expect(failure(() => sockets.open('api', [tcpSpec(port, host)]))).toEqual({
        message: `cannot listen on ${host}:${port}: the service web has it`,
        hint: 'give one of the two another address',
      });
    }
  });

  test('when one of them fails, none is left', async () => {
    using sockets = make();
    const port = await freePort();
    const bad = tcpSpec(port, '192.0.2.1', { name: 'bad' });
    expect(failure(() => sockets.open('web', [tcpSpec(port), bad]))).toEqual({
      message: `cannot listen on 192.0.2.1:${port}: this machine has no address 192.0.2.1`,
      hint: '"ip address" shows those it has',
    });
    expect(sockets.names('web')).toEqual({});
    expect(tableLine(port)).toEqual([]);
  });

  test('those that are wanted no more are closed', async () => {
    using sockets = make();
    using folder = new Folder();
    const path = join(folder.path, 'web.sock');
    const port = await freePort();
    const [tcp, unix] = [tcpSpec(port, '127.0.0.1', { name: 'tcp' }), unixSpec(path, { name: 'unix' })];
    sockets.open('web', [tcp, unix]);
    sockets.keep('web', [tcp]);
    expect(Object.keys(sockets.names('web'))).toEqual(['tcp']);
    expect(existsSync(path)).toBe(false);
    expect(tableLine(port)).toHaveLength(1);
    sockets.close('web');
    expect(tableLine(port)).toEqual([]);
  });

  test('the mode of a Unix socket is never given to what another user puts in its place', () => {
    using folder = new Folder({ secret: '' });
    const [path, secret] = [join(folder.path, 'web.sock'), join(folder.path, 'secret')];
    chmodSync(secret, 0o600);
    const calls = nativeSocketsNow() ?? plainSockets;
    const swapped: NativeSockets = {
      ...calls,
      bind: (address) => {
        const bound = calls.bind(address);
        unlinkSync(path);
        symlinkSync(secret, path);
        return bound;
      },
    };
    using sockets = new Sockets({ native: swapped });
    sockets.open('web', [unixSpec(path, { mode: 0o666 })]);
    sockets.open('web', [unixSpec(path, { mode: 0o660 })]);
    expect((statSync(secret).mode & 0o777).toString(8)).toBe('600');
  });

  test('a Unix socket has its mode, serves, and goes with its file', async () => {
    using sockets = make();
    using folder = new Folder();
    const path = join(folder.path, 'web.sock');
    const fds = sockets.open('web', [unixSpec(path, { mode: 0o660 })]);
    expect(statSync(path).mode & 0o777).toBe(0o660);
    expect(flagsOf(first(fds)) & (O_NONBLOCK | O_CLOEXEC)).toBe(O_CLOEXEC);
    sockets.open('web', [unixSpec(path, { mode: 0o600 })]);
    expect(statSync(path).mode & 0o777).toBe(0o600);
    const waiting = ask({ path });
    await using node = new Heir({ fds });
    await node.do(NODE);
    expect(await waiting).toBe(`node ${node.pid}`);
    await node.do('return new Promise((closed) => kept.server.close(() => closed(null)))');
    expect(existsSync(path)).toBe(true);
    sockets.close('web');
    expect(existsSync(path)).toBe(false);
  });

  test('the file of a Unix socket that is no more its own is left alone', async () => {
    using sockets = make();
    using folder = new Folder();
    const path = join(folder.path, 'web.sock');
    sockets.open('web', [unixSpec(path)]);
    rmSync(path);
    const server = createServer().listen(path);
    await once(server, 'listening');
    sockets.close('web');
    expect(existsSync(path)).toBe(true);
    server.close();
  });

  test('closing all without the files leaves them', () => {
    using folder = new Folder();
    const path = join(folder.path, 'web.sock');
    const sockets = make();
    sockets.open('web', [unixSpec(path)]);
    sockets.closeAll(false);
    expect(statSync(path).isSocket()).toBe(true);
    expect(sockets.names('web')).toEqual({});
  });

  test('the file of a server that has gone is replaced, that of a living one is not', async () => {
    using sockets = make();
    using folder = new Folder();
    const path = join(folder.path, 'web.sock');
    await using node = new Heir({});
    await node.do(`return listening(net.createServer((client) => client.end('lives')), ${JSON.stringify(path)})`);
    // The same file by another name than it was bound by.
    mkdirSync(join(folder.path, 'other'));
    linkSync(path, join(folder.path, 'other/web.sock'));
    for (const name of [path, join(folder.path, 'other/web.sock')]) {
      const command = `${process.execPath} ${resolve(ROOT, 'fixtures/evaluating.cjs')}`;
      expect(failure(() => sockets.open('web', [unixSpec(name)]))).toEqual({
        message: `cannot listen on ${name}: it is held by pid ${node.pid} (${command})`,
        hint: `stop it, with "kill ${node.pid}" say, or take another path`,
      });
    }
    expect(await ask({ path })).toBe('lives');
    await node.end();
    expect(existsSync(path)).toBe(true);
    const fds = sockets.open('web', [unixSpec(path)]);
    await using next = new Heir({ fds });
    await next.do(NODE);
    expect(await ask({ path })).toBe(`node ${next.pid}`);
  });

  test('the file of a living server that bound it relative to its folder is not replaced', async () => {
    using sockets = make();
    using folder = new Folder();
    const path = join(folder.path, 'web.sock');
    await using node = new Heir({});
    await node.do(`process.chdir(${JSON.stringify(folder.path)}); return listening(net.createServer(), './web.sock')`);
    expect(failure(() => sockets.open('web', [unixSpec(path)])).message).toContain(`held by pid ${node.pid}`);
  });

  test.each([
    ['file', 'a file that is no socket is there', 'move it away, or take another path'],
    ['missing/web.sock', 'the folder FOLDER/missing does not exist', 'mkdir -p FOLDER/missing'],
    ['file/web.sock', 'FOLDER/file is no folder', 'check the path'],
    [
      `${'x'.repeat(100)}/s`,
      "its path has LENGTH bytes, and a socket's may have 107",
      'take a shorter one, in /run or /tmp',
    ],
  ])('a path that can be no socket is told: %s', (name, why, hint) => {
    using sockets = make();
    using folder = new Folder({ file: 'precious' });
    const path = join(folder.path, name);
    const filled = (text: string) => text.replace('FOLDER', folder.path).replace('LENGTH', String(path.length));
    expect(failure(() => sockets.open('web', [unixSpec(path)]))).toEqual({
      message: `cannot listen on ${path}: ${filled(why)}`,
      hint: filled(hint),
    });
    expect(readFileSync(join(folder.path, 'file'), 'utf8')).toBe('precious');
  });
});

describe('what only another machine would answer', () => {
  const refusing = (code: string, asked: SocketSpec['address'][] = []): NativeSockets => ({
    bind: (address) => {
      asked.push(address);
      return code;
    },
    listen: () => null,
    setBacklog: () => {},
    makeBlocking: () => {},
  });

  test.each([
    [
      'EACCES',
      tcpSpec(80),
      'cannot listen on 127.0.0.1:80: ports below 1024 need root or CAP_NET_BIND_SERVICE',
      'take a port from 1024 on, or "sysctl net.ipv4.ip_unprivileged_port_start=80"',
    ],
    [
      'EACCES',
      unixSpec('/run/web.sock'),
      'cannot listen on /run/web.sock: no permission to make a file in /run',
      'check the owner and mode of /run',
    ],
    [
      'EROFS',
      unixSpec('/run/web.sock'),
      'cannot listen on /run/web.sock: /run can only be read',
      'take a path in /run or /tmp',
    ],
    ['EMFILE', tcpSpec(8080), 'cannot listen on 127.0.0.1:8080: too many open files (EMFILE)', undefined],
    ['ELOOP', tcpSpec(8080), 'cannot listen on 127.0.0.1:8080: it failed with ELOOP', undefined],
    [
      'EADDRINUSE',
      tcpSpec(1, '192.0.2.1'),
      'cannot listen on 192.0.2.1:1: it is held by another process',
      'stop that one, or take another port',
    ],
    [
      'EAFNOSUPPORT',
      tcpSpec(8080, '::1'),
      'cannot listen on [::1]:8080: this machine has no IPv6',
      'take an address of the other kind',
    ],
  ])('%s is told', (code, spec, message, hint) => {
    expect(failure(() => new Sockets({ native: refusing(code) }).open('web', [spec]))).toEqual({ message, hint });
  });

  test('without IPv6 every address is every one of IPv4', () => {
    const asked: SocketSpec['address'][] = [];
    failure(() => new Sockets({ native: refusing('EAFNOSUPPORT', asked) }).open('web', [tcpSpec(8080, '::')]));
    expect(asked.map((one) => one.kind === 'tcp' && one.host)).toEqual(['::', '0.0.0.0']);
  });
});
