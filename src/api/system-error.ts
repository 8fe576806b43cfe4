/** What the system says when it refuses a call, in words. */
import { getSystemErrorMap } from 'node:util';

/** As `permission denied (EACCES)`; an error that is not the system's has its own message. */
export function systemReason({ code, errno, message }: NodeJS.ErrnoException): string {
  const reason = errno === undefined ? undefined : getSystemErrorMap().get(errno)?.[1];
  return reason === undefined || code === undefined ? message : `${reason} (${code})`;
}
