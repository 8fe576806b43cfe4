/** Errors that nobody expected, wherever they come from: a sentence for people, the stack for the daemon's log. */
import { appendFileSync } from 'node:fs';
import { homeOf } from '../api/home.ts';
import { isGsupError, isShortage } from '../core/error.ts';
import { refusalOf, report, stackOf } from './report.ts';
import { sayFailure } from './starter.ts';
import { VERSION } from './version.ts';

/** `background`: stderr is the daemon's log, and a command waits until it answers. */
export type Role = 'command' | 'daemon' | 'background';

/** Reports what is thrown where no caller catches it, and ends the process. */
export function reportCrashes(role: Role): void {
  process.on('uncaughtException', (error) => {
    // A running supervisor has a listener of its own, which survives a shortage of descriptors.
    if (isShortage(error) && process.listenerCount('uncaughtException') > 1) return;
    process.exit(reportFailure(role, error));
  });
  // Whatever --unhandled-rejections says, and as an exception: what restores a terminal listens to those.
  process.on('unhandledRejection', (error) => {
    throw error;
  });
  // Used for bugs that end nothing but one request.
  console.error = (error: unknown) => void record(role, error);
}

/** Reports why this process ends, to the command that waits for it too. Returns the exit status. */
export function reportFailure(role: Role, error: unknown): number {
  const status = record(role, error);
  // The command ends us as soon as it knows.
  if (role === 'background') sayFailure(refusalOf(error, logOf(role)));
  return status;
}

function record(role: Role, error: unknown): number {
  const log = logOf(role);
  const status = report(error, log);
  if (log === null || isGsupError(error)) return status;
  try {
    const text = `${new Date().toISOString()} gsup ${VERSION}, pid ${process.pid}: ${stackOf(error)}\n`;
    appendFileSync(log, text, { mode: 0o600 });
  } catch {
    // There is nothing but the sentence: no home, or no room.
  }
  return status;
}

/** Where the stacks of a daemon go. */
function logOf(role: Role): string | null {
  try {
    return role === 'command' ? null : homeOf(process.env).daemonLog;
  } catch {
    return null;
  }
}
