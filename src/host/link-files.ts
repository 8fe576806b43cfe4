/** What stands in the folder of a link, so that it can be cleared by name. */
import { randomBytes } from 'node:crypto';

/** `owner` says whose it is, `l` is a link that does not listen yet, `n-` and `r-` are sockets and FIFOs of runs, by their tokens. */
const FILES =
  /^(link(-[0-9a-f]{16})?\.sock|l|owner|listen\.cjs(\.[0-9a-f]{8})?|n-[0-9a-f]{8}-[0-9a-f]{4}|r-[0-9a-f]{12})$/;

export const OWNER_FILE = 'owner';

/** A name that no other user can guess. */
export function newLinkName(): string {
  return `link-${randomBytes(8).toString('hex')}.sock`;
}

export function isLinkFile(name: string): boolean {
  return FILES.test(name);
}
