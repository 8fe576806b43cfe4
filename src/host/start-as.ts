/** Starts a child with the ids and groups of another user, who also needs the right to enter its folder. */
import type { ServiceSpec } from '../core/service.ts';
import { type Identity, identityOf, isOwnIdentity } from './identity.ts';
import { nativeNow } from './native.ts';

type Ids = { readonly uid?: number; readonly gid?: number };
type Start = { readonly identity: Identity | null; readonly umask: number | null };

/** `start` must spawn synchronously, with these ids in Node's options. */
export function startAs<T>({ identity, umask }: Start, start: (ids: Ids) => T): T {
  // Inherited by the child at fork; nothing else of this process creates files in between, for spawning is synchronous.
  const before = umask === null ? null : process.umask(umask);
  try {
    if (identity === null || isOwnIdentity(identity)) return start({});
    const { uid, gid } = identity;
    // Without `gid`, which the thread already has: the child lacks the capability to set it.
    const done = nativeNow()?.credentials?.during(identity, () => start({ uid })) ?? null;
    return done === null ? start({ uid, gid }) : done.result;
  } finally {
    if (before !== null) process.umask(before);
  }
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
