/** What is × what shall be → what to add, replace, update, scale, remove. */
import type { SupervisorState } from './root-state.ts';
import type { ServiceSpec } from './service.ts';
import { isDown } from './state.ts';

export type PlannedChange = {
  readonly service: string;
  /** `replace`: running instances are replaced; `update`: they keep running under the new policy; `start`: unchanged, and some are down. */
  readonly action: 'add' | 'replace' | 'update' | 'scale' | 'start' | 'remove' | 'none';
  /** The keys that differ, or the counts. */
  readonly what: string;
};

/** What a running process was started with: a change of these needs a new one. */
const OF_THE_PROCESS: readonly (keyof ServiceSpec)[] = [
  'program',
  'cwd',
  'env',
  'envFiles',
  'inheritEnv',
  'user',
  'group',
  'umask',
  'nice',
  'sockets',
];

/** In the order of `wanted`; removals first. `isWhole`: services that are not wanted go. */
export function planChanges(
  present: readonly ServiceSpec[],
  wanted: readonly ServiceSpec[],
  isWhole: boolean,
): readonly PlannedChange[] {
  const known = new Map(present.map((spec) => [spec.name, spec]));
  const names = new Set(wanted.map(({ name }) => name));
  const removals = present
    .filter(({ name }) => isWhole && !names.has(name))
    .map(({ name }): PlannedChange => ({ service: name, action: 'remove', what: '' }));
  return [...removals, ...wanted.map((spec) => changeOf(known.get(spec.name), spec))];
}

/** What makes the services of a supervisor match `wanted`. `isWhole`: other services are removed. */
export function planFor(
  { services }: SupervisorState,
  wanted: readonly ServiceSpec[],
  isWhole: boolean,
): readonly PlannedChange[] {
  const present = Object.values(services).map(({ spec }) => spec);
  const isPartlyDown = (name: string) => services[name]?.instances.some(isDown) === true;
  return planChanges(present, wanted, isWhole).map((change) =>
    change.action === 'none' && isPartlyDown(change.service) ? { ...change, action: 'start' } : change,
  );
}

function changeOf(was: ServiceSpec | undefined, spec: ServiceSpec): PlannedChange {
  const service = spec.name;
  if (was === undefined) {
    return { service, action: 'add', what: spec.instances === 1 ? '' : `${spec.instances} instances` };
  }
  const differing = differingKeys(was, spec);
  const keys = differing.filter((key) => key !== 'instances');
  const scaled = differing.includes('instances') ? [`instances ${was.instances} → ${spec.instances}`] : [];
  const what = [...keys, ...scaled].join(', ');
  if (keys.some((key) => OF_THE_PROCESS.includes(key)) || toldBy(was) !== toldBy(spec))
    return { service, action: 'replace', what };
  if (keys.length > 0) return { service, action: 'update', what };
  return { service, action: scaled.length > 0 ? 'scale' : 'none', what };
}

/** By what of its environment and descriptors a process tells how it is. */
function toldBy({ ready, live }: ServiceSpec): string {
  const fd = ready?.check.kind === 'fd' ? ready.check.fd : null;
  const isByNotify = ready?.check.kind === 'notify' || live?.check.kind === 'notify';
  const watchdogMs = live?.check.kind === 'notify' ? live.intervalMs * live.failureThreshold : null;
  return JSON.stringify([fd, isByNotify, watchdogMs]);
}

/** The keys of a spec whose values differ. */
export function differingKeys(a: ServiceSpec, b: ServiceSpec): readonly (keyof ServiceSpec)[] {
  const keys = Object.keys(b) as (keyof ServiceSpec)[];
  return keys.filter((key) => canonical(a[key]) !== canonical(b[key]));
}

/** JSON with sorted keys: two values are the same when their texts are. */
function canonical(value: unknown): string {
  return JSON.stringify(value, (_, inner: unknown) =>
    typeof inner === 'object' && inner !== null && !Array.isArray(inner)
      ? Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : 1)))
      : inner,
  );
}
