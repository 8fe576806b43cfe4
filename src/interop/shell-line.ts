/** A line that was written for a shell, as a service of supervisor.yaml. */
import type { ServiceInput } from './config.ts';

/** Words that only a shell can do. */
const BUILT_IN = new Set(
  'alias bg break cd command continue eval exec exit export fg for getopts hash if jobs local read readonly return set shift source test time times trap type ulimit umask unset until wait while case function select'.split(
    ' ',
  ),
);

/**
 * One simple command takes the shell's place, so that signals reach it; `A=1 x`, `a && b` and `a | b` cannot: there they go to the
 * whole group, for a shell keeps them to itself.
 */
export function shellLine(line: string): Pick<ServiceInput, 'stop'> & { command: string; shell: true } {
  const first = /^([\w./-]+)(\s[^|&;<>()\n]*)?$/.exec(line)?.[1];
  const isSimple = first !== undefined && first !== '.' && !BUILT_IN.has(first);
  return isSimple
    ? { command: `exec ${line}`, shell: true }
    : { command: line, shell: true, stop: { killMode: 'group' } };
}
