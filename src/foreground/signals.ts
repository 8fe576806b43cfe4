/** The system's signals to `gsup run`: what stops, what cuts short, what is passed on. */
import type { SignalName } from '../core/signal.ts';
import { readStat } from '../host/processes.ts';

const PASSED_ON = [
  'SIGHUP',
  'SIGQUIT',
  'SIGUSR1',
  'SIGUSR2',
  'SIGWINCH',
  'SIGCONT',
  'SIGALRM',
  'SIGVTALRM',
  'SIGIO',
  'SIGPWR',
  'SIGURG',
] as const;
/** npm passes a terminal's SIGINT on, so it comes twice within moments of one Ctrl-C. */
const ECHO_MS = 200;

export type SignalHandlers = {
  stop(signal: SignalName): void;
  force(): void;
  forward(signal: SignalName): void;
  suspend(signal: 'SIGSTOP' | 'SIGCONT'): void;
};

/** Captures them until the result is called. `isInTerminal`: the terminal itself sends its signals to the command. */
export function captureSignals(handlers: SignalHandlers, isInTerminal: boolean): () => void {
  let interruptedAt: number | null = null;
  let isSuspended = false;
  const listeners: [SignalName, () => void][] = [
    ['SIGTERM', () => handlers.stop('SIGTERM')],
    [
      'SIGINT',
      () => {
        if (isInTerminal) return;
        const now = performance.now();
        if (interruptedAt === null) handlers.stop('SIGINT');
        else if (now - interruptedAt > ECHO_MS || !isEchoed()) handlers.force();
        interruptedAt ??= now;
      },
    ],
    ...PASSED_ON.map((signal): [SignalName, () => void] => [
      signal,
      () => {
        if (signal === 'SIGCONT' && isSuspended) {
          isSuspended = false;
          handlers.suspend('SIGCONT');
        } else handlers.forward(signal);
      },
    ]),
  ];
  if (!isInTerminal) {
    // A shell's job control: the children stop with us, for their own sessions don't hear the terminal (as dumb-init does).
    listeners.push([
      'SIGTSTP',
      () => {
        isSuspended = true;
        handlers.suspend('SIGSTOP');
        process.kill(process.pid, 'SIGSTOP');
      },
    ]);
  }
  for (const [signal, listener] of listeners) process.on(signal as NodeJS.Signals, listener);
  return () => {
    for (const [signal, listener] of listeners) process.off(signal as NodeJS.Signals, listener);
  };
}

/** Whether npm is around us and a terminal's Ctrl-C reaches both. */
function isEchoed(): boolean {
  if (process.env['npm_execpath'] === undefined && process.env['npm_config_user_agent'] === undefined) return false;
  const stat = readStat(process.pid);
  return stat !== null && stat.foreground === stat.pgrp;
}
