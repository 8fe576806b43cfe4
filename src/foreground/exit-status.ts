/** What `gsup run` ends with; pure. */
import { EXIT } from '../core/error.ts';
import { instancesOf, type SupervisorState } from '../core/root-state.ts';
import { signalNumber } from '../core/signal.ts';
import type { InstanceState } from '../core/state.ts';

/** Of one command its own status; of several 0 when every stop was clean and nothing failed, else 1. */
export function exitStatus(state: SupervisorState, isSingle: boolean): number {
  const instances = instancesOf(state);
  const only = instances[0];
  if (isSingle && only) return statusOfOne(only.state, state) || (state.alive.length > 0 ? EXIT.failed : EXIT.done);
  const hasFailed = instances.some((instance) => instance.state.name === 'failed');
  return hasFailed || state.verdict === 'killed' ? EXIT.failed : EXIT.done;
}

function statusOfOne(instance: InstanceState, { services, shutdown }: SupervisorState): number {
  if (instance.name === 'failed') {
    if (instance.exitStatus !== null) return instance.exitStatus;
    if (instance.stuckPid !== null) return 128 + signalNumber('SIGKILL');
  }
  const exit = instance.lastExit;
  if (exit === null) return instance.name === 'failed' ? EXIT.failed : EXIT.done;
  if (exit.signal === null) return exit.code ?? EXIT.failed;
  if (exit.by === 'gsup' && exit.signal !== 'SIGKILL') return shutdown ? EXIT.done : EXIT.timedOut;
  const stopSignal = Object.values(services)[0]?.spec.stop.signal;
  if (exit.by === 'gsup' && stopSignal === 'SIGKILL' && shutdown) return EXIT.done;
  return 128 + signalNumber(exit.signal);
}
