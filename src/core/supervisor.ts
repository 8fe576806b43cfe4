/** The root reducer: every service's instances, their dependencies, and the shutdown of everything. */
import { stopNeedMs } from './budget.ts';
import type { Effect, InstanceEffect } from './effect.ts';
import type { InstanceEvent, InstanceRef, SupervisorEvent } from './event.ts';
import { stopWaves } from './graph.ts';
import { stepInstance } from './instance.ts';
import { type InstanceName, instanceName } from './name.ts';
import type { PhaseRecord, Verdict } from './record.ts';
import type { DependencyCondition, ServiceSpec, SupervisorSpec } from './service.ts';
import { waveBudget } from './shutdown.ts';
import type { SignalName } from './signal.ts';
import { FRESH, type InstanceState, isDown } from './state.ts';

type ServiceState = {
  readonly spec: ServiceSpec;
  readonly instances: readonly InstanceState[];
  /** Asked to start and waiting for what it depends on; `null` when it isn't waiting. */
  readonly waiting: { readonly reason: string } | null;
};

type Shutdown = {
  readonly reason: string;
  readonly signal: SignalName | null;
  readonly startedAt: number;
  /** `null`: no limit on the whole. */
  readonly deadline: number | null;
  readonly waves: readonly (readonly string[])[];
  /** Index of the wave that is stopping; `waves.length` when all are down. */
  readonly wave: number;
  readonly isForced: boolean;
};

export type SupervisorState = {
  readonly services: Readonly<Record<string, ServiceState>>;
  readonly shutdownTimeoutMs: number | null;
  readonly shutdown: Shutdown | null;
  readonly verdict: Verdict;
  readonly hasEnded: boolean;
};

export type RootStep = readonly [SupervisorState, readonly Effect[]];

/** Everything known and nothing started. */
export function initialState(spec: SupervisorSpec): SupervisorState {
  const services = spec.services.map((service): [string, ServiceState] => [
    service.name,
    { spec: service, instances: Array.from({ length: service.instances }, () => FRESH), waiting: null },
  ]);
  return {
    services: Object.fromEntries(services),
    shutdownTimeoutMs: spec.shutdownTimeoutMs,
    shutdown: null,
    verdict: 'clean',
    hasEnded: false,
  };
}

/** The next state of the whole and what is to be done. `random` (0 ≤ random < 1) is for the jitter of restarts. */
export function step(was: SupervisorState, event: SupervisorEvent, random: number): RootStep {
  switch (event.type) {
    case 'start':
      return settle(...startServices(was, event), event.at, random);
    case 'instance': {
      const [state, effects] = stepOne(was, event.of, event.event, random);
      const hasMoved = nameOf(was, event.of) !== nameOf(state, event.of) || event.event.type === 'spawned';
      return hasMoved ? settle(state, effects, event.event.at, random) : [state, effects];
    }
    case 'shutdown':
      return settle(...beginShutdown(was, event, random), event.at, random);
    case 'force':
      return force(was, event, random);
  }
}

/** Every instance with its state, in the order of the file. */
export function instancesOf(state: SupervisorState): readonly { of: InstanceRef; state: InstanceState }[] {
  return Object.entries(state.services).flatMap(([service, { instances }]) =>
    instances.map((instance, index) => ({ of: { service, index }, state: instance })),
  );
}

function startServices(was: SupervisorState, event: Extract<SupervisorEvent, { type: 'start' }>): RootStep {
  if (was.shutdown) return [was, []];
  const services = { ...was.services };
  for (const name of event.services) {
    const service = services[name];
    if (service) services[name] = { ...service, waiting: { reason: event.reason } };
  }
  return [{ ...was, services }, []];
}

function beginShutdown(
  was: SupervisorState,
  event: { readonly at: number; readonly reason: string; readonly signal: SignalName | null },
  random: number,
): RootStep {
  if (was.shutdown || was.hasEnded) return [was, []];
  const dependencies = Object.fromEntries(
    Object.entries(was.services).map(([name, { spec }]) => [name, Object.keys(spec.dependsOn)]),
  );
  const waves = stopWaves(dependencies)
    .map((names) => names.filter((name) => was.services[name]?.instances.some((instance) => !isDown(instance))))
    .filter((names) => names.length > 0);
  const { at, reason, signal } = event;
  const pathMs = waves.reduce((sum, names) => sum + waveNeed(was, names), 0);
  const totalMs = was.shutdownTimeoutMs ?? pathMs;
  const deadline = was.shutdownTimeoutMs === null ? null : at + was.shutdownTimeoutMs;
  const services = Object.fromEntries(
    Object.entries(was.services).map(([name, service]) => [name, { ...service, waiting: null }]),
  );
  const shutdown: Shutdown = { reason, signal, startedAt: at, deadline, waves, wave: -1, isForced: false };
  const told = record({
    phase: 'shutdown-started',
    reason,
    remainingMs: totalMs,
    deadline: Math.round(at + totalMs),
    ...(signal === null ? {} : { signal }),
  });
  return nextWave({ ...was, services, shutdown }, [told], at, random);
}

/** Every live instance of the next wave is asked to stop, all at once, with its share of the time that is left. */
function nextWave(was: SupervisorState, before: readonly Effect[], at: number, random: number): RootStep {
  const { shutdown } = was;
  if (!shutdown) return [was, before];
  const wave = shutdown.wave + 1;
  const names = shutdown.waves[wave];
  let state: SupervisorState = { ...was, shutdown: { ...shutdown, wave } };
  if (names === undefined) return [state, before];
  const live = liveInstances(was, names);
  const needs = shutdown.waves.slice(wave).map((later) => waveNeed(was, later));
  const budgetMs = shutdown.deadline === null ? null : waveBudget(needs, shutdown.deadline - at);
  const effects: Effect[] = [
    ...before,
    record({ phase: 'wave-started', wave: wave + 1, waves: shutdown.waves.length, instances: live.map(nameOfRef) }),
  ];
  for (const of of live) {
    const { reason, signal, isForced } = shutdown;
    const asked: InstanceEvent = { type: 'stop-requested', at, reason, signal, budgetMs, next: 'stopped' };
    let more: readonly Effect[];
    [state, more] = stepOne(state, of, asked, random);
    effects.push(...more);
    if (!isForced) continue;
    [state, more] = stepOne(state, of, { type: 'forced', at }, random);
    effects.push(...more);
  }
  return [state, effects];
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
  if (was.shutdown) {
    const { waves, wave } = was.shutdown;
    if (wave < waves.length && liveInstances(was, waves[wave] ?? []).length > 0) return null;
    return wave < waves.length ? nextWave(was, [], at, random) : complete(was, was.shutdown, at);
  }
  const critical = Object.values(was.services).find(
    ({ spec, instances }) => spec.critical && instances.some(({ name }) => name === 'failed'),
  );
  if (critical) {
    const reason = `critical service ${critical.spec.name} failed`;
    return beginShutdown({ ...was, verdict: was.verdict }, { at, reason, signal: null }, random);
  }
  for (const service of Object.values(was.services)) {
    if (service.waiting === null) continue;
    const moved = startWaiting(was, service, at, random);
    if (moved) return moved;
  }
  const isOver = Object.values(was.services).every(({ waiting, instances }) => !waiting && instances.every(isDown));
  return isOver ? [{ ...was, hasEnded: true }, [{ do: 'end' }]] : null;
}

function startWaiting(was: SupervisorState, service: ServiceState, at: number, random: number): RootStep | null {
  const { spec, waiting } = service;
  const conditions = Object.entries(spec.dependsOn).map(([name, condition]) => ({
    name,
    condition,
    status: dependencyStatus(was.services[name], condition),
  }));
  const impossible = conditions.find(({ status }) => status === 'impossible');
  if (!impossible && conditions.some(({ status }) => status === 'open')) return null;
  const event: InstanceEvent = impossible
    ? {
        type: 'dependency-failed',
        at,
        reason: `it depends on ${impossible.name}, which did not get ${impossible.condition}`,
      }
    : { type: 'start-requested', at, reason: waiting?.reason ?? '' };
  let state: SupervisorState = { ...was, services: { ...was.services, [spec.name]: { ...service, waiting: null } } };
  const effects: Effect[] = [];
  for (const index of service.instances.keys()) {
    let more: readonly Effect[];
    [state, more] = stepOne(state, { service: spec.name, index }, event, random);
    effects.push(...more);
  }
  return [state, effects];
}

/** Whether all instances of a dependency have reached the condition, may still, or never will. */
function dependencyStatus(
  service: ServiceState | undefined,
  condition: DependencyCondition,
): 'met' | 'open' | 'impossible' {
  if (!service) return 'met';
  const { instances, waiting } = service;
  if (waiting === null && instances.every(({ reached }) => reached[condition])) return 'met';
  if (waiting !== null) return 'open';
  return instances.some((instance) => isDown(instance) && !instance.reached[condition]) ? 'impossible' : 'open';
}

function complete(was: SupervisorState, shutdown: Shutdown, at: number): RootStep {
  const told = record({
    phase: 'shutdown-completed',
    level: was.verdict === 'killed' ? 'warn' : 'info',
    verdict: was.verdict,
    reason: shutdown.reason,
    elapsedMs: at - shutdown.startedAt,
  });
  return [{ ...was, hasEnded: true }, [told, { do: 'end' }]];
}

function stepOne(was: SupervisorState, of: InstanceRef, event: InstanceEvent, random: number): RootStep {
  const service = was.services[of.service];
  const instance = service?.instances[of.index];
  if (!service || !instance) return [was, []];
  const [next, effects] = stepInstance(instance, event, { spec: service.spec, random });
  const verdict = effects.some(isKilled) ? 'killed' : was.verdict;
  const instances = service.instances.with(of.index, next);
  const services = { ...was.services, [of.service]: { ...service, instances } };
  return [{ ...was, services, verdict }, effects.map((effect): Effect => ({ do: 'for', of, effect }))];
}

function isKilled(effect: InstanceEffect): boolean {
  return effect.do === 'record' && effect.record.phase === 'stopped' && effect.record.verdict === 'killed';
}

function liveInstances(state: SupervisorState, names: readonly string[]): readonly InstanceRef[] {
  return names.flatMap((service) =>
    (state.services[service]?.instances ?? []).flatMap((instance, index) =>
      isDown(instance) ? [] : [{ service, index }],
    ),
  );
}

function waveNeed(state: SupervisorState, names: readonly string[]): number {
  return Math.max(0, ...names.map((name) => (state.services[name] ? stopNeedMs(state.services[name].spec.stop) : 0)));
}

function nameOf(state: SupervisorState, of: InstanceRef): string | undefined {
  return state.services[of.service]?.instances[of.index]?.name;
}

function nameOfRef({ service, index }: InstanceRef): InstanceName {
  return instanceName(service, index);
}

function record(record: PhaseRecord): Effect {
  return { do: 'record', record };
}
