/** The state → what the control socket tells of it; pure. */
import type { InstanceView } from '../api/types.ts';
import type { InstanceRef } from '../core/event.ts';
import { instanceName } from '../core/name.ts';
import type { ServiceState, SupervisorState } from '../core/root-state.ts';
import { type InstanceState, pidOf } from '../core/state.ts';
import type { Usage } from '../host/usage.ts';

export type Facts = {
  readonly now: number;
  /** GSUP_ID of the present run. */
  tokenOf(of: InstanceRef): string | null;
  readonly usage: ReadonlyMap<string, Usage>;
};

/** One row an instance, in the order of definition. */
export function instanceViews(state: SupervisorState, facts: Facts): readonly InstanceView[] {
  return Object.values(state.services).flatMap((service) =>
    service.instances.map((instance, index) => viewOf(state, service, instance, index, facts)),
  );
}

function viewOf(
  whole: SupervisorState,
  service: ServiceState,
  state: InstanceState,
  index: number,
  { now, tokenOf, usage }: Facts,
): InstanceView {
  const { spec, waiting } = service;
  const instance = instanceName(spec.name, index);
  const pid = pidOf(state);
  const isLive = state.name === 'starting' || state.name === 'running' || state.name === 'stopping';
  const used = pid === null ? undefined : usage.get(instance);
  return {
    service: spec.name,
    instance,
    index,
    id: isLive ? tokenOf({ service: spec.name, index }) : null,
    pid,
    state: state.name,
    ready: state.name === 'running',
    restarts: state.restarts,
    uptimeMs: isLive && pid !== null ? Math.max(0, Math.round(now - state.startedAt)) : null,
    cpuPercent: used?.cpuPercent ?? null,
    memoryBytes: used?.memoryBytes ?? null,
    lastExit: state.lastExit && { ...state.lastExit, at: Math.round(state.lastExit.at) },
    phase: state.name === 'stopping' ? state.rung : null,
    deadline: state.name === 'stopping' && state.deadline !== null ? Math.round(state.deadline) : null,
    reason: state.name === 'failed' || state.name === 'backoff' ? state.reason : null,
    nextTryAt: state.name === 'backoff' ? Math.round(state.until) : null,
    attempt: state.name === 'backoff' ? state.history.attempt : null,
    waitingFor: waiting?.indexes.includes(index) ? unmet(whole, service) : [],
    hasCheck: spec.ready !== null,
  };
}

/** The services that a waiting one waits for. */
function unmet(whole: SupervisorState, { spec }: ServiceState): readonly string[] {
  return Object.entries(spec.dependsOn)
    .filter(([name, condition]) => {
      const other = whole.services[name];
      const isThere = (state: InstanceState) => state.name !== 'stopped' && state.reached[condition];
      return other !== undefined && (other.waiting !== null || !other.instances.every(isThere));
    })
    .map(([name]) => name);
}
