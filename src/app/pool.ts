/** A pool: at most so many tasks at a time, the others in line. */
import type { Pool } from './api.ts';
import type { Tasks } from './tasks.ts';

/** `signal` is aborted when the shutdown begins: those in line are turned away then. */
export function createPool(size: number, tasks: Tasks, signal: AbortSignal): Pool {
  if (!Number.isInteger(size) || size < 1) throw new TypeError(`pool: "${size}" is no size; write 1 or more`);
  let running = 0;
  const line: (() => void)[] = [];
  const turn = async (): Promise<void> => {
    if (running < size) running += 1;
    // Whoever leaves hands its place on.
    else await new Promise<void>((resolve) => line.push(resolve));
  };
  const leave = (): void => {
    const next = line.shift();
    if (next === undefined) running -= 1;
    else next();
  };
  signal.addEventListener('abort', () => {
    const turnedAway = line.splice(0);
    running += turnedAway.length;
    for (const next of turnedAway) next();
  });
  return {
    size,
    get running() {
      return running;
    },
    get waiting() {
      return line.length;
    },
    run: async (name, work) => {
      tasks.refuseTask(name);
      await turn();
      try {
        return await tasks.run(name, work);
      } finally {
        leave();
      }
    },
  };
}
