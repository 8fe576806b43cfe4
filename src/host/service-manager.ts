/** The way to the service manager around us: systemd's notification protocol, sd_notify(3), from its sending side. */
import { spawn } from 'node:child_process';
import { loadNativeNotify, type NativeNotify } from './native-notify.ts';

/** systemd-notify(1) waits for nothing but the socket. */
const SEND_CEILING_MS = 5_000;

export type ServiceManager = {
  /** Within which it wants to hear of us, in ms; `null`: it does not watch. */
  readonly watchdogMs: number | null;
  /** Says `KEY=value` lines in one message, in the order of the calls. Never fails: what can't be said is told once. */
  tell(lines: readonly string[]): void;
  /** Resolves when everything is said. */
  flush(): Promise<void>;
};

type Environment = Readonly<Record<string, string | undefined>>;

/** `null` when nobody wants to be told. `onProblem` hears, once, why nothing can be said. */
export async function openServiceManager(
  environment: Environment,
  onProblem: (problem: string) => void,
): Promise<ServiceManager | null> {
  const path = environment['NOTIFY_SOCKET'];
  if (path === undefined || path === '') return null;
  const native = await loadNativeNotify();
  const send = native === null ? byProgram(environment) : byCall(native, path);
  let last = Promise.resolve();
  let isTold = false;
  const tell = async (lines: readonly string[]): Promise<void> => {
    const problem = await send(lines);
    if (problem === null || isTold) return;
    isTold = true;
    onProblem(`the service manager can't be told anything: ${problem}`);
  };
  return {
    watchdogMs: watchdogMs(environment),
    tell: (lines) => {
      last = last.then(() => tell(lines));
    },
    flush: () => last,
  };
}

type Send = (lines: readonly string[]) => Promise<string | null>;

function byCall(native: NativeNotify, path: string): Send {
  return async (lines) => {
    const error = native.send(path, lines.join('\n'));
    return error === null ? null : `${path}: ${error}`;
  };
}

/** Its messages come from another process: the unit needs NotifyAccess=all. */
function byProgram(environment: Environment): Send {
  return (lines) =>
    new Promise((resolve) => {
      const child = spawn('systemd-notify', [`--pid=${process.pid}`, ...lines], {
        env: { ...environment },
        stdio: 'ignore',
        timeout: SEND_CEILING_MS,
      });
      child.once('error', () =>
        resolve('neither koffi nor systemd-notify is there; install gsup without --omit=optional'),
      );
      child.once('exit', (code) => resolve(code === 0 ? null : `systemd-notify ended with ${code}`));
    });
}

/** Only when it is this process that it watches: sd_watchdog_enabled(3). */
function watchdogMs(environment: Environment): number | null {
  const [usec, pid] = [Number(environment['WATCHDOG_USEC']), environment['WATCHDOG_PID']];
  const isOurs = pid === undefined || pid === '' || Number(pid) === process.pid;
  return Number.isFinite(usec) && usec > 0 && isOurs ? usec / 1000 : null;
}
