/** The instances that somebody has named on the command line. */
import type { InstanceView } from '../api/types.ts';
import { EXIT, GsupError } from '../core/error.ts';
import { nearest } from '../core/name.ts';

/** No names: all. @throws {GsupError} 4 for a name that nothing has. */
export function viewsNamed(all: readonly InstanceView[], names: readonly string[]): readonly InstanceView[] {
  const missing = names.find((name) => name !== 'all' && !all.some((view) => isNamed(view, [name])));
  if (missing === undefined) return names.length === 0 ? all : all.filter((view) => isNamed(view, names));
  const near = nearest(
    missing,
    all.map(({ service }) => service),
  );
  throw new GsupError(`no service ${missing}`, {
    exitStatus: EXIT.noSuchService,
    hint: near === null ? '"gsup ls" lists all' : `did you mean ${near}?`,
  });
}

export function isNamed({ service, instance }: InstanceView, names: readonly string[]): boolean {
  return names.includes(service) || names.includes(instance) || names.includes('all');
}
