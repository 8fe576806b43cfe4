/** Why a socket could not be bound or listened on, told to people. */
import { readFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { formatAddress } from '../core/address.ts';
import { EXIT, GsupError } from '../core/error.ts';
import type { SocketAddress } from '../core/service.ts';
import type { ErrorCode } from './native-sockets.ts';
import { LONGEST_PATH } from './socket-address.ts';
import { findConnection, findHolder, findListener } from './socket-table.ts';

/** Where it is of no use to ask the kernel. */
const FIRST_FREE_PORT = 1024;

export type Refusal = { readonly why: string; readonly hint?: string };

export function cannotListen(address: SocketAddress, { why, hint }: Refusal): GsupError {
  const message = `cannot listen on ${formatAddress(address)}: ${why}`;
  return new GsupError(message, hint === undefined ? { exitStatus: EXIT.failed } : { exitStatus: EXIT.failed, hint });
}

/** Somebody listens there: the socket with this inode, or one that nothing is known of. */
export function heldBy(address: SocketAddress, inode: string | null): Refusal {
  const another = address.kind === 'tcp' ? 'another port' : 'another path';
  const connection = inode === null ? findConnection(address) : null;
  if (connection !== null) return heldByConnection(connection);
  const holder = inode === null ? null : findHolder(inode);
  if (holder === null) return { why: 'it is held by another process', hint: `stop that one, or take ${another}` };
  const { pid, command } = holder;
  return { why: `it is held by pid ${pid} (${command})`, hint: `stop it, with "kill ${pid}" say, or take ${another}` };
}

function heldByConnection(connection: 'open' | 'ended'): Refusal {
  const hint = 'take a port below those of net.ipv4.ip_local_port_range, from which outgoing connections get theirs';
  if (connection === 'open') return { why: 'an outgoing connection of this machine has that port', hint };
  return { why: 'an outgoing connection that has ended keeps that port for a minute (TIME_WAIT)', hint };
}

export function heldByService(service: string): Refusal {
  return { why: `the service ${service} has it`, hint: 'give one of the two another address' };
}

/** Of any error. */
export function refusalAt(address: SocketAddress, code: ErrorCode): Refusal {
  return code === 'EADDRINUSE' ? heldBy(address, findListener(address)) : refusalOf(address, code);
}

/** Of any error but EADDRINUSE. */
export function refusalOf(address: SocketAddress, code: ErrorCode): Refusal {
  if (address.kind === 'unix') return ofPath(address.path, code) ?? { why: `it failed with ${code}` };
  return ofHost(address, code) ?? { why: OF_RESOURCES[code] ?? `it failed with ${code}` };
}

export function tooLong(path: string): Refusal {
  const why = `its path has ${Buffer.byteLength(path)} bytes, and a socket's may have ${LONGEST_PATH}`;
  return { why, hint: 'take a shorter one, in /run or /tmp' };
}

export function noSocket(): Refusal {
  return { why: 'a file that is no socket is there', hint: 'move it away, or take another path' };
}

export function notRemovable(code: ErrorCode): Refusal {
  const why = `the socket of a server that has gone is there, and can't be removed (${code})`;
  return { why, hint: 'remove it, or take another path' };
}

/** For a service of another user, in a folder that untrusted users can change. */
export function needsKoffi(): Refusal {
  const why = 'other users can change its folder; to bind there with the rights of the service needs koffi';
  return { why, hint: 'npm i koffi beside gsup, or use a folder that only root can change, such as /run' };
}

function ofHost({ host, port }: Extract<SocketAddress, { kind: 'tcp' }>, code: ErrorCode): Refusal | null {
  switch (code) {
    case 'EACCES':
    case 'EPERM': {
      const first = firstFreePort();
      if (port >= first) return { why: `it is not permitted (${code})`, hint: 'look for SELinux, AppArmor or seccomp' };
      const why = `ports below ${first} need root or CAP_NET_BIND_SERVICE`;
      return { why, hint: `take a port from ${first} on, or "sysctl net.ipv4.ip_unprivileged_port_start=${port}"` };
    }
    case 'EADDRNOTAVAIL':
      return { why: `this machine has no address ${host}`, hint: '"ip address" shows those it has' };
    case 'EAFNOSUPPORT': {
      const version = host.includes(':') ? 'IPv6' : 'IPv4';
      return { why: `this machine has no ${version}`, hint: 'take an address of the other kind' };
    }
    default:
      return null;
  }
}

function ofPath(path: string, code: ErrorCode): Refusal | null {
  const folder = dirname(path);
  switch (code) {
    case 'ENOENT':
      return { why: `the folder ${folder} does not exist`, hint: `mkdir -p ${folder}` };
    case 'ENOTDIR':
      return { why: `${folder} is no folder`, hint: 'check the path' };
    case 'EACCES':
    case 'EPERM':
      return { why: `no permission to make a file in ${folder}`, hint: `check the owner and mode of ${folder}` };
    case 'EROFS':
      return { why: `${folder} can only be read`, hint: 'take a path in /run or /tmp' };
    default:
      return OF_RESOURCES[code] === undefined ? null : { why: OF_RESOURCES[code] };
  }
}

const OF_RESOURCES: Readonly<Record<ErrorCode, string>> = {
  EMFILE: 'too many open files (EMFILE)',
  ENFILE: 'too many open files on this machine (ENFILE)',
  ENOBUFS: 'not enough memory (ENOBUFS)',
  ENOMEM: 'not enough memory (ENOMEM)',
};

function firstFreePort(): number {
  try {
    return Number(readFileSync('/proc/sys/net/ipv4/ip_unprivileged_port_start', 'latin1'));
  } catch {
    return FIRST_FREE_PORT;
  }
}
