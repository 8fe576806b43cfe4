/** Signals by name, as Linux numbers them. */

const NUMBERS = {
  SIGHUP: 1,
  SIGINT: 2,
  SIGQUIT: 3,
  SIGILL: 4,
  SIGTRAP: 5,
  SIGABRT: 6,
  SIGBUS: 7,
  SIGFPE: 8,
  SIGKILL: 9,
  SIGUSR1: 10,
  SIGSEGV: 11,
  SIGUSR2: 12,
  SIGPIPE: 13,
  SIGALRM: 14,
  SIGTERM: 15,
  SIGSTKFLT: 16,
  SIGCHLD: 17,
  SIGCONT: 18,
  SIGSTOP: 19,
  SIGTSTP: 20,
  SIGTTIN: 21,
  SIGTTOU: 22,
  SIGURG: 23,
  SIGXCPU: 24,
  SIGXFSZ: 25,
  SIGVTALRM: 26,
  SIGPROF: 27,
  SIGWINCH: 28,
  SIGIO: 29,
  SIGPWR: 30,
  SIGSYS: 31,
} as const;

export type SignalName = keyof typeof NUMBERS;
export const SIGNAL_NAMES = Object.keys(NUMBERS) as readonly SignalName[];

/** The signal that `text` names: `SIGTERM`, `TERM`, `term` or `15`; `null` for anything else. */
export function parseSignal(text: string | number): SignalName | null {
  const written = String(text).trim().toUpperCase();
  const byNumber = SIGNAL_NAMES.find((name) => String(NUMBERS[name]) === written);
  if (byNumber) return byNumber;
  const name = written.startsWith('SIG') ? written : `SIG${written}`;
  return SIGNAL_NAMES.find((known) => known === name) ?? null;
}

/** Its number on Linux. */
export function signalNumber(name: SignalName): number {
  return NUMBERS[name];
}
