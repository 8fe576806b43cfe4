/** Rows of `gsup ls` as a daemon tells them, for what only reads them. */
import type { InstanceView } from '../../src/api/types.ts';

/** A running instance, ready for an hour; `name` is `service:index`. */
export function viewOf(name: string, its: Partial<InstanceView> = {}): InstanceView {
  const at = name.lastIndexOf(':');
  const index = Number(name.slice(at + 1));
  return {
    service: name.slice(0, at),
    instance: `${name.slice(0, at)}:${index}`,
    index,
    id: 'id',
    pid: 4711 + index,
    state: 'running',
    ready: true,
    restarts: 0,
    uptimeMs: 3_600_000,
    cpuPercent: 1.5,
    memoryBytes: 43 * 1024 ** 2,
    lastExit: null,
    phase: null,
    deadline: null,
    reason: null,
    nextTryAt: null,
    attempt: null,
    waitingFor: [],
    hasCheck: true,
    spare: null,
    status: null,
    stops: null,
    ...its,
  };
}
