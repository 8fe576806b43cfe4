/** What the kernel tells of the listening sockets of this machine (/proc/net), and which process holds one. */
import { readdirSync, readFileSync, readlinkSync, statSync } from 'node:fs';
import { basename, isAbsolute, resolve } from 'node:path';
import type { SocketAddress } from '../core/service.ts';
import { commandLine } from './processes.ts';
import { hostBytes } from './socket-address.ts';

/** net/tcp_states.h and __SO_ACCEPTCON of linux/net.h. */
const TCP_TIME_WAIT = '06';
const TCP_LISTEN = '0A';
const UNIX_LISTENING = '00010000';

export type Holder = { readonly pid: number; readonly command: string };
type TcpSocket = { readonly inode: string; readonly host: Buffer; readonly port: number; readonly state: string };
type UnixListener = { readonly inode: string; readonly path: string };

/** The inode of the socket that is in the way of `address`: one that listens there, or on every address. */
export function findListener(address: SocketAddress): string | null {
  if (address.kind === 'unix') return findUnixListener(address.path);
  const wanted = hostBytes(address.host);
  const there = tcpListeners().filter(({ port }) => port === address.port);
  const found = there.find(({ host }) => host.equals(wanted)) ?? there.find(({ host }) => overlap(host, wanted));
  return found?.inode ?? null;
}

/**
 * A connection that has `address` as its own end, where nobody listens: one that went out from a port of the kernel's
 * choice. It is in the way of bind(2) like a listener, for a minute after its end too (TIME_WAIT), as it asked for no SO_REUSEADDR.
 */
export function findConnection(address: SocketAddress): 'open' | 'ended' | null {
  if (address.kind === 'unix') return null;
  const wanted = hostBytes(address.host);
  const found = tcpSockets().find(({ port, host }) => port === address.port && overlap(host, wanted));
  if (found === undefined || found.state === TCP_LISTEN) return null;
  return found.state === TCP_TIME_WAIT ? 'ended' : 'open';
}

/** Whether the socket with this inode listens on exactly that address; `0.0.0.0` is `::` where there is no IPv6. */
export function isListening(inode: string, address: SocketAddress): boolean {
  if (address.kind === 'unix') {
    return unixListeners().some((one) => one.inode === inode && one.path === address.path);
  }
  const hosts = [address.host, ...(address.host === '::' ? ['0.0.0.0'] : [])].map(hostBytes);
  const found = tcpListeners().find((one) => one.inode === inode);
  return found !== undefined && found.port === address.port && hosts.some((host) => host.equals(found.host));
}

/** Where the socket with this inode listens; `null` when it is none that does. */
export function addressOf(inode: string): SocketAddress | null {
  const tcp = tcpListeners().find((one) => one.inode === inode);
  if (tcp !== undefined) return { kind: 'tcp', host: hostText(tcp.host), port: tcp.port };
  const unix = unixListeners().find((one) => one.inode === inode);
  return unix === undefined ? null : { kind: 'unix', path: unix.path };
}

/** In the one spelling that addresses have. */
function hostText(host: Buffer): string {
  if (host.length === 4) return host.join('.');
  const groups = Array.from({ length: 8 }, (_, index) => host.readUInt16BE(index * 2).toString(16));
  return new URL(`http://[${groups.join(':')}]`).hostname.slice(1, -1);
}

/** Whether the file of a Unix socket may be this one's: no other listens by that name. */
export function isOnlyListener(inode: string, path: string): boolean {
  return unixListeners().every((one) => one.inode === inode || one.path !== path);
}

/** A process that has the socket, as far as we may look. */
export function findHolder(inode: string): Holder | null {
  for (const entry of readdirSync('/proc')) {
    const pid = Number(entry);
    if (!Number.isInteger(pid) || descriptorsOf(pid, kernelName(inode)).length === 0) continue;
    return { pid, command: commandLine(pid) };
  }
  return null;
}

/** What these processes listen on. */
export function listenersOf(
  pids: readonly number[],
): readonly { readonly inode: string; readonly address: SocketAddress }[] {
  const names = pids.flatMap((pid) => fdsOf(pid).map((fd) => nameOf(pid, fd)));
  const inodes = new Set(names.flatMap((name) => inodeOf(name) ?? []));
  const tcp = tcpListeners().map(
    ({ inode, host, port }) => ({ inode, address: { kind: 'tcp', host: hostText(host), port } }) as const,
  );
  const unix = unixListeners().map(({ inode, path }) => ({ inode, address: { kind: 'unix', path } }) as const);
  return [...tcp, ...unix].filter(({ inode }) => inodes.has(inode));
}

/** The descriptors by which a process has something; none where we may not look. */
export function descriptorsOf(pid: number, name: string): readonly number[] {
  return fdsOf(pid)
    .filter((fd) => nameOf(pid, fd) === name)
    .map(Number);
}

function fdsOf(pid: number): readonly string[] {
  try {
    return readdirSync(`/proc/${pid}/fd`);
  } catch {
    return [];
  }
}

/** `socket:[inode]` of a descriptor of a process, as /proc has it; empty when there is none. */
export function nameOf(pid: number | 'self', fd: number | string): string {
  try {
    return readlinkSync(`/proc/${pid}/fd/${fd}`);
  } catch {
    return '';
  }
}

/** The inode in `socket:[inode]`, or `null`. */
export function inodeOf(name: string): string | null {
  return /^socket:\[(\d+)\]$/.exec(name)?.[1] ?? null;
}

function kernelName(inode: string): string {
  return `socket:[${inode}]`;
}

/** All 0, or all 0 in an IPv4 address mapped into IPv6. */
function isWildcard(host: Buffer): boolean {
  return unmapped(host).every((byte) => byte === 0);
}

function overlap(one: Buffer, other: Buffer): boolean {
  const [a, b] = [unmapped(one), unmapped(other)];
  if (a.equals(b)) return true;
  // `::` takes IPv4 too, 0.0.0.0 takes no IPv6.
  const covers = (all: Buffer, host: Buffer) => isWildcard(all) && (all.length === 16 || host.length === 4);
  return covers(a, b) || covers(b, a);
}

function unmapped(host: Buffer): Buffer {
  const isMapped = host.length === 16 && host.subarray(0, 12).equals(hostBytes('::ffff:0:0').subarray(0, 12));
  return isMapped ? host.subarray(12) : host;
}

function tcpListeners(): readonly TcpSocket[] {
  return tcpSockets().filter(({ state }) => state === TCP_LISTEN);
}

function tcpSockets(): readonly TcpSocket[] {
  return ['/proc/net/tcp', '/proc/net/tcp6'].flatMap(linesOf).flatMap((line) => {
    const fields = line.trim().split(/\s+/);
    const [hex = '', port = ''] = fields[1]?.split(':') ?? [];
    const [state, inode] = [fields[3], fields[9]];
    if (state === undefined || inode === undefined) return [];
    // Words of 32 bits, each printed as a number of this machine's byte order.
    const words = Uint32Array.from(hex.match(/.{8}/g) ?? [], (word) => Number.parseInt(word, 16));
    return [{ inode, host: Buffer.from(words.buffer), port: Number.parseInt(port, 16), state }];
  });
}

/** Its path is as it was bound: relative to where its process was, perhaps, or by way of a link. */
function findUnixListener(path: string): string | null {
  const found = unixListeners().find((one) => one.path === path || (sameName(one.path, path) && isFileOf(one, path)));
  return found?.inode ?? null;
}

function sameName(one: string, other: string): boolean {
  return basename(one) === basename(other);
}

/** In doubt it is: a living server's file must not be taken away. */
function isFileOf({ inode, path: bound }: UnixListener, path: string): boolean {
  const folder = isAbsolute(bound) ? '/' : folderOf(inode);
  if (folder === null) return true;
  try {
    const [one, other] = [statSync(resolve(folder, bound)), statSync(path)];
    return one.dev === other.dev && one.ino === other.ino;
  } catch {
    return false;
  }
}

function folderOf(inode: string): string | null {
  const holder = findHolder(inode);
  try {
    return holder === null ? null : readlinkSync(`/proc/${holder.pid}/cwd`);
  } catch {
    return null;
  }
}

function unixListeners(): readonly UnixListener[] {
  return linesOf('/proc/net/unix').flatMap((line) => {
    const match = /^\S+ \S+ \S+ (\S+) \S+ \S+ +(\d+) (.+)$/.exec(line);
    return match?.[1] === UNIX_LISTENING && match[2] && match[3] ? [{ inode: match[2], path: match[3] }] : [];
  });
}

/** Of a table of the kernel, without its head; none where it has no such table. */
function linesOf(file: string): readonly string[] {
  try {
    return readFileSync(file, 'utf8').split('\n').slice(1);
  } catch {
    return [];
  }
}
