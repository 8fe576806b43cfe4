/** An address of a socket in the kernel's bytes: its host, and the sockaddr that bind(2) takes. */
import type { SocketAddress } from '../core/service.ts';

/** sys/socket.h */
export const FAMILY = { unix: 1, ipv4: 2, ipv6: 10 } as const;
/** Bytes of sun_path, less its closing zero: unix(7). */
export const LONGEST_PATH = 107;

export function familyOf(address: SocketAddress): number {
  if (address.kind === 'unix') return FAMILY.unix;
  return address.host.includes(':') ? FAMILY.ipv6 : FAMILY.ipv4;
}

/** sockaddr_un, sockaddr_in or sockaddr_in6. */
export function sockaddrOf(address: SocketAddress): Buffer {
  const family = Buffer.from(Uint16Array.of(familyOf(address)).buffer);
  if (address.kind === 'unix') return Buffer.concat([family, Buffer.from(address.path), Buffer.alloc(1)]);
  const port = Buffer.alloc(2);
  port.writeUInt16BE(address.port);
  const host = hostBytes(address.host);
  if (host.length === 4) return Buffer.concat([family, port, host, Buffer.alloc(8)]);
  const [flow, scope] = [Buffer.alloc(4), Buffer.alloc(4)];
  return Buffer.concat([family, port, flow, host, scope]);
}

/** 4 bytes of an IPv4 address or 16 of an IPv6 one, in the order of the network. */
export function hostBytes(host: string): Buffer {
  if (!host.includes(':')) return Buffer.from(host.split('.').map(Number));
  // In its one spelling it has neither a dotted tail nor leading zeros.
  const [before = '', after = ''] = new URL(`http://[${host}]`).hostname.slice(1, -1).split('::');
  const [left, right] = [before, after].map((part) => part.split(':').filter(Boolean)) as [string[], string[]];
  const bytes = Buffer.alloc(16);
  for (const [index, group] of left.entries()) bytes.writeUInt16BE(Number.parseInt(group, 16), index * 2);
  const from = 8 - right.length;
  for (const [index, group] of right.entries()) bytes.writeUInt16BE(Number.parseInt(group, 16), (from + index) * 2);
  return bytes;
}
