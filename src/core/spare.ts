/** The spare instance of a drill: the spec of a service for one more instance, away from the addresses of those that serve. */
import type { Check, ReadyPolicy, ServiceSpec, SocketAddress } from './service.ts';

/** Where something listens for the service, and where for its spare. */
export type Moved = { readonly from: SocketAddress; readonly to: SocketAddress };

const ANY = ['::', '0.0.0.0'];

/** Index of the spare: one past the last. */
export function spareIndex({ instances }: ServiceSpec): number {
  return instances;
}

/**
 * The service with room for its spare, and nothing that would act on its own: it is not restarted, watched or asked
 * whether it lives. `env` wins over what the service has.
 */
export function spareSpec(
  spec: ServiceSpec,
  env: Readonly<Record<string, string>>,
  moved: readonly Moved[],
): ServiceSpec {
  return {
    ...spec,
    instances: spec.instances + 1,
    env: { ...spec.env, ...env },
    dependsOn: {},
    sockets: spec.sockets.map((socket) => ({ ...socket, address: movedAddress(socket.address, moved) })),
    ready: spec.ready && movedReady(spec.ready, moved),
    live: null,
    restart: { ...spec.restart, policy: 'never' },
    critical: false,
    memoryLimitBytes: null,
    watch: null,
    schedule: null,
  };
}

/** `url` at the address of the spare; `null`: it names none that was moved. */
export function movedUrl(url: string, moved: readonly Moved[]): string | null {
  const parsed = new URL(url);
  const to = target(hostOf(parsed), portOf(parsed), moved);
  if (to === null) return null;
  parsed.hostname = to.host.includes(':') ? `[${to.host}]` : to.host;
  parsed.port = String(to.port);
  return parsed.href;
}

/** The address that a check asks; `null`: it asks none. */
export function askedBy(check: Check): { readonly host: string; readonly port: number } | null {
  if (check.kind === 'tcp') return check;
  if (check.kind !== 'http') return null;
  const url = new URL(check.url);
  return { host: hostOf(url), port: portOf(url) };
}

export function hostOf({ hostname }: URL): string {
  return hostname.replace(/^\[|\]$/g, '');
}

export function portOf({ port, protocol }: URL): number {
  return port === '' ? (protocol === 'https:' ? 443 : 80) : Number(port);
}

/** Whether an address is one of this machine for sure. */
export function isLocal(host: string): boolean {
  return host === 'localhost' || host === '::1' || host.startsWith('127.') || ANY.includes(host);
}

/**
 * The ports that variables named `…PORT` move: from what the instances have to what is given. A variable that they
 * don't have moves the port that the readiness check asks.
 */
export function movedPorts(
  given: Readonly<Record<string, string>>,
  present: Readonly<Record<string, string | undefined>>,
  ready: ReadyPolicy | null,
): readonly Moved[] {
  return Object.entries(given).flatMap(([name, value]) => {
    const to = portIn(value);
    if (!/PORT$/i.test(name) || to === null) return [];
    const from = portIn(present[name]) ?? (ready && askedBy(ready.check)?.port) ?? null;
    if (from === null || from === to) return [];
    return [{ from: local(from), to: local(to) }];
  });
}

function movedReady(ready: ReadyPolicy, moved: readonly Moved[]): ReadyPolicy {
  const { check } = ready;
  if (check.kind === 'http') return { ...ready, check: { kind: 'http', url: movedUrl(check.url, moved) ?? check.url } };
  const to = check.kind === 'tcp' ? target(check.host, check.port, moved) : null;
  return to === null ? ready : { ...ready, check: { kind: 'tcp', host: to.host, port: to.port } };
}

function movedAddress(address: SocketAddress, moved: readonly Moved[]): SocketAddress {
  return moved.find(({ from }) => from === address)?.to ?? address;
}

function target(host: string, port: number, moved: readonly Moved[]) {
  for (const { from, to } of moved) {
    if (from.kind !== 'tcp' || to.kind !== 'tcp' || from.port !== port) continue;
    if (host === from.host || ANY.includes(from.host) || (isLocal(host) && isLocal(from.host))) return to;
  }
  return null;
}

function portIn(text: string | undefined): number | null {
  const port = text !== undefined && /^\d{1,5}$/.test(text) ? Number(text) : 0;
  return port >= 1 && port <= 65_535 ? port : null;
}

function local(port: number): SocketAddress {
  return { kind: 'tcp', host: '127.0.0.1', port };
}
