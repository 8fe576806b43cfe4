/** Names of users and groups → ids, from /etc/passwd and /etc/group. */
import { readFileSync } from 'node:fs';
import { EXIT, GsupError } from '../core/error.ts';

/** The uid of a name or number, and the primary gid where the name is known. */
export function findUser(user: string): { uid: number; gid: number | null } {
  const row = rowsOf('/etc/passwd').find(([name, , uid]) => name === user || uid === user);
  if (row) return { uid: Number(row[2]), gid: Number(row[3]) };
  if (/^\d+$/.test(user)) return { uid: Number(user), gid: null };
  throw new GsupError(`cannot find the user ${user}`, {
    exitStatus: EXIT.notExecutable,
    hint: 'check its spelling with "id"',
  });
}

/** The gid of a name or number. */
export function findGroup(group: string): number {
  const row = rowsOf('/etc/group').find(([name]) => name === group);
  if (row) return Number(row[2]);
  if (/^\d+$/.test(group)) return Number(group);
  throw new GsupError(`cannot find the group ${group}`, { exitStatus: EXIT.notExecutable, hint: 'check its spelling' });
}

function rowsOf(file: string): readonly string[][] {
  try {
    return readFileSync(file, 'utf8')
      .split('\n')
      .map((line) => line.split(':'));
  } catch {
    return [];
  }
}
