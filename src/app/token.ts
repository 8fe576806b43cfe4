/** Cancellation tokens: AbortSignals that are cancelled with their parent, or alone. */
import { setMaxListeners } from 'node:events';
import type { CancellationToken } from './api.ts';

/** Cancelled with `parent`, or alone. */
export function createToken(parent?: Set<CancellationToken>): CancellationToken {
  const controller = new AbortController();
  // Every task may listen; that is no leak.
  setMaxListeners(0, controller.signal);
  const children = new Set<CancellationToken>();
  const cancel = (reason?: unknown): void => {
    parent?.delete(token);
    if (controller.signal.aborted) return;
    controller.abort(reason);
    // Not by events: a signal would keep each child that has long ended.
    for (const child of [...children]) child.cancel(controller.signal.reason);
  };
  const token: CancellationToken = {
    signal: controller.signal,
    cancel,
    abort: cancel,
    child: () => {
      const child = createToken(children);
      if (controller.signal.aborted) child.cancel(controller.signal.reason);
      return child;
    },
    [Symbol.dispose]: () => void parent?.delete(token),
  };
  parent?.add(token);
  return token;
}
