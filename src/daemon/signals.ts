/** The system's signals to the daemon: what stops, cuts short, reads the file again, reopens logs. */
import type { SignalName } from '../core/signal.ts';

export type DaemonSignals = {
  stop(signal: SignalName): void;
  force(): void;
  reload(): void;
  reopen(): void;
};

/** Captures them until the result is called. */
export function captureSignals({ stop, force, reload, reopen }: DaemonSignals): () => void {
  let isInterrupted = false;
  const listeners: readonly [NodeJS.Signals, () => void][] = [
    ['SIGTERM', () => stop('SIGTERM')],
    [
      'SIGINT',
      () => {
        if (isInterrupted) force();
        else stop('SIGINT');
        isInterrupted = true;
      },
    ],
    ['SIGHUP', reload],
    ['SIGUSR2', reopen],
  ];
  for (const [signal, listener] of listeners) process.on(signal, listener);
  return () => {
    for (const [signal, listener] of listeners) process.off(signal, listener);
  };
}
