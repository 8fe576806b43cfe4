/** Who sent the SIGKILL that was not ours: asked when the leader has ended, answered when the next run may have begun. */
import type { InstanceEffect } from './effect.ts';
import type { InstanceEvent } from './event.ts';
import type { InstanceState, LastExit, Step, Stopping } from './state.ts';

/** The question, where there is one. */
export function findKiller({ run, pid, exit, forwarded = [] }: Stopping): readonly InstanceEffect[] {
  if (exit === null || exit.signal !== 'SIGKILL' || exit.by !== 'outside' || forwarded.includes('SIGKILL')) return [];
  return [{ do: 'find-killer', run, pid, exitedAt: exit.at }];
}

/** The answer: told, and kept with the exit that it is about. */
export function killerFound<S extends InstanceState>(
  was: S,
  { pid, exitedAt, oom }: Extract<InstanceEvent, { type: 'killer-found' }>,
): Step {
  const isFound = oom.verdict === 'yes' || oom.verdict === 'likely';
  const record: InstanceEffect = {
    do: 'record',
    record: { phase: 'oom-checked', level: isFound ? 'warn' : 'info', pid, oom },
  };
  if (oom.verdict !== 'yes') return [was, [record]];
  const byKernel = <E extends LastExit | null>(exit: E): E => (exit?.at === exitedAt ? { ...exit, by: 'oom' } : exit);
  const known = { ...was, lastExit: byKernel(was.lastExit) };
  return [known.name === 'stopping' ? { ...known, exit: byKernel(known.exit) } : known, [record]];
}
