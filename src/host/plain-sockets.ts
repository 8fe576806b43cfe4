/** The same calls without koffi, by what Node has: a handle that is bound, and short-lived children for the rest. */
import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync, readFileSync, renameSync } from 'node:fs';
import net from 'node:net';
import { dirname } from 'node:path';
import { getSystemErrorName } from 'node:util';
import type { SocketAddress } from '../core/service.ts';
import type { ErrorCode, NativeSockets } from './native-sockets.ts';

type ServerHandle = { readonly fd: number; getsockname?(out: object): number; close(): void };
/** Binds, and does not listen; the number of an error when that fails. `addressType` is 4, 6, or -1 for a path. */
type CreateServerHandle = (host: string, port: number, addressType: 4 | 6 | -1) => ServerHandle | number;

/** fcntl.h */
const O_NONBLOCK = 0o4000;
const CHILD_TIMEOUT_MS = 10_000;
/** Ends before its event loop turns, which is what would accept; says the name of the error when there was one. */
const LISTEN = `
const server = require('node:net').createServer();
server.on('error', ({ code }) => { require('node:fs').writeSync(1, code); process.exit(1); });
server.listen({ fd: 3 }, Number(process.argv[1]));
if (server.listening) process.exit(0);`;

export const plainSockets: NativeSockets = {
  bind(address) {
    const handle = bindHandle(address);
    if (typeof handle === 'number') return codeOf(getSystemErrorName(handle), address);
    // libuv keeps EADDRINUSE back until listen(2), where such a socket would get a port of the kernel's choice.
    const error = handle.getsockname?.({}) ?? 0;
    if (error === 0) return { fd: handle.fd, close: () => closeHandle(handle, address) };
    handle.close();
    return getSystemErrorName(error);
  },
  listen(fd, backlog) {
    const stdio = ['ignore', 'pipe', 'ignore', fd] as const;
    const child = spawnSync(process.execPath, ['-e', LISTEN, String(backlog)], {
      stdio: [...stdio],
      // Nothing of the user's is to be loaded by it.
      env: {},
      encoding: 'utf8',
      timeout: CHILD_TIMEOUT_MS,
    });
    if (child.status !== 0) return /^E[A-Z0-9]+$/.test(child.stdout ?? '') ? child.stdout : 'EIO';
    this.makeBlocking(fd);
    return null;
  },
  // A child that listens once more would change how it blocks, under those that have it too.
  setBacklog() {},
  // libuv clears O_NONBLOCK for the first three descriptors of a child, whatever becomes of that child.
  makeBlocking(fd) {
    if (isBlocking(fd)) return;
    spawnSync('/bin/sh', ['-c', ':'], { stdio: [fd, 'ignore', 'ignore'], env: {}, timeout: CHILD_TIMEOUT_MS });
  },
};

function bindHandle(address: SocketAddress): ServerHandle | number {
  // Node has no public way to bind without listening.
  const { _createServerHandle: create } = net as unknown as { readonly _createServerHandle: CreateServerHandle };
  if (address.kind === 'unix') return create(address.path, -1, -1);
  return create(address.host, address.port, address.host.includes(':') ? 6 : 4);
}

/** libuv gives EACCES for ENOENT where it binds a path, as Windows would. */
function codeOf(code: ErrorCode, address: SocketAddress): ErrorCode {
  const isMissing = code === 'EACCES' && address.kind === 'unix' && !existsSync(dirname(address.path));
  return isMissing ? 'ENOENT' : code;
}

/** libuv unlinks the path of a pipe that it closes, whatever stands there by then: out of its way for that moment. */
function closeHandle(handle: ServerHandle, address: SocketAddress): void {
  const aside = address.kind === 'unix' ? `${address.path}.${randomBytes(6).toString('hex')}` : null;
  const isAside = address.kind === 'unix' && aside !== null && rename(address.path, aside);
  handle.close();
  if (isAside) rename(aside, address.path);
}

function rename(from: string, to: string): boolean {
  try {
    renameSync(from, to);
    return true;
  } catch {
    return false;
  }
}

function isBlocking(fd: number): boolean {
  const flags = /^flags:\s*([0-7]+)$/m.exec(readFileSync(`/proc/self/fdinfo/${fd}`, 'latin1'))?.[1] ?? '';
  return (Number.parseInt(flags, 8) & O_NONBLOCK) === 0;
}
