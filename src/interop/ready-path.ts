/** How long it may take until everything is ready: what waits for what, one after the other. */
import type { SupervisorSpec } from '../core/service.ts';

/** The longest path of readiness timeouts along the dependencies, in ms. Wants no cycle. */
export function readyPathMs({ services }: SupervisorSpec): number {
  const byName = new Map(services.map((service) => [service.name, service]));
  const known = new Map<string, number>();
  const pathTo = (name: string): number => {
    const service = byName.get(name);
    if (service === undefined) return 0;
    const before = known.get(name);
    if (before !== undefined) return before;
    const needed = Object.keys(service.dependsOn).map(pathTo);
    const path = Math.max(0, ...needed) + (service.ready?.timeoutMs ?? 0);
    known.set(name, path);
    return path;
  };
  return Math.max(0, ...services.map(({ name }) => pathTo(name)));
}
