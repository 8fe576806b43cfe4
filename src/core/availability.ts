/** How many instances of a service are ready, how many have to be, and whether a rolling restart may take one more away. */
import type { Rolling, RollingStep, ServiceState } from './root-state.ts';
import { type InstanceState, isDown } from './state.ts';

/** Whether one more may go: the ready ones that are left are as many as the policy wants. */
export function canSpareOne(service: ServiceState, rolling: Rolling): boolean {
  return availableOf(service) - 1 >= wantedOf(service).length - mayBeDown(rolling);
}

/** The same for one whose successor does not run yet: what runs beside others doesn't count for it. */
export function canReplaceInPlace(service: ServiceState, rolling: Rolling): boolean {
  const wanted = wantedOf(service);
  const isUp = (instance: InstanceState) =>
    instance.name === 'running' && !isNew(service, service.instances.indexOf(instance), 'in-place');
  return wanted.length - wanted.filter(isUp).length + 1 <= mayBeDown(rolling) && canSpareOne(service, rolling);
}

function mayBeDown({ target }: Rolling): number {
  const { maxSurge, maxUnavailable } = target.rolling;
  return Math.max(maxUnavailable, maxSurge === 0 ? 1 : 0);
}

/** Those that should be up; one that this rolling restart is not about and that is down anyway holds up nobody. */
export function wantedOf({ spec, instances, stoppedByHand, rolling }: ServiceState): readonly InstanceState[] {
  const isPart = (index: number) =>
    rolling === null || rolling.pending.includes(index) || rolling.done.includes(index) || index in rolling.underWay;
  return instances.filter((instance, index) => {
    if (index >= spec.instances || stoppedByHand.includes(index) || instance.name === 'exited') return false;
    return isPart(index) || !(isDown(instance) || instance.name === 'backoff');
  });
}

/** How many instances of a service are ready, and have been for long enough, those beside included. */
export function availableOf(service: ServiceState): number {
  const { instances, spares } = service;
  const serving = instances.filter(
    (instance, index) => instance.name === 'running' && !isNew(service, index, 'in-place'),
  );
  const beside = Object.entries(spares).filter(
    ([index, { name }]) => name === 'running' && !isNew(service, Number(index), 'beside'),
  );
  return serving.length + beside.length;
}

/** Whether it has not shown yet that it stays ready. */
function isNew({ rolling }: ServiceState, index: number, how: RollingStep['how']): boolean {
  const step = rolling?.underWay[index];
  return step?.how === how && (step.stage === 'coming' || step.stage === 'settling');
}
