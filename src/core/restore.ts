/** The state that one supervisor left → the state that the next one begins with, and what it has to start. */
import type { InstanceRef } from './event.ts';
import { stopWaves } from './graph.ts';
import type { ServiceState, SupervisorState } from './root-state.ts';
import { FRESH, type InstanceState, isDown, lifeOf } from './state.ts';

export type Restored = {
  readonly state: SupervisorState;
  /** What was up by the will of people and isn't, because everything was stopped or the machine was; what others depend on comes first. */
  readonly toStart: readonly InstanceRef[];
};

/** `isSameBoot`: what ran may run still. A shutdown of everything is over with its supervisor. */
export function restoreState(saved: SupervisorState, isSameBoot: boolean): Restored {
  const wasShutDown = saved.shutdown !== null || saved.hasEnded;
  const entries = Object.entries(saved.services).map(([name, service]): [string, ServiceState] => [
    name,
    restoredService(service, isSameBoot, wasShutDown),
  ]);
  const services = Object.fromEntries(entries);
  const state: SupervisorState = {
    ...saved,
    services,
    shutdown: null,
    verdict: 'clean',
    hasEnded: false,
    isLasting: true,
  };
  if (isSameBoot && !wasShutDown) return { state, toStart: [] };
  const dependencies = Object.fromEntries(entries.map(([name, { spec }]) => [name, Object.keys(spec.dependsOn)]));
  const order = stopWaves(dependencies).toReversed().flat();
  return { state, toStart: order.flatMap((name) => (services[name] ? wantedOf(services[name]) : [])) };
}

function restoredService(service: ServiceState, isSameBoot: boolean, wasShutDown: boolean): ServiceState {
  if (!isSameBoot) return { ...service, waiting: null, instances: service.instances.map(afterBoot) };
  return wasShutDown ? { ...service, instances: service.instances.map(afterShutdown) } : service;
}

/** What failed before is tried anew: a critical service that still counts as failed would stop everything again. */
function afterShutdown(was: InstanceState): InstanceState {
  return was.name === 'failed' && was.stuckPid === null ? { ...lifeOf(was), name: 'stopped' } : was;
}

/** Every process is gone; numbers of runs go on, so that no two runs ever have the same. */
function afterBoot(was: InstanceState): InstanceState {
  return { ...FRESH, name: 'stopped', run: was.run, lastExit: was.lastExit };
}

function wantedOf({ spec, instances, stoppedByHand, isLeaving }: ServiceState): readonly InstanceRef[] {
  if (isLeaving) return [];
  return [...instances.entries()]
    .filter(([index, instance]) => !stoppedByHand.includes(index) && (isDown(instance) || instance.name === 'stopping'))
    .map(([index]) => ({ service: spec.name, index }));
}
