/** The state → what the control socket tells of it; pure. */
import type { InstanceRef } from '../core/event.ts';
import { instanceName, slotName } from '../core/name.ts';
import { instancesOf, type ServiceState, type SupervisorState } from '../core/root-state.ts';
import { type InstanceState, pidOf } from '../core/state.ts';
import type { StopTimes } from '../core/stop-times.ts';
import type { InstanceView } from './types.ts';

type Used = { readonly cpuPercent: number; readonly memoryBytes: number };

export type Facts = {
  /** By the supervisor's clock. */
  readonly now: number;
  /** What is added to a moment of that clock to get wall-clock time, in ms. */
  readonly setByMs: number;
  /** GSUP_ID of the present run. */
  tokenOf(of: InstanceRef): string | null;
  /** What the app says of itself. */
  statusOf(of: InstanceRef): string | null;
  /** How long its last stops took. */
  stopsOf(service: string): StopTimes | null;
  /** By place. */
  readonly usage: ReadonlyMap<string, Used>;
};

/** One row an instance, in the order of definition; behind it one for a second run during a rolling restart. */
export function instanceViews(state: SupervisorState, facts: Facts): readonly InstanceView[] {
  return instancesOf(state).flatMap((row) => {
    const service = state.services[row.of.service];
    return service === undefined ? [] : [viewOf(state, service, row, facts)];
  });
}

type Row = ReturnType<typeof instancesOf>[number];

function viewOf(
  whole: SupervisorState,
  service: ServiceState,
  { of, state, isSpare }: Row,
  { now, setByMs, tokenOf, statusOf, stopsOf, usage }: Facts,
): InstanceView {
  const { spec, waiting } = service;
  const { index } = of;
  const pid = pidOf(state);
  const isLive = state.name === 'starting' || state.name === 'running' || state.name === 'stopping';
  const used = pid === null ? undefined : usage.get(slotName(of));
  return {
    service: spec.name,
    instance: instanceName(spec.name, index),
    index,
    id: isLive ? tokenOf(of) : null,
    pid,
    state: state.name,
    ready: state.name === 'running',
    restarts: state.restarts,
    uptimeMs: isLive && pid !== null ? Math.max(0, Math.round(now - state.startedAt)) : null,
    cpuPercent: used?.cpuPercent ?? null,
    memoryBytes: used?.memoryBytes ?? null,
    lastExit: state.lastExit && { ...state.lastExit, at: Math.round(state.lastExit.at + setByMs) },
    phase: state.name === 'stopping' ? state.rung : null,
    deadline: state.name === 'stopping' && state.deadline !== null ? Math.round(state.deadline + setByMs) : null,
    reason: state.name === 'failed' || state.name === 'backoff' ? state.reason : null,
    nextTryAt: state.name === 'backoff' ? Math.round(state.until + setByMs) : null,
    attempt: state.name === 'backoff' ? state.history.attempt : null,
    waitingFor: !isSpare && waiting?.indexes.includes(index) ? unmet(whole, service) : [],
    hasCheck: spec.ready !== null,
    spare: isSpare ? spareOf(service, index, state) : null,
    status: isLive ? statusOf(of) : null,
    stops: stopsOf(spec.name),
  };
}

function spareOf({ rolling }: ServiceState, index: number, { name }: InstanceState): 'coming' | 'leaving' {
  const stage = rolling?.underWay[index]?.stage;
  return stage !== undefined && stage !== 'leaving' && name !== 'stopping' ? 'coming' : 'leaving';
}

/** The services that one waits for, or would have to. */
export function unmet(whole: SupervisorState, { spec }: ServiceState): readonly string[] {
  return Object.entries(spec.dependsOn)
    .filter(([name, condition]) => {
      const other = whole.services[name];
      const isThere = (state: InstanceState) => state.name !== 'stopped' && state.reached[condition];
      return other !== undefined && (other.waiting !== null || !other.instances.every(isThere));
    })
    .map(([name]) => name);
}
