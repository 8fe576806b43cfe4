/** What the service manager around us (systemd) is told of the whole: ready, well, stopping, and one line for people. */
import { stopNeedMs } from './budget.ts';
import { type InstanceName, instanceName } from './name.ts';
import { instancesOf, type ServiceState, type SupervisorState } from './root-state.ts';
import { type InstanceState, isDown } from './state.ts';

export type ManagerNews = {
  /** Every instance that was asked to start is ready, has done its work, or was given up. */
  readonly isReady: boolean;
  readonly isStopping: boolean;
  /** No critical service has failed for good or at its liveness check. */
  readonly isWell: boolean;
  /** How long the stop may still take, in ms; `null` while nothing stops. */
  readonly stopMs: number | null;
  /** `3 of 4 ready; waiting for db:0`. */
  readonly status: string;
};

/** For what comes behind a grace period: survivors, the end of logs, our own end. */
const AFTER_GRACE_MS = 5_000;
/** More names make a line that nobody reads. */
const MOST_NAMES = 5;

/**
 * The news of a state at `now` (epoch ms). `isPatient`: an instance whose start has failed is waited for, as long as its
 * restart policy tries again; else it counts as settled, as for a daemon whose other services are up.
 */
export function managerNews(state: SupervisorState, now: number, isPatient: boolean): ManagerNews {
  const isStopping = state.shutdown !== null;
  return {
    isReady: Object.values(state.services).every((service) => isSettled(service, isPatient)),
    isStopping,
    isWell: Object.values(state.services).every((service) => !service.spec.critical || isWell(service)),
    stopMs: isStopping ? stopMs(state, now) : null,
    status: isStopping ? stoppingStatus(state) : runningStatus(state, isPatient),
  };
}

function isSettled({ waiting, instances }: ServiceState, isPatient: boolean): boolean {
  return waiting === null && instances.every((instance) => !isComing(instance, isPatient));
}

function isComing(instance: InstanceState, isPatient: boolean): boolean {
  switch (instance.name) {
    case 'starting':
      return isPatient || instance.restarts === 0;
    case 'backoff':
      return isPatient;
    case 'stopping':
      return instance.next !== 'stopped' && (isPatient || instance.restarts === 0);
    default:
      return false;
  }
}

function isWell({ instances }: ServiceState): boolean {
  return instances.every(
    (instance) => instance.name !== 'failed' && !(instance.name === 'stopping' && instance.failure !== null),
  );
}

/** Of the waves that are not down yet, one after the other, under the deadline of the whole. */
function stopMs({ shutdown, services }: SupervisorState, now: number): number {
  const waves = shutdown?.waves.slice(shutdown.wave) ?? [];
  const needs = waves.map((names) =>
    Math.max(
      0,
      ...names.flatMap((name) => services[name]?.instances.map((one) => needOf(one, services[name], now)) ?? []),
    ),
  );
  const needMs = needs.reduce((sum, need) => sum + need, 0);
  const leftMs = shutdown?.deadline == null ? needMs : Math.min(needMs, Math.max(0, shutdown.deadline - now));
  return leftMs + AFTER_GRACE_MS;
}

function needOf(instance: InstanceState, service: ServiceState | undefined, now: number): number {
  if (service === undefined || isDown(instance)) return 0;
  if (instance.name === 'stopping' && instance.deadline !== null) return Math.max(0, instance.deadline - now);
  return stopNeedMs(service.spec.stop);
}

function runningStatus(state: SupervisorState, isPatient: boolean): string {
  const all = instancesOf(state).filter(({ isSpare }) => !isSpare);
  const wanted = all.filter(({ of, state: { name } }) => name !== 'stopped' || isWaiting(state, of.service));
  const ready = wanted.filter(({ state: { name } }) => name === 'running' || name === 'exited');
  const failed = wanted.filter(({ state: { name } }) => name === 'failed');
  const coming = wanted.filter(
    ({ of, state: instance }) =>
      isComing(instance, isPatient) || (instance.name === 'stopped' && isWaiting(state, of.service)),
  );
  const again = wanted.filter((one) => ![...ready, ...failed, ...coming].includes(one));
  const parts = [
    `${ready.length} of ${wanted.length} ready`,
    ...part('waiting for', coming),
    ...part('starting again:', again),
    ...part('failed:', failed),
  ];
  return parts.join('; ');
}

function isWaiting({ services }: SupervisorState, service: string): boolean {
  return services[service]?.waiting !== null;
}

function stoppingStatus(state: SupervisorState): string {
  const there = instancesOf(state).flatMap(({ of, state: instance }) =>
    instance.name === 'stopping' || instance.name === 'running' || instance.name === 'starting'
      ? [{ of, rung: instance.name === 'stopping' ? ` (${instance.rung})` : '' }]
      : [],
  );
  if (there.length === 0) return 'stopping: everything is down';
  const names = there.slice(0, MOST_NAMES).map(({ of, rung }) => `${instanceName(of.service, of.index)}${rung}`);
  return `stopping: ${there.length} still there: ${listed(names, there.length)}`;
}

function part(
  what: string,
  ones: readonly { readonly of: { readonly service: string; readonly index: number } }[],
): string[] {
  if (ones.length === 0) return [];
  const names = ones.slice(0, MOST_NAMES).map(({ of }): InstanceName => instanceName(of.service, of.index));
  return [`${what} ${listed(names, ones.length)}`];
}

function listed(names: readonly string[], count: number): string {
  const more = count - names.length;
  return `${names.join(', ')}${more > 0 ? ` and ${more} more` : ''}`;
}
