/** Users and groups of this machine: from /etc/passwd and /etc/group, else from the name service by getent(1) and id(1). */
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { EXIT, GsupError } from '../core/error.ts';

/** A row of passwd(5). */
export type Account = {
  readonly name: string;
  readonly uid: number;
  /** Its primary group. */
  readonly gid: number;
  readonly home: string;
  readonly shell: string;
};

/** Node takes ids as signed 32-bit numbers. */
const HIGHEST_ID = 0x7fff_ffff;
/** Ceiling for a lookup, which may go over the network. */
const LOOKUP_TIMEOUT_MS = 2_000;

/** The account with this name, else with this number; `null` where there is none. */
export function findAccount(user: string): Account | null {
  // getent(1) truncates a number that is too large, to that of root for 2^32: its answer is compared with the question.
  const asked = () => ask('getent', ['passwd', '--', user]).flatMap(accountOf);
  return accountIn(rowsOf('/etc/passwd').flatMap(accountOf), user) ?? accountIn(asked(), user);
}

function accountIn(accounts: readonly Account[], user: string): Account | null {
  const uid = parseId(user);
  return accounts.find(({ name }) => name === user) ?? accounts.find((one) => uid !== null && one.uid === uid) ?? null;
}

/** The gid of a name or number. @throws {GsupError} for an unknown name. */
export function findGroup(group: string): number {
  const isNamed = ([name]: readonly string[]) => name === group;
  const row = rowsOf('/etc/group').find(isNamed);
  const asked = () => ask('getent', ['group', '--', group]).find(isNamed);
  const gid = parseId((row ?? (parseId(group) === null ? asked() : undefined))?.[2]) ?? parseId(group);
  if (gid !== null) return gid;
  throw new GsupError(`cannot find the group ${group}`, { exitStatus: EXIT.notExecutable, hint: 'check its spelling' });
}

/** The groups that initgroups(3) would set: `gid` and those that list the account as a member. */
export function groupsOf({ name }: Account, gid: number): readonly number[] {
  const isLocal = rowsOf('/etc/passwd').some(([other]) => other === name);
  const groups = isLocal
    ? rowsOf('/etc/group').flatMap(([, , id, members = '']) => (members.split(',').includes(name) ? [id] : []))
    : ask('id', ['-G', '--', name]).flatMap(([line = '']) => line.split(' '));
  const ids = groups.map(parseId).filter((id) => id !== null);
  return [...new Set([gid, ...ids])];
}

/** The id of a user or group; `null` if the text is not a number or out of range. */
export function parseId(text: string | undefined): number | null {
  return text !== undefined && /^\d{1,10}$/.test(text) && Number(text) <= HIGHEST_ID ? Number(text) : null;
}

function accountOf([name, , uid, gid, , home, shell]: readonly string[]): readonly Account[] {
  const ids = { uid: parseId(uid), gid: parseId(gid) };
  if (name === undefined || name === '' || ids.uid === null || ids.gid === null) return [];
  return [{ name, uid: ids.uid, gid: ids.gid, home: home || '/', shell: shell || '/bin/sh' }];
}

/** Kept for one turn of the event loop: many services that start together share few users. */
const known = new Map<string, readonly (readonly string[])[]>();

function rowsOf(file: string): readonly (readonly string[])[] {
  return keep(file, () => readFileSync(file, 'utf8'));
}

function ask(program: string, args: readonly string[]): readonly (readonly string[])[] {
  const options = { encoding: 'utf8', timeout: LOOKUP_TIMEOUT_MS } as const;
  return keep([program, ...args].join('\0'), () => spawnSync(program, args, options).stdout ?? '');
}

function keep(key: string, read: () => string): readonly (readonly string[])[] {
  const rows = known.get(key) ?? rowsIn(read);
  if (known.size === 0) setImmediate(() => known.clear());
  known.set(key, rows);
  return rows;
}

function rowsIn(read: () => string): readonly (readonly string[])[] {
  try {
    return read()
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => line.split(':'));
  } catch {
    return [];
  }
}
