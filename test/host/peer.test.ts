import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { afterEach, expect, test } from 'vitest';
import { heldBy } from '../../src/host/peer.ts';

const has = (program: string) => spawnSync('which', [program]).status === 0;
const isRoot = process.getuid?.() === 0;

const children: ChildProcess[] = [];
const sockets: Socket[] = [];
const servers: Server[] = [];
afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy();
  for (const server of servers.splice(0)) server.close();
  for (const child of children.splice(0)) {
    if (child.exitCode !== null || child.signalCode !== null) continue;
    child.kill('SIGKILL');
    await once(child, 'exit');
  }
});

async function listen(host: string): Promise<{ server: Server; port: number }> {
  const server = createServer();
  servers.push(server);
  await once(server.listen(0, host), 'listening');
  return { server, port: (server.address() as AddressInfo).port };
}

/** A Node child that takes connections of our socket when it is told to, and says each time that it has. */
async function acceptor(server: Server): Promise<ChildProcess> {
  const code = `
    process.on('message', (_, server) => server.on('connection', () => process.send('accepted')) && process.send('listens'));
    process.send('up');`;
  const child = spawn(process.execPath, ['-e', code], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
  children.push(child);
  await once(child, 'message');
  child.send('take', server);
  await once(child, 'message');
  return child;
}

async function connectTo(host: string, port: number): Promise<Socket> {
  const socket = connect({ host, port });
  sockets.push(socket);
  await once(socket, 'connect');
  return socket;
}

function held(socket: Socket, pids: readonly (number | undefined)[]): boolean | null {
  const { localAddress = '', localPort = 0, remoteAddress = '', remotePort = 0 } = socket;
  const connection = { localAddress, localPort, remoteAddress, remotePort };
  return heldBy(
    connection,
    pids.filter((pid) => pid !== undefined),
  );
}

test('of two that share a socket, the one that accepted has the connection', async () => {
  const { server, port } = await listen('127.0.0.1');
  const both = [await acceptor(server), await acceptor(server)];
  server.close();
  const accepted: (number | undefined)[] = [];
  for (const child of both) child.on('message', () => accepted.push(child.pid));
  for (let count = 0; count < 10; count++) {
    const told = Promise.race(both.map((child) => once(child, 'message')));
    const socket = await connectTo('127.0.0.1', port);
    await told;
    const owner = accepted[count];
    expect(held(socket, [owner])).toBe(true);
    expect(held(socket, [1, owner])).toBe(true);
    expect(
      held(
        socket,
        both.map(({ pid }) => pid).filter((pid) => pid !== owner),
      ),
    ).toBe(false);
    expect(held(socket, [])).toBe(false);
  }
});

/** Binds and listens to a family and an address, accepts when its standard input says so, and goes on. */
const PYTHON = `
import socket, sys
s = socket.socket(getattr(socket, sys.argv[1]), socket.SOCK_STREAM)
if sys.argv[1] == 'AF_INET6': s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
s.bind((sys.argv[2], 0))
s.listen()
print(s.getsockname()[1], flush=True)
held = []
for line in sys.stdin:
    if line == 'close\\n': held.pop().close()
    else: held.append(s.accept()[0])
    print('done', flush=True)
`;

async function pythonServer(family: string, host: string) {
  const child = spawn('python3', ['-c', PYTHON, family, host], { stdio: ['pipe', 'pipe', 'inherit'] });
  children.push(child);
  const [port] = await once(child.stdout, 'data');
  const tell = async (word: string) => {
    child.stdin.write(`${word}\n`);
    await once(child.stdout, 'data');
  };
  return { pid: child.pid, port: Number(port), tell };
}

test.skipIf(!has('python3'))('nobody has what is not accepted yet, or closed again', async () => {
  const server = await pythonServer('AF_INET', '127.0.0.1');
  const socket = await connectTo('127.0.0.1', server.port);
  expect(held(socket, [server.pid])).toBe(null);
  await server.tell('accept');
  expect(held(socket, [server.pid])).toBe(true);
  expect(held(socket, [process.pid])).toBe(false);
  await server.tell('close');
  expect(held(socket, [server.pid])).toBe(null);
});

test.skipIf(!has('python3')).each([
  ['an IPv4 connection to a dual-stack server', '::', '127.0.0.1'],
  ['an IPv4 connection in the clothes of IPv6', '::', '::ffff:127.0.0.1'],
  ['an IPv6 connection', '::1', '::1'],
  ['an IPv6 connection to all addresses', '::', '::1'],
])('%s is found', async (_, bound, host) => {
  const server = await pythonServer('AF_INET6', bound);
  const socket = await connectTo(host, server.port);
  expect(held(socket, [server.pid])).toBe(null);
  await server.tell('accept');
  expect(held(socket, [server.pid])).toBe(true);
  expect(held(socket, [process.pid])).toBe(false);
});

test.skipIf(!isRoot || spawnSync('unshare', ['-n', 'true']).status !== 0)(
  'a process in another network namespace holds what it accepted from our socket',
  async () => {
    const { server, port } = await listen('127.0.0.1');
    const fd = (server as unknown as { _handle: { fd: number } })._handle.fd;
    const code = `
      const { readlinkSync } = require('node:fs');
      require('node:net').createServer(() => console.log(readlinkSync('/proc/self/ns/net'))).listen({ fd: 3 }, () => console.log('listens'));`;
    const stdio = ['ignore', 'pipe', 'inherit', fd] as const;
    const child = spawn('unshare', ['-n', process.execPath, '-e', code], { stdio: [...stdio] });
    children.push(child);
    if (child.stdout === null) throw new Error('no stdout');
    await once(child.stdout, 'data');
    server.close();
    const told = once(child.stdout, 'data');
    const socket = await connectTo('127.0.0.1', port);
    expect(held(socket, [process.pid])).not.toBe(true);
    await told;
    expect(held(socket, [child.pid])).toBe(true);
    expect(held(socket, [process.pid])).toBe(false);
  },
);

test('what leads nowhere that can be seen is nobody’s, and a pid that is gone holds nothing', async () => {
  const nowhere = { localAddress: '10.255.0.1', localPort: 1, remoteAddress: '10.255.0.2', remotePort: 2 };
  expect(heldBy(nowhere, [process.pid])).toBe(null);
  expect(heldBy({ ...nowhere, localAddress: 'fe80::1%eth0', remoteAddress: 'fe80::2' }, [process.pid])).toBe(null);
  const { server, port } = await listen('127.0.0.1');
  const accepted = once(server, 'connection');
  const socket = await connectTo('127.0.0.1', port);
  const [other] = await accepted;
  sockets.push(other);
  expect(held(socket, [4_194_303])).toBe(false);
  expect(held(socket, [4_194_303, process.pid])).toBe(true);
});
