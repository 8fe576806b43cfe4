/** The user, group and supplementary groups that a service runs as. */
import { EXIT, GsupError } from '../core/error.ts';
import type { ServiceSpec } from '../core/service.ts';
import { type Account, findAccount, findGroup, groupsOf, parseId } from './user.ts';

export type Identity = {
  readonly uid: number;
  readonly gid: number;
  /** Supplementary groups; they include `gid`. */
  readonly groups: readonly number[];
  /** `null` without `user`, and for a number that no account has. */
  readonly account: Account | null;
};

type Wanted = Pick<ServiceSpec, 'user' | 'group'>;

/** `null`: the identity of gsup itself. @throws {GsupError} for an unknown user or group, and where only root may switch. */
export function identityOf({ user, group }: Wanted): Identity | null {
  if (user === null && group === null) return null;
  const gid = group === null ? null : findGroup(group);
  const identity = user === null ? ownWith(gid ?? ownGid()) : identityOfUser(user, gid);
  if (ownUid() === 0) return identity;
  if (identity.uid !== ownUid()) throw onlyRoot(`user ${user}`, 'user');
  if (gid !== null && gid !== ownGid()) throw onlyRoot(`group ${group}`, 'group');
  return { ...identity, gid: ownGid(), groups: process.getgroups?.() ?? [] };
}

/** The user that a service runs as; `null`: there is no such user any more. */
export function uidOf(wanted: Wanted): number | null {
  try {
    return identityOf(wanted)?.uid ?? ownUid();
  } catch {
    return null;
  }
}

/** Whether it is a different user from the one that gsup runs as. */
export function isOtherUser(identity: Identity | null): identity is Identity {
  return identity !== null && identity.uid !== ownUid();
}

/** Whether gsup itself already has these ids. */
export function isOwnIdentity({ uid, gid, groups }: Identity): boolean {
  if (uid !== ownUid() || gid !== ownGid()) return false;
  const [own, wanted] = [process.getgroups?.() ?? [], groups].map((list) => [...new Set([...list, gid])].sort());
  return String(own) === String(wanted);
}

function identityOfUser(user: string, gid: number | null): Identity {
  const account = findAccount(user);
  if (account !== null) {
    const group = gid ?? account.gid;
    return { uid: account.uid, gid: group, groups: groupsOf(account, group), account };
  }
  const uid = parseId(user);
  if (uid === null)
    throw new GsupError(`cannot find the user ${user}`, {
      exitStatus: EXIT.notExecutable,
      hint: 'check its spelling with "id"',
    });
  if (gid === null)
    throw new GsupError(`cannot run as the user ${user}: no account has this number, so its group is unknown`, {
      exitStatus: EXIT.notExecutable,
      hint: 'set "group" as well',
    });
  return { uid, gid, groups: [gid], account: null };
}

function ownWith(gid: number): Identity {
  return { uid: ownUid(), gid, groups: [gid], account: null };
}

function onlyRoot(identity: string, key: string): GsupError {
  const hint = `run gsup as root, or remove "${key}"`;
  return new GsupError(`cannot run as the ${identity}: only root may`, { exitStatus: EXIT.notExecutable, hint });
}

function ownUid(): number {
  return process.getuid?.() ?? -1;
}

function ownGid(): number {
  return process.getgid?.() ?? -1;
}
