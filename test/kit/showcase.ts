/** Services in every state that people meet, for the page. */
import type { LogEntry } from '../../src/api/types.ts';
import { FRESH, type InstanceState, type LastExit } from '../../src/core/state.ts';
import { FakeSource, running } from './http.ts';
import { serviceSpec } from './spec.ts';

const READY = { check: { kind: 'message' } } as const;

export function showcase(): FakeSource {
  const source = new FakeSource(
    serviceSpec({ name: 'api', instances: 3, ready: READY }),
    serviceSpec({ name: 'db', ready: READY }),
    serviceSpec({ name: 'worker', instances: 2 }),
    serviceSpec({ name: 'migrate' }),
    serviceSpec({ name: 'mailer' }),
  );
  const now = Date.now();
  const lastExit: LastExit = { code: 1, signal: null, by: 'self', at: now - 300_000 };
  const failed = { ...FRESH, exitStatus: null, stuckPid: null, lastExit, restarts: 10 };
  const states: readonly (readonly [string, number, InstanceState])[] = [
    ['api', 1, { ...running(812), restarts: 2, lastExit } as InstanceState],
    ['worker', 1, { ...FRESH, name: 'backoff', until: now + 60_000, reason: 'exit 1', restarts: 4, lastExit }],
    ['migrate', 0, { ...FRESH, name: 'exited', lastExit: { ...lastExit, code: 0 } }],
    ['mailer', 0, { ...failed, name: 'failed', reason: 'exit 1, restarted 10x in 8s (restart limit)' }],
  ];
  for (const [service, index, state] of states) source.become(service, index, state);
  source.lines = Array.from({ length: 60 }, (_, index): LogEntry => {
    const isWarning = index % 13 === 7;
    const line = isWarning
      ? 'warn: upstream answered 503, trying again'
      : `GET /orders/${1000 + index} 200 ${(index * 37) % 90}ms`;
    return { instance: 'api:0', at: now - 60_000 + index * 987, stream: isWarning ? 'stderr' : 'stdout', line };
  });
  return source;
}
