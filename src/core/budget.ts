/** How long a stop may take: of one service, of each wave, and of the longest path of waves. */
import { stopWaves } from './graph.ts';
import type { StopPolicy, SupervisorSpec } from './service.ts';

/** Drain delay, pre-stop hook and grace period together, in ms. */
export function stopNeedMs(stop: StopPolicy): number {
  return stop.drainDelayMs + (stop.preStop?.timeoutMs ?? 0) + stop.graceMs;
}

/** How long whoever stops us waits before it kills. */
export type OuterLimit = {
  /** `systemd`, `kubernetes`, `outer`. */
  readonly name: string;
  /** What sets it. */
  readonly key: string;
  readonly limitMs: number;
};

/** What `gsup/app` leaves of a grace period at least (app/deadline.ts). */
const LEAST_APP_MARGIN_MS = 500;

export type StopBudget = {
  /** `graceMs`: the longest grace period in it. */
  readonly waves: readonly {
    readonly services: readonly string[];
    readonly needMs: number;
    readonly graceMs: number;
  }[];
  /** What an app with `gsup/app` takes at most, in the longest grace period: less a tenth, at least 500 ms. */
  readonly appMs: number;
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
  const waves = stopWaves(dependencies).map((names) => {
    const stops = names.map((name) => (services.get(name) ?? { stop: NO_STOP }).stop);
    const graceMs = Math.max(0, ...stops.map((stop) => stop.graceMs));
    return { services: names, needMs: Math.max(0, ...stops.map(stopNeedMs)), graceMs };
  });
  const appMs = Math.max(
    0,
    ...waves.map(({ graceMs }) => Math.max(graceMs - Math.max(graceMs / 10, LEAST_APP_MARGIN_MS), graceMs / 5)),
  );
  const pathMs = waves.reduce((sum, { needMs }) => sum + needMs, 0);
  const timeoutMs = spec.shutdownTimeoutMs;
  return { waves, appMs, pathMs, timeoutMs, fits: timeoutMs === null || pathMs <= timeoutMs };
}

const NO_STOP: StopPolicy = {
  signal: null,
  graceMs: 0,
  killMode: 'mixed',
  drainDelayMs: 0,
  preStop: null,
  message: false,
};
