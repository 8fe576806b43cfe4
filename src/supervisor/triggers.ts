/** What asks for a restart of a running instance from outside of its life: its memory. */
import type { InstanceEvent } from '../core/event.ts';
import type { ServiceSpec } from '../core/service.ts';
import { formatSize } from '../core/size.ts';
import type { Clock } from './clock.ts';

/** Between two looks at the memory of an instance that has a limit. */
const SAMPLE_MS = 2_000;
/** One look above the limit may be a peak that is gone again. */
const SAMPLES_ABOVE = 2;

export type Watched = {
  readonly spec: ServiceSpec;
  readonly clock: Clock;
  /** Resident bytes of the whole instance, 0 when it does not run. */
  memory(): Promise<number>;
  ask(event: Extract<InstanceEvent, { type: 'stop-requested' }>): void;
};

/** Watches one instance's memory and asks for a graceful restart above its limit; the result ends it. */
export function watchMemory({ spec, clock, memory, ask }: Watched): () => void {
  const limit = spec.memoryLimitBytes;
  if (limit === null) return () => {};
  let above = 0;
  let isOver = false;
  let cancel = () => {};
  const look = async (): Promise<void> => {
    // Where it can't be read now, the next look counts.
    const bytes = await memory().catch(() => null);
    if (isOver) return;
    if (bytes === null) return again();
    above = bytes > limit ? above + 1 : 0;
    if (above >= SAMPLES_ABOVE) {
      above = 0;
      const reason = `memory ${formatSize(bytes)} is above its limit of ${formatSize(limit)}`;
      ask({ type: 'stop-requested', at: clock.now(), reason, signal: null, budgetMs: null, next: 'start' });
    }
    again();
  };
  const again = (): void => {
    cancel = clock.after(SAMPLE_MS, () => void look());
  };
  again();
  return () => {
    isOver = true;
    cancel();
  };
}
