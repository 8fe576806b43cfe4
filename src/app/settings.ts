/** What an app asked for, checked once. */
import type { Phase, ShutdownOptions } from './api.ts';
import { durationOf } from './deadline.ts';

const PHASES: readonly Phase[] = ['draining', 'closing-servers', 'waiting', 'persisting', 'closing', 'flushing'];

export type Settings = {
  /** `undefined`: none of its own. */
  readonly timeoutMs: number | undefined;
  readonly drainMs: number | 'auto';
  readonly phaseMs: { readonly [P in Phase]?: number };
};

/** @throws TypeError that names what is wrong. */
export function settingsOf({ timeout, drainDelay = 'auto', phaseTimeouts = {} }: ShutdownOptions): Settings {
  const unknown = Object.keys(phaseTimeouts).find((name) => !PHASES.some((phase) => phase === name));
  if (unknown !== undefined)
    throw new TypeError(`phaseTimeouts: "${unknown}" is no phase; write one of ${PHASES.join(', ')}`);
  const phaseMs = PHASES.flatMap((phase) => {
    const written = phaseTimeouts[phase];
    return written === undefined ? [] : [[phase, durationOf(`phaseTimeouts.${phase}`, written)]];
  });
  return {
    timeoutMs: timeout === undefined ? undefined : durationOf('timeout', timeout),
    drainMs: drainDelay === 'auto' ? 'auto' : durationOf('drainDelay', drainDelay),
    phaseMs: Object.fromEntries(phaseMs),
  };
}
