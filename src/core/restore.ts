/** The state that one supervisor left → the state that the next one begins with, and what it has to start. */
import type { InstanceRef } from './event.ts';
import type { ServiceState, SupervisorState } from './root-state.ts';
import { FRESH, type InstanceState, isDown } from './state.ts';

export type Restored = {
  readonly state: SupervisorState;
  /** What was up by the will of people and isn't, because everything was stopped or the machine was. */
  readonly toStart: readonly InstanceRef[];
};

/** `isSameBoot`: what ran may run still. A shutdown of everything is over with its supervisor. */
export function restoreState(saved: SupervisorState, isSameBoot: boolean): Restored {
  const wasShutDown = saved.shutdown !== null || saved.hasEnded;
  const entries = Object.entries(saved.services).map(([name, service]): [string, ServiceState] => [
    name,
    isSameBoot ? service : { ...service, waiting: null, instances: service.instances.map(afterBoot) },
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
  return { state, toStart: Object.values(services).flatMap(wantedOf) };
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
