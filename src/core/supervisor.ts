/** The root reducer: what each event means for services and their instances, and what follows from it. */
import type { Effect } from './effect.ts';
import type { InstanceEvent, InstanceRef, SupervisorEvent } from './event.ts';
import {
  clearSpares,
  defineService,
  dropGone,
  removeServices,
  restartInstances,
  startServices,
  startWaiting,
  stopInstances,
} from './request.ts';
import { advanceRolling, beginRolling, settling } from './rolling.ts';
import {
  giveUpRolling,
  instancesOf,
  liveInstances,
  type RootStep,
  record,
  type ServiceState,
  type SupervisorState,
  stateAt,
  stepOne,
} from './root-state.ts';
import { isDown } from './state.ts';
import { beginShutdown, complete, nextWave } from './waves.ts';

/** The next state of the whole and what is to be done. `random` (0 ≤ random < 1) is for the jitter of restarts. */
export function step(was: SupervisorState, event: SupervisorEvent, random: number): RootStep {
  switch (event.type) {
    case 'start':
      return settle(...startServices(was, event), event.at, random);
    case 'instance': {
      // Asked before: the map that it stands in may be the same one afterwards.
      const nameBefore = nameOf(was, event.of);
      const [stepped, effects] = stepOne(was, event.of, event.event, random);
      const [state, more] = settling(stepped, event.of, event.event);
      const all = more.length === 0 ? effects : [...effects, ...more];
      const hasMoved =
        state !== stepped || nameBefore !== nameOf(state, event.of) || NEWS_OF_PROCESSES.includes(event.event.type);
      return hasMoved ? settle(state, all, event.event.at, random) : [state, all];
    }
    case 'stop':
      return settle(...stopInstances(was, event, random), event.at, random);
    case 'restart':
      return settle(...restartInstances(was, event, random), event.at, random);
    case 'define':
      return settle(...defineService(was, event, random), event.at, random);
    case 'roll':
      return settle(...beginRolling(was, event), event.at, random);
    case 'abort-roll':
      return settle(...giveUpRolling(was, event.services, event.reason), event.at, random);
    case 'configure':
      return [{ ...was, shutdownTimeoutMs: event.shutdownTimeoutMs }, []];
    case 'remove':
      return settle(...removeServices(was, event, random), event.at, random);
    case 'shutdown':
      return settle(...beginShutdown(was, event, random), event.at, random);
    case 'force':
      return force(was, event, random);
  }
}

/** After them something may follow even where the state has kept its name. */
const NEWS_OF_PROCESSES: readonly InstanceEvent['type'][] = ['spawned', 'exited'];

/** What follows from a change: waiting services start, a critical failure stops all, the next wave begins, the end is told. */
function settle(was: SupervisorState, before: readonly Effect[], at: number, random: number): RootStep {
  if (was.hasEnded) return [was, before];
  let state = was;
  let effects = before;
  for (;;) {
    const moved = settleOnce(state, at, random);
    if (moved === null) return [state, effects];
    state = moved[0];
    effects = [...effects, ...moved[1]];
  }
}

function settleOnce(was: SupervisorState, at: number, random: number): RootStep | null {
  if (was.hasEnded) return null;
  const open = Object.values(was.services).filter(isOpen);
  const dropped = open.length === 0 ? null : (dropGone(was, open) ?? clearSpares(was, open, at, random));
  if (dropped) return dropped;
  if (was.shutdown) {
    const { waves, wave } = was.shutdown;
    if (wave < waves.length && liveInstances(was, waves[wave] ?? []).length > 0) return null;
    return wave < waves.length ? nextWave(was, [], at, random) : complete(was, was.shutdown, at);
  }
  const critical = open.find(hasFailedCritically);
  if (critical) {
    const reason = `critical service ${critical.spec.name} failed`;
    return beginShutdown(was, { at, reason, signal: null }, random);
  }
  for (const service of open) {
    const rolled = advanceRolling(was, service, at, random);
    if (rolled) return rolled;
    if (service.waiting === null) continue;
    const moved = startWaiting(was, service, at, random);
    if (moved) return moved;
  }
  if (was.isLasting) return null;
  const isOver =
    Object.values(was.services).every(({ waiting }) => !waiting) &&
    instancesOf(was).every(({ state }) => isDown(state));
  return isOver ? [{ ...was, hasEnded: true }, [{ do: 'end' }]] : null;
}

/** Whether anything may follow of what it is; of most services nothing may, most of the time. */
function isOpen(service: ServiceState): boolean {
  const { spec, instances, isLeaving, spares, rolling, waiting } = service;
  if (rolling !== null || waiting !== null || isLeaving || instances.length > spec.instances) return true;
  for (const _ in spares) return true;
  return hasFailedCritically(service);
}

function hasFailedCritically({ spec, instances }: ServiceState): boolean {
  return spec.critical && instances.some(({ name }) => name === 'failed');
}

function force(was: SupervisorState, event: Extract<SupervisorEvent, { type: 'force' }>, random: number): RootStep {
  if (!was.shutdown || was.shutdown.isForced) return [was, []];
  let state: SupervisorState = { ...was, shutdown: { ...was.shutdown, isForced: true } };
  const effects: Effect[] = [record({ phase: 'notice', level: 'warn', reason: event.reason })];
  for (const { of } of instancesOf(was)) {
    let more: readonly Effect[];
    [state, more] = stepOne(state, of, { type: 'forced', at: event.at }, random);
    effects.push(...more);
  }
  return settle(state, effects, event.at, random);
}

function nameOf(state: SupervisorState, of: InstanceRef): string | undefined {
  return stateAt(state, of)?.name;
}
