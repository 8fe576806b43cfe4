/** The kernel's own calls for a listening socket, by koffi: Node has none that only binds and listens. */
import { closeSync } from 'node:fs';
import { getSystemErrorName } from 'node:util';
import type { LibraryHandle } from 'koffi';
import type { SocketAddress } from '../core/service.ts';
import { FAMILY, familyOf, sockaddrOf } from './socket-address.ts';

/** sys/socket.h and netinet/in.h */
const STREAM_CLOSED_ON_EXEC = 0x80001;
const SOL_SOCKET = 1;
const SO_REUSEADDR = 2;
const IPPROTO_IPV6 = 41;
const IPV6_V6ONLY = 26;
/** fcntl.h */
const F_GETFL = 3;
const F_SETFL = 4;
const O_NONBLOCK = 0o4000;

/** A socket that is bound, and not listened on yet. */
export type BoundSocket = { readonly fd: number; close(): void };
/** The name of an errno, such as EADDRINUSE. */
export type ErrorCode = string;

export type NativeSockets = {
  /** A blocking stream socket, closed on exec, with SO_REUSEADDR; an IPv6 one takes IPv4 too, where its host is `::`. */
  bind(address: SocketAddress): BoundSocket | ErrorCode;
  /** Of a bound socket; it blocks afterwards. Nothing is accepted. */
  listen(fd: number, backlog: number): ErrorCode | null;
  /** Of a listening socket that others may have too. */
  setBacklog(fd: number, backlog: number): void;
  /** Takes O_NONBLOCK away, for all who have the socket. */
  makeBlocking(fd: number): void;
};

let loaded: Promise<NativeSockets | null> | null = null;
let present: NativeSockets | null = null;

/** Them, where they have been loaded already. */
export function nativeSocketsNow(): NativeSockets | null {
  return present;
}

/** Loads them once; every later call answers the same, `null` where koffi is missing. */
export function loadNativeSockets(): Promise<NativeSockets | null> {
  loaded ??= import('koffi').then(
    ({ default: koffi }) => {
      present = callsOf(koffi.load(null as unknown as string), () => getSystemErrorName(-koffi.errno()));
      return present;
    },
    () => null,
  );
  return loaded;
}

function callsOf(libc: LibraryHandle, lastError: () => ErrorCode): NativeSockets {
  const socket = libc.func('int socket(int domain, int type, int protocol)');
  const setsockopt = libc.func('int setsockopt(int fd, int level, int name, void *value, unsigned int length)');
  const bind = libc.func('int bind(int fd, void *address, unsigned int length)');
  const listen = libc.func('int listen(int fd, int backlog)');
  const fcntl = libc.func('int fcntl(int fd, int command, int argument)');
  const enable = (fd: number, level: number, name: number, isOn: boolean) =>
    setsockopt(fd, level, name, Buffer.from(Int32Array.of(isOn ? 1 : 0).buffer), 4);
  return {
    bind: (address) => {
      const family = familyOf(address);
      const fd = Number(socket(family, STREAM_CLOSED_ON_EXEC, 0));
      if (fd < 0) return lastError();
      if (family !== FAMILY.unix) enable(fd, SOL_SOCKET, SO_REUSEADDR, true);
      if (family === FAMILY.ipv6) enable(fd, IPPROTO_IPV6, IPV6_V6ONLY, false);
      const sockaddr = sockaddrOf(address);
      if (Number(bind(fd, sockaddr, sockaddr.length)) === 0) return { fd, close: () => closeSync(fd) };
      const code = lastError();
      closeSync(fd);
      return code;
    },
    listen: (fd, backlog) => (Number(listen(fd, backlog)) === 0 ? null : lastError()),
    setBacklog: (fd, backlog) => void listen(fd, backlog),
    makeBlocking: (fd) => void fcntl(fd, F_SETFL, Number(fcntl(fd, F_GETFL, 0)) & ~O_NONBLOCK),
  };
}
