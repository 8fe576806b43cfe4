/** The `http:` of a file → where is served and who may come, or problems with their places. */
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { isLoopback, parseAddress } from '../core/address.ts';
import type { HttpSpec } from '../core/service.ts';
import type { Path } from './problem.ts';
import type { Resolving } from './resolve.ts';
import type { TopInput } from './schema.ts';

/** Whoever guesses it acts as we do. */
const LEAST_TOKEN = 16;
/** A name, or an address of IPv4 or (without brackets) IPv6. */
const HOST = /^(?:[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*|[\da-f:.]*:[\da-f:.]*)$/i;

type HttpInput = NonNullable<TopInput['http']>;

export function httpOf(input: HttpInput, resolving: Resolving): HttpSpec | null {
  const before = resolving.problems.length;
  const token = tokenOf(input, resolving);
  const hosts = hostsOf(input.hosts ?? [], resolving);
  const address = addressOf(input.listen, resolving);
  if (address === null || resolving.problems.length > before) return null;
  if (token === null && !isLoopback(address.host)) {
    const what = address.host === '::' ? 'every address of this machine' : address.host;
    const message = `http.listen is ${what}, which others reach: set http.token or http.tokenFile, or listen on 127.0.0.1:${address.port}`;
    tell(resolving, ['http', 'listen'], message);
    return null;
  }
  return { ...address, token, hosts };
}

function addressOf(listen: string | number, resolving: Resolving): Pick<HttpSpec, 'host' | 'port'> | null {
  // A port alone is nobody's business but this machine's.
  const isPort = /^\d+$/.test(String(listen).trim());
  const parsed = parseAddress(isPort ? `127.0.0.1:${String(listen).trim()}` : listen);
  if (!parsed.ok) return tell(resolving, ['http', 'listen'], `http.listen ${parsed.problem}`);
  const { address } = parsed;
  if (address.kind === 'tcp') return { host: address.host, port: address.port };
  return tell(resolving, ['http', 'listen'], 'http.listen is a path; expected host:port, or a port');
}

/** What it is, is never told. */
function tokenOf({ token, tokenFile }: HttpInput, resolving: Resolving): string | null {
  if (token !== undefined && tokenFile !== undefined)
    return tell(resolving, ['http', 'tokenFile'], 'http has token and tokenFile; one of them is enough', 'key');
  const path: Path = ['http', token === undefined ? 'tokenFile' : 'token'];
  const value = tokenFile === undefined ? (token ?? null) : readToken(tokenFile, path, resolving);
  if (value === null) return null;
  if (!/^[\x21-\x7e]*$/.test(value))
    return tell(resolving, path, `${path.join('.')}: a token has no spaces, and nothing beyond ASCII`);
  if (value.length >= LEAST_TOKEN) return value;
  const hint = '"openssl rand -hex 32" makes one';
  return tell(
    resolving,
    path,
    `${path.join('.')}: a token has at least ${LEAST_TOKEN} characters, not ${value.length}; ${hint}`,
  );
}

function readToken(tokenFile: string, path: Path, resolving: Resolving): string | null {
  const file = resolve(resolving.folder, tokenFile);
  try {
    return readFileSync(file, 'utf8').trim();
  } catch (error) {
    return tell(resolving, path, `http.tokenFile can't be read: ${(error as NodeJS.ErrnoException).code} of ${file}`);
  }
}

function hostsOf(input: string | readonly string[], resolving: Resolving): readonly string[] {
  const hosts = typeof input === 'string' ? [input] : input;
  for (const [index, host] of hosts.entries()) {
    if (HOST.test(host)) continue;
    const path: Path = typeof input === 'string' ? ['http', 'hosts'] : ['http', 'hosts', index];
    tell(resolving, path, `http.hosts: "${host}" is no name of a host; expected gsup.example.com, without a port`);
  }
  return hosts.map((host) => host.toLowerCase());
}

function tell({ problems }: Resolving, path: Path, message: string, at: 'key' | 'value' = 'value'): null {
  problems.push({ path, at, message });
  return null;
}
