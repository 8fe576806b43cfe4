/** Sockets that somebody around us (systemd) listens on and hands in: which service gets which. */
import { formatAddress, overlaps } from './address.ts';
import {
  DEFAULT_BACKLOG,
  type ServiceSpec,
  type SocketAddress,
  type SocketSpec,
  type SupervisorSpec,
} from './service.ts';

/** A socket that was handed in: its name in LISTEN_FDNAMES, and where it listens. */
export type HandedIn = { readonly fd: number; readonly name: string; readonly address: SocketAddress };

/**
 * The services with the sockets that were handed in. One goes to the service that has `sockets` on its address, else to
 * the one that is called as it is (`api`, or `api.socket`, systemd's own name for it), else to the only one there is.
 * `unclaimed` are those that no service gets.
 */
export function withHandedIn(
  spec: SupervisorSpec,
  handedIn: readonly HandedIn[],
): { readonly spec: SupervisorSpec; readonly unclaimed: readonly HandedIn[] } {
  const unclaimed: HandedIn[] = [];
  let services = spec.services;
  for (const socket of handedIn) {
    const index = claimant(services, socket);
    const service = services[index];
    if (service === undefined) unclaimed.push(socket);
    else services = services.with(index, { ...service, sockets: withSocket(service.sockets, socket) });
  }
  return { spec: { ...spec, services }, unclaimed };
}

function claimant(services: readonly ServiceSpec[], { name, address }: HandedIn): number {
  const byAddress = services.findIndex(({ sockets }) => sockets.some((one) => overlaps(one.address, address)));
  if (byAddress >= 0) return byAddress;
  const wanted = name.replace(/\.socket$/, '');
  const byName = services.findIndex((service) => service.name === wanted);
  if (byName >= 0) return byName;
  return services.length === 1 ? 0 : -1;
}

/** In the place of the service's own on that address; else behind them. */
function withSocket(sockets: readonly SocketSpec[], { name, address }: HandedIn): readonly SocketSpec[] {
  const own = sockets.findIndex((one) => overlaps(one.address, address));
  const its = sockets[own];
  if (its !== undefined) return sockets.with(own, { ...its, address });
  const names = new Set(sockets.map((one) => one.name));
  const bare = name.replace(/\.socket$/, '');
  const free = names.has(bare) ? formatAddress(address).replace(/[^\w.-]/g, '_') : bare;
  return [...sockets, { name: free, address, backlog: DEFAULT_BACKLOG, mode: null }];
}
