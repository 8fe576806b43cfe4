/** How long a stop may take: of one service, of each wave, and of the longest path of waves. */
import { stopWaves } from './graph.ts';
import type { StopPolicy, SupervisorSpec } from './service.ts';

/** Drain delay, pre-stop hook and grace period together, in ms. */
export function stopNeedMs(stop: StopPolicy): number {
  return stop.drainDelayMs + (stop.preStop?.timeoutMs ?? 0) + stop.graceMs;
}

export type StopBudget = {
  readonly waves: readonly { readonly services: readonly string[]; readonly needMs: number }[];
  /** Of all waves, one after the other. */
  readonly pathMs: number;
  /** `shutdown.timeout`; `null`: as long as the path. */
  readonly timeoutMs: number | null;
  readonly fits: boolean;
};

/** The budget of a whole shutdown: a wave needs as long as its slowest service. */
export function stopBudget(spec: SupervisorSpec): StopBudget {
  const services = new Map(spec.services.map((service) => [service.name, service]));
  const dependencies = Object.fromEntries(spec.services.map(({ name, dependsOn }) => [name, Object.keys(dependsOn)]));
  const waves = stopWaves(dependencies).map((names) => ({
    services: names,
    needMs: Math.max(0, ...names.map((name) => stopNeedMs((services.get(name) ?? { stop: NO_STOP }).stop))),
  }));
  const pathMs = waves.reduce((sum, { needMs }) => sum + needMs, 0);
  const timeoutMs = spec.shutdownTimeoutMs;
  return { waves, pathMs, timeoutMs, fits: timeoutMs === null || pathMs <= timeoutMs };
}

const NO_STOP: StopPolicy = {
  signal: null,
  graceMs: 0,
  killMode: 'mixed',
  drainDelayMs: 0,
  preStop: null,
  message: false,
};
