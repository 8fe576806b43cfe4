/** Who may come in: the Host, Origin and token of a request; pure. A page of another site can't pass as ours. */
import { createHash, timingSafeEqual } from 'node:crypto';
import { isLoopback } from '../core/address.ts';
import type { HttpSpec } from '../core/service.ts';

/** Open: health and the empty page; read: what is going on; act: what changes something. */
export type Access = 'open' | 'read' | 'act';

export type Asking = {
  readonly access: Access;
  readonly host: string | undefined;
  readonly origin: string | undefined;
  /** Sec-Fetch-Site and Sec-Fetch-Mode: what a browser says of the page that asks. */
  readonly site: string | undefined;
  readonly mode: string | undefined;
  readonly authorization: string | undefined;
  /** The address that it was reached at. */
  readonly localAddress: string | undefined;
};

export type Refusal = { readonly status: 401 | 403; readonly error: string; readonly hint: string };

/** Why it must not come in; `null`: it may. */
export function refusalOf(asking: Asking, { token, hosts }: HttpSpec): Refusal | null {
  return ofHost(asking, hosts) ?? ofOrigin(asking, hosts) ?? ofSite(asking) ?? ofToken(asking, token);
}

/** A name that somebody else can point at us would let his pages read ours (DNS rebinding). */
function ofHost({ host, localAddress }: Asking, hosts: readonly string[]): Refusal | null {
  // HTTP/1.0 has none, and no browser speaks it.
  if (host === undefined || isOurs(nameOf(host), localAddress, hosts)) return null;
  return forbidden(`the Host "${shown(host)}" is none of ours`, 'add it to http.hosts if it is meant');
}

function ofOrigin({ host, origin }: Asking, hosts: readonly string[]): Refusal | null {
  if (origin === undefined) return null;
  const url = URL.canParse(origin) ? new URL(origin) : null;
  const isOwn = url !== null && host !== undefined && url.host === hostAsIn(url, host);
  if (isOwn || (url !== null && hosts.includes(url.hostname))) return null;
  return forbidden(`the Origin "${shown(origin)}" is another site`, 'only our own page may ask from a browser');
}

/** What another page embeds or fetches without reading it brings no Origin, yet would make us work. */
function ofSite({ site, mode, access }: Asking): Refusal | null {
  if (site === undefined || site === 'same-origin' || site === 'none') return null;
  if (access === 'open' && mode === 'navigate') return null;
  return forbidden('another site has sent this request', 'only our own page may ask from a browser');
}

function ofToken({ access, authorization }: Asking, token: string | null): Refusal | null {
  if (access === 'open') return null;
  if (token === null) {
    if (access === 'read') return null;
    return forbidden('without a token nobody may act here', 'set http.token or http.tokenFile');
  }
  const given = /^Bearer +(\S+) *$/i.exec(authorization ?? '')?.[1];
  if (given !== undefined && isSame(given, token)) return null;
  const error = given === undefined ? 'a token is needed' : 'this is not the token';
  return { status: 401, error, hint: 'send "Authorization: Bearer TOKEN" with that of http.token' };
}

/** In a time that tells nothing of where they differ. */
function isSame(given: string, token: string): boolean {
  const digest = (text: string) => createHash('sha256').update(text).digest();
  return timingSafeEqual(digest(given), digest(token));
}

function isOurs(name: string, localAddress: string | undefined, hosts: readonly string[]): boolean {
  if (name === 'localhost' || name.endsWith('.localhost') || isLoopback(name)) return true;
  return name === localAddress?.replace(/^::ffff:/, '') || hosts.includes(name);
}

/** `[::1]:9615` → `::1`, `gsup.example.com.` → `gsup.example.com`. */
function nameOf(host: string): string {
  const [, bracketed, plain = ''] = /^(?:\[([^\]]*)\]|([^:]*))(?::\d*)?$/.exec(host.trim()) ?? [];
  return (bracketed ?? plain).toLowerCase().replace(/\.$/, '');
}

/** Without the port that the scheme of the origin has anyway, as URLs leave it out. */
function hostAsIn({ protocol }: URL, host: string): string | null {
  return URL.canParse(`${protocol}//${host}`) ? new URL(`${protocol}//${host}`).host : null;
}

function forbidden(error: string, hint: string): Refusal {
  return { status: 403, error, hint };
}

function shown(text: string): string {
  return text.length > 100 ? `${text.slice(0, 99)}…` : text;
}
