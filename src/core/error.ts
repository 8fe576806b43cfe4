/** The expected failures of an action, told to people with what to do next. */

export const EXIT = {
  /** Of a daemon: whoever runs it is to start the next one. EX_TEMPFAIL of sysexits.h. */
  retired: 75,
  done: 0,
  failed: 1,
  usage: 2,
  notRunning: 3,
  noSuchService: 4,
  config: 78,
  timedOut: 124,
  notExecutable: 126,
  notFound: 127,
} as const;

export type GsupErrorOptions = { exitStatus: number; hint?: string; cause?: unknown };

/**
 * An expected failure. `message` says what could not be done, to what, and why (lower case, no full stop);
 * `hint` says what to do; `exitStatus` is what the command ends with.
 */
export class GsupError extends Error {
  readonly exitStatus: number;
  readonly hint: string | undefined;

  constructor(message: string, options: GsupErrorOptions) {
    super(message, { cause: options.cause });
    this.name = 'GsupError';
    this.exitStatus = options.exitStatus;
    this.hint = options.hint;
  }
}

/** Whether it is one; the bundles of the CLI have the class more than once. */
export function isGsupError(error: unknown): error is GsupError {
  return error instanceof Error && error.name === 'GsupError';
}

/** A GsupError of a wrong call (exit status 2). */
export function usageError(message: string, hint?: string): GsupError {
  return new GsupError(message, hint === undefined ? { exitStatus: EXIT.usage } : { exitStatus: EXIT.usage, hint });
}

/** Whether an action failed for want of descriptors, ours or those of the whole machine: it may be tried again later. */
export function isShortage(error: unknown): boolean {
  const code = error instanceof Error && 'code' in error ? error.code : null;
  return code === 'EMFILE' || code === 'ENFILE';
}
