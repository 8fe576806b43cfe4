/** Starts a child with the ids and groups of its user, in a folder that the user may enter or that only root decides on. */
import type { ServiceSpec } from '../core/service.ts';
import { identityOf, isOtherUser, isOwnIdentity } from './identity.ts';
import { nativeNow } from './native.ts';
import { rightsOf } from './rights.ts';
import { isTrustedPath } from './trusted-path.ts';

type Ids = { readonly uid?: number; readonly gid?: number };
type Start = Pick<ServiceSpec, 'user' | 'group' | 'umask' | 'cwd'>;

/** `start` must spawn synchronously, with these ids in Node's options. */
export function startAs<T>(spec: Start, start: (ids: Ids) => T): T {
  const identity = identityOf(spec);
  const { umask } = spec;
  // Inherited by the child at fork; nothing else of this process creates files in between, for spawning is synchronous.
  const before = umask === null ? null : process.umask(umask);
  try {
    if (identity === null || isOwnIdentity(identity)) return start({});
    const { uid, gid } = identity;
    // Without `gid`, which the thread already has: the child lacks the capability to set it.
    const fileRights = folderRights(spec) ?? 'user';
    const done = nativeNow()?.credentials?.during(identity, () => start({ uid }), fileRights) ?? null;
    return done === null ? start({ uid, gid }) : done.result;
  } finally {
    if (before !== null) process.umask(before);
  }
}

/**
 * With whose rights a service's folder is entered: its user's, or gsup's own where only root decides what the path leads
 * to; `null`: it can't be entered.
 */
export function folderRights(spec: Pick<ServiceSpec, 'user' | 'group' | 'cwd'>): 'user' | 'own' | null {
  const identity = identityOf(spec);
  if (rightsOf(identity).canEnter(spec.cwd)) return 'user';
  return isOtherUser(identity) && isTrustedPath(spec.cwd) && rightsOf(null).canEnter(spec.cwd) ? 'own' : null;
}

/** Whether `startAs` sets all groups: Node alone drops the supplementary ones. */
export function hasAllGroups(spec: Pick<ServiceSpec, 'user' | 'group'>): boolean {
  if (nativeNow()?.credentials != null) return true;
  try {
    const identity = identityOf(spec);
    const isAlone = identity === null || identity.groups.every((group) => group === identity.gid);
    return isAlone || isOwnIdentity(identity);
  } catch {
    // The spawn will fail with the reason.
    return true;
  }
}
