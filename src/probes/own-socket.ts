/** Whether a check asks an address on this machine, where another instance of the service may answer in its place. */
import type { SocketSpec } from '../core/service.ts';
import type { ActiveCheck } from './check.ts';

const ANY = ['::', '0.0.0.0'];

/** `own`: a socket of the service, which all its instances share; `local`: another address of this machine. */
export function whereItAsks(check: ActiveCheck, sockets: readonly SocketSpec[]): 'own' | 'local' | 'elsewhere' {
  const asked = addressOf(check);
  if (asked === null) return 'elsewhere';
  const isLocal = asked.host === 'localhost' || asked.host === '::1' || asked.host.startsWith('127.');
  const isOwn = sockets.some(({ address }) => {
    if (address.kind !== 'tcp' || address.port !== asked.port) return false;
    return address.host === asked.host || ANY.includes(address.host) || isLocal;
  });
  if (isOwn) return 'own';
  return isLocal || ANY.includes(asked.host) ? 'local' : 'elsewhere';
}

function addressOf(check: ActiveCheck): { readonly host: string; readonly port: number } | null {
  if (check.kind === 'tcp') return check;
  if (check.kind !== 'http') return null;
  const { hostname, port, protocol } = new URL(check.url);
  const usual = protocol === 'https:' ? 443 : 80;
  return { host: hostname.replace(/^\[|\]$/g, ''), port: port === '' ? usual : Number(port) };
}
