/** Addresses of sockets as people write them: `3000`, `127.0.0.1:3000`, `[::1]:3000`, `/run/web.sock`. */
import type { SocketAddress } from './service.ts';

export type ParsedAddress =
  | { readonly ok: true; readonly address: SocketAddress }
  | { readonly ok: false; readonly problem: string };

const EVERY_HOST = '::';
const IPV4 = /^(?:(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)(?:\.(?!$)|$)){4}$/;
const LAST_PORT = 65_535;

/**
 * `text` as an address. `3000`, `:3000` and `*:3000` are every address of this machine, `localhost` is 127.0.0.1; a path
 * begins with `/`, `./`, `../` or `unix:` and stays as it is, relative or not. `problem` goes on from "address …".
 */
export function parseAddress(text: string | number): ParsedAddress {
  const written = String(text).trim();
  if (written === '') return problem('is empty');
  if (/^(?:unix:|\.{0,2}\/)/.test(written)) return parsePath(written.replace(/^unix:(?:\/\/(?=\/))?/, ''));
  const match = /^(?:(.*):)?([^:\]]*)$/.exec(written);
  const [host = '', digits = ''] = match ? [match[1], match[2]] : [];
  if (match === null || (match[1] === undefined && !/^\d+$/.test(digits))) return problem(`has no port: "${written}"`);
  const found = parseHost(host);
  if (found === null) return problem(hostProblem(host, written));
  const port = /^\d+$/.test(digits) ? Number(digits) : Number.NaN;
  if (!(port >= 1 && port <= LAST_PORT)) return problem(`has no port from 1 to ${LAST_PORT}: "${written}"`);
  return { ok: true, address: { kind: 'tcp', host: found, port } };
}

/** As `parseAddress` reads it again: `127.0.0.1:3000`, `[::]:3000`, `/run/web.sock`, `unix:web.sock`. */
export function formatAddress(address: SocketAddress): string {
  if (address.kind === 'unix') return /^\.{0,2}\//.test(address.path) ? address.path : `unix:${address.path}`;
  return `${address.host.includes(':') ? `[${address.host}]` : address.host}:${address.port}`;
}

/** Whether the kernel takes them for one: every host of a port is each of its hosts too. */
export function overlaps(a: SocketAddress, b: SocketAddress): boolean {
  if (a.kind === 'unix' || b.kind === 'unix') return a.kind === b.kind && formatAddress(a) === formatAddress(b);
  const isEvery = ({ host }: { readonly host: string }) => host === EVERY_HOST || host === '0.0.0.0';
  return a.port === b.port && (a.host === b.host || isEvery(a) || isEvery(b));
}

/** Whether only this machine reaches it. */
export function isLoopback(host: string): boolean {
  const address = host.toLowerCase().replace(/^::ffff:(?=\d+\.)/, '');
  return address === '::1' || /^127(?:\.\d+){3}$/.test(address);
}

function parsePath(path: string): ParsedAddress {
  if (path === '') return problem('has no path after "unix:"');
  if (path.includes('\0')) return problem('has a zero byte in its path');
  if (path.endsWith('/')) return problem(`is a folder: "${path}"`);
  return { ok: true, address: { kind: 'unix', path } };
}

/** A host's address in its one spelling, or `null`. */
function parseHost(host: string): string | null {
  if (host === '' || host === '*') return EVERY_HOST;
  if (host.toLowerCase() === 'localhost') return '127.0.0.1';
  if (IPV4.test(host)) return host;
  return host.startsWith('[') && host.endsWith(']') ? parseIpv6(host.slice(1, -1)) : null;
}

function parseIpv6(text: string): string | null {
  if (!/^[\da-f:.]+$/i.test(text) || !URL.canParse(`http://[${text}]`)) return null;
  return new URL(`http://[${text}]`).hostname.slice(1, -1);
}

function hostProblem(host: string, written: string): string {
  const naked = host.replace(/^\[|\]$/g, '');
  if (naked.includes('%')) return `has a zone, which can't be bound: "${written}"`;
  if (parseIpv6(naked) !== null || parseIpv6(written) !== null) {
    return `has an IPv6 host without brackets: "${written}"; write [::1]:3000`;
  }
  if (/^[\d.]+$/.test(host)) return `has no valid IPv4 host: "${host}"`;
  if (naked.includes(':')) return `has no valid IPv6 host: "${host}"`;
  return `has a host name: "${host}"; write an address, such as 127.0.0.1 or *`;
}

function problem(text: string): ParsedAddress {
  return { ok: false, problem: text };
}
