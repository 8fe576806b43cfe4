/** Orphans are reaped: as PID 1 from the begin, else once a short command would have ended. */
import { instancesOf } from '../core/root-state.ts';
import { pidOf } from '../core/state.ts';
import type { Supervisor } from './supervisor.ts';

/** What ends sooner costs nothing of it. */
const BEGIN_AFTER_MS = 50;
const NO_KOFFI =
  'as PID 1 gsup needs koffi to reap orphans, and it is not installed: zombies will stay; install gsup without --omit=optional, or put an init in front of it (docker run --init, tini -- gsup run)';

/** Until `close`. `onProblem` hears why it can't be, where somebody has to know. */
export function reapOrphans(supervisor: Supervisor, onProblem: (problem: string) => void): { close(): void } {
  let isClosed = false;
  let close = () => {};
  const isOurs = (pid: number) => instancesOf(supervisor.state).some(({ state }) => pidOf(state) === pid);
  const begin = async (): Promise<void> => {
    const { startReaper } = await import('../host/reaper.ts');
    const reaper = await startReaper(isOurs);
    if (isClosed) return reaper?.close();
    close = () => reaper?.close();
    if (reaper === null && process.pid === 1) onProblem(NO_KOFFI);
  };
  const timer = setTimeout(() => void begin(), process.pid === 1 ? 0 : BEGIN_AFTER_MS).unref();
  return {
    close: () => {
      isClosed = true;
      clearTimeout(timer);
      close();
    },
  };
}
