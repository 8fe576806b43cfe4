/** The signals that `gsup top` listens to. */

export type Heard = {
  /** Asked to end by a signal, with the exit status that says so. */
  readonly onEnd: (status: number) => void;
  readonly onStop: () => void;
  readonly onContinue: () => void;
};

const STATUSES = { SIGHUP: 129, SIGINT: 130, SIGTERM: 143 } as const;
/** For a stop that the kernel refuses to do: nobody could continue a group that has no shell. */
const REFUSED_AFTER_MS = 100;

/** @returns what ends it. */
export function listen({ onEnd, onStop, onContinue }: Heard): () => void {
  const handlers: readonly (readonly [NodeJS.Signals, () => void])[] = [
    ...Object.entries(STATUSES).map(([signal, status]) => [signal as NodeJS.Signals, () => onEnd(status)] as const),
    ['SIGTSTP', onStop],
    ['SIGCONT', onContinue],
  ];
  for (const [signal, handler] of handlers) process.on(signal, handler);
  return () => {
    for (const [signal, handler] of handlers) process.off(signal, handler);
  };
}

/** Stops the process group, as the terminal does at Ctrl-Z when nobody has put it into raw mode. */
export function stopOwnGroup(onContinue: () => void): void {
  const listeners = process.listeners('SIGTSTP');
  process.removeAllListeners('SIGTSTP');
  process.kill(0, 'SIGTSTP');
  setTimeout(() => {
    for (const listener of listeners) process.on('SIGTSTP', listener);
    onContinue();
  }, REFUSED_AFTER_MS);
}
