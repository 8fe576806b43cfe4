/** Why an instance was started again, in one word of few: for counting; the sentence is in its record. Pure. */
import type { Told } from '../api/types.ts';

export type RestartReason =
  /** It ended by itself; was killed by a signal that was not ours; was not ready in time; failed its liveness check. */
  | 'exit'
  | 'signal'
  | 'not-ready'
  | 'liveness'
  /** Its limit, a changed file, a schedule. */
  | 'memory'
  | 'watch'
  | 'schedule'
  /** Somebody asked for it: a restart, a rolling restart. */
  | 'asked'
  | 'rolling';

type Cause = RestartReason | 'stopped';

/** What the records of an instance say, one after the other; the reason comes with the start that follows. */
export class Restarts {
  readonly #causes = new Map<string, Cause>();
  readonly #rolling = new Set<string>();

  /** The reason of the restart that this record tells of; `null`: it tells of none. */
  take(record: Told): RestartReason | null {
    const { phase, service = '', instance, reason = '' } = record;
    if (phase === 'rolling-started') this.#rolling.add(service);
    if (phase === 'rolling-completed' || phase === 'rolling-aborted') this.#rolling.delete(service);
    if (instance === undefined) return null;
    switch (phase) {
      case 'stop-requested':
        this.#causes.set(instance, this.#rolling.has(service) ? 'rolling' : causeOf(reason));
        return null;
      case 'ready-timeout':
        this.#causes.set(instance, 'not-ready');
        return null;
      case 'exited':
        if (!this.#causes.has(instance)) this.#causes.set(instance, record.exitSignal ? 'signal' : 'exit');
        return null;
      case 'spawned':
        return this.#started(instance, service);
      default:
        return null;
    }
  }

  /** Nothing more of it is expected. */
  forget(service: string): void {
    this.#rolling.delete(service);
    for (const instance of this.#causes.keys()) if (instance.startsWith(`${service}:`)) this.#causes.delete(instance);
  }

  #started(instance: string, service: string): RestartReason | null {
    // The new one comes while the old one still serves.
    const cause = this.#rolling.has(service) ? 'rolling' : (this.#causes.get(instance) ?? null);
    this.#causes.delete(instance);
    return cause === 'stopped' ? null : cause;
  }
}

/** The reasons of stops that gsup gives; whatever is not known was somebody's wish. */
function causeOf(reason: string): Cause {
  if (/^not ready/.test(reason)) return 'not-ready';
  if (/^liveness/.test(reason)) return 'liveness';
  if (/memory/.test(reason)) return 'memory';
  if (/ has changed$/.test(reason)) return 'watch';
  if (/^schedule /.test(reason)) return 'schedule';
  return /^gsup (restart|reload|apply)|^SIGHUP$/.test(reason) ? 'asked' : 'stopped';
}
