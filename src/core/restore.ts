/** The state that one supervisor left → the state that the next one begins with, and what it has to start. */
import type { InstanceRef } from './event.ts';
import { startOrder } from './graph.ts';
import type { ServiceState, SupervisorState } from './root-state.ts';
import { FRESH, type InstanceState, isDown, lifeOf } from './state.ts';

export type Restored = {
  readonly state: SupervisorState;
  /** What was up by the will of people and isn't, because everything was stopped or the machine was. */
  readonly toStart: readonly InstanceRef[];
  /** What was to be stopped by hand with everything, and had not been asked yet. */
  readonly toStop: readonly InstanceRef[];
};

/** `isSameBoot`: what ran may run still. A shutdown of everything is over with its supervisor. */
export function restoreState(saved: SupervisorState, isSameBoot: boolean): Restored {
  const wasShutDown = saved.shutdown !== null || saved.hasEnded;
  const entries = Object.entries(saved.services).map(([name, service]): [string, ServiceState] => [
    name,
    isSameBoot
      ? {
          ...service,
          instances: wasShutDown ? service.instances.map(afterShutdown) : service.instances,
          rolling: wasShutDown ? null : service.rolling,
        }
      : { ...service, waiting: null, instances: service.instances.map(afterBoot), spares: {}, rolling: null },
  ]);
  const services = Object.fromEntries(entries);
  const state: SupervisorState = {
    ...saved,
    services,
    shutdown: null,
    verdict: 'clean',
    alive: [],
    hasEnded: false,
    isLasting: true,
  };
  if (isSameBoot && !wasShutDown) return { state, toStart: [], toStop: [] };
  const dependencies = entries.map(([name, { spec }]): [string, string[]] => [name, Object.keys(spec.dependsOn)]);
  const order = startOrder(Object.fromEntries(dependencies));
  const each = (pick: (service: ServiceState) => readonly InstanceRef[]) =>
    order.flatMap((name) => (services[name] ? pick(services[name]) : []));
  return { state, toStart: each(wantedOf), toStop: each(unwantedOf).toReversed() };
}

/** Every process is gone; numbers of runs go on, so that no two runs ever have the same. */
function afterBoot(was: InstanceState): InstanceState {
  return { ...FRESH, name: 'stopped', run: was.run, lastExit: was.lastExit };
}

/** What failed is tried anew; a critical service that failed would stop everything again. */
function afterShutdown(was: InstanceState): InstanceState {
  return was.name === 'failed' && was.stuckPid === null ? { ...lifeOf(was), name: 'stopped' } : was;
}

function wantedOf({ spec, instances, stoppedByHand, isLeaving }: ServiceState): readonly InstanceRef[] {
  if (isLeaving) return [];
  return [...instances.entries()]
    .filter(([index]) => index < spec.instances && !stoppedByHand.includes(index))
    .filter(([, instance]) => isDown(instance) || isBeingStopped(instance))
    .map(([index]) => ({ service: spec.name, index }));
}

function unwantedOf({ spec, instances, stoppedByHand }: ServiceState): readonly InstanceRef[] {
  const isUp = ({ name }: InstanceState) => name === 'starting' || name === 'running' || name === 'backoff';
  return [...instances.entries()]
    .filter(([index, instance]) => stoppedByHand.includes(index) && isUp(instance))
    .map(([index]) => ({ service: spec.name, index }));
}

/** Also one that was asked to stop before its process was there. */
function isBeingStopped(instance: InstanceState): boolean {
  return instance.name === 'stopping' || (instance.name === 'starting' && instance.stopAsked !== null);
}
