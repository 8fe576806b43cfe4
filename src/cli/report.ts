/** What a command that failed says, and its exit status. */
import { EXIT, isGsupError } from '../core/error.ts';
import { toStderr } from './print.ts';

/** Tells an expected failure on stderr. @throws what is none: a bug. */
export function report(error: unknown): number {
  if (!isGsupError(error)) throw error;
  toStderr(`${error.exitStatus === EXIT.config ? '' : 'gsup: '}${error.message}\n`);
  if (error.hint !== undefined) toStderr(`  ${error.hint}\n`);
  return error.exitStatus;
}
