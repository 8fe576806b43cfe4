/** The shutdown of everything: its waves, each under its share of the one deadline, and the end. */
import { stopNeedMs } from './budget.ts';
import type { Effect } from './effect.ts';
import type { InstanceEvent, InstanceRef } from './event.ts';
import { stopWaves } from './graph.ts';
import { type InstanceName, instanceName } from './name.ts';
import {
  giveUpRolling,
  instancesOf,
  liveInstances,
  type RootStep,
  record,
  type Shutdown,
  type SupervisorState,
  stepOne,
} from './root-state.ts';
import { waveBudget } from './shutdown.ts';
import type { SignalName } from './signal.ts';

/** Waves are planned and the first one begins. */
export function beginShutdown(
  was: SupervisorState,
  event: {
    readonly at: number;
    readonly reason: string;
    readonly signal: SignalName | null;
    readonly isByHand?: boolean;
  },
  random: number,
): RootStep {
  if (was.shutdown || was.hasEnded) return [was, []];
  // A shutdown takes the place of every rolling restart.
  const [given, givenUp] = giveUpRolling(was, Object.keys(was.services), event.reason);
  if (givenUp.length > 0) {
    const [state, effects] = beginShutdown(given, event, random);
    return [state, [...givenUp, ...effects]];
  }
  const dependencies = Object.fromEntries(
    Object.entries(was.services).map(([name, { spec }]) => [name, Object.keys(spec.dependsOn)]),
  );
  const waves = stopWaves(dependencies)
    .map((names) => names.filter((name) => liveInstances(was, [name]).length > 0))
    .filter((names) => names.length > 0);
  const { at, reason, signal } = event;
  const pathMs = waves.reduce((sum, names) => sum + waveNeed(was, names), 0);
  const totalMs = was.shutdownTimeoutMs ?? pathMs;
  const deadline = was.shutdownTimeoutMs === null ? null : at + was.shutdownTimeoutMs;
  const services = Object.fromEntries(
    Object.entries(was.services).map(([name, service]) => {
      const stoppedByHand = event.isByHand === true ? [...service.instances.keys()] : service.stoppedByHand;
      return [name, { ...service, waiting: null, stoppedByHand }];
    }),
  );
  const shutdown: Shutdown = { reason, signal, startedAt: at, deadline, waves, wave: -1, isForced: false };
  const told = record({
    phase: 'shutdown-started',
    reason,
    remainingMs: totalMs,
    deadline: Math.round(at + totalMs),
    ...(signal === null ? {} : { signal }),
  });
  return nextWave(
    { ...was, services, shutdown, verdict: was.isLasting ? 'clean' : was.verdict, alive: [] },
    [told],
    at,
    random,
  );
}

/** Every live instance of the next wave is asked to stop, all at once, with its share of the time that is left. */
export function nextWave(was: SupervisorState, before: readonly Effect[], at: number, random: number): RootStep {
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
    record({
      phase: 'wave-started',
      wave: wave + 1,
      waves: shutdown.waves.length,
      instances: [...new Set(live.map(nameOfRef))],
    }),
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

/** Everything is down, or nothing ends it: reported with the verdict. */
export function complete(before: SupervisorState, shutdown: Shutdown, at: number): RootStep {
  const alive = [...stuckPids(before), ...before.alive];
  const was: SupervisorState = { ...before, alive, verdict: alive.length > 0 ? 'killed' : before.verdict };
  const told = record({
    phase: 'shutdown-completed',
    level: alive.length > 0 ? 'error' : was.verdict === 'killed' ? 'warn' : 'info',
    verdict: was.verdict,
    ...(alive.length > 0 ? { alive } : {}),
    reason: shutdown.reason,
    elapsedMs: at - shutdown.startedAt,
  });
  return [{ ...was, hasEnded: true }, [told, { do: 'end' }]];
}

function stuckPids(state: SupervisorState): readonly number[] {
  return instancesOf(state).flatMap(({ state: instance }) =>
    instance.name === 'failed' && instance.stuckPid !== null ? [instance.stuckPid] : [],
  );
}

function waveNeed(state: SupervisorState, names: readonly string[]): number {
  return Math.max(0, ...names.map((name) => (state.services[name] ? stopNeedMs(state.services[name].spec.stop) : 0)));
}

function nameOfRef({ service, index }: InstanceRef): InstanceName {
  return instanceName(service, index);
}
