/** Signals to processes and groups; one that is gone already is no error. */
import type { SignalName } from '../core/signal.ts';

/** Whether it was delivered (`null`: only whether it could be). SIGCONT follows, so that a stopped process gets it too (systemd and s6 do the same). */
export function sendSignal(pid: number, signal: SignalName | null): boolean {
  const isSent = deliver(pid, signal);
  if (isSent && signal !== null && signal !== 'SIGKILL' && signal !== 'SIGSTOP' && signal !== 'SIGCONT')
    deliver(pid, 'SIGCONT');
  return isSent;
}

/** The signal alone, for one that is only passed on. */
export function forwardSignal(pid: number, signal: SignalName): boolean {
  return deliver(pid, signal);
}

function deliver(pid: number, signal: SignalName | null): boolean {
  try {
    process.kill(pid, signal === null ? 0 : (signal as NodeJS.Signals));
    return true;
  } catch {
    return false;
  }
}
