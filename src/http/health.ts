/** Whether everything that should be ready is: what /readyz answers; pure. */
import { instanceName } from '../core/name.ts';
import type { ServiceState, SupervisorState } from '../core/root-state.ts';
import type { InstanceState } from '../core/state.ts';

type NotReady = {
  readonly service: string;
  readonly ready: number;
  readonly wanted: number;
  /** The instances that are missing, and their states. */
  readonly instances: Readonly<Record<string, string>>;
};

export type Readiness =
  | { readonly status: 'ready'; readonly ready: true }
  | { readonly status: 'not-ready'; readonly ready: false; readonly services: readonly NotReady[] }
  | { readonly status: 'draining'; readonly ready: false; readonly services: readonly NotReady[] };

/** What was stopped by hand is not wanted, and what has done its work needs not run; a shutdown drains from its first moment. */
export function readinessOf({ services, shutdown }: SupervisorState): Readiness {
  const missing = Object.values(services).flatMap((service) => missingOf(service));
  if (shutdown !== null) return { status: 'draining', ready: false, services: missing };
  if (missing.length === 0) return { status: 'ready', ready: true };
  return { status: 'not-ready', ready: false, services: missing };
}

function missingOf(service: ServiceState): readonly NotReady[] {
  const { spec, instances, stoppedByHand, waiting } = service;
  const wanted = [...instances.entries()].filter(
    ([index]) => !stoppedByHand.includes(index) || waiting?.indexes.includes(index) === true,
  );
  const missing = wanted.filter(([, instance]) => !isReady(instance));
  if (missing.length === 0) return [];
  const states = missing.map(([index, { name }]) => [
    instanceName(spec.name, index),
    name === 'stopped' && waiting?.indexes.includes(index) === true ? 'waiting' : name,
  ]);
  const ready = wanted.length - missing.length;
  return [{ service: spec.name, ready, wanted: wanted.length, instances: Object.fromEntries(states) }];
}

function isReady({ name }: InstanceState): boolean {
  return name === 'running' || name === 'exited';
}
