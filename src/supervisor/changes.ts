/** What has changed in the state since it was written whole: one line of JSON each time, and how it is put back. */
import { slotName } from '../core/name.ts';
import type { ServiceState, SupervisorState } from '../core/root-state.ts';
import type { InstanceState } from '../core/state.ts';
import type { RunIdentity } from '../host/host.ts';
import type { Saved } from './store.ts';

type Rest = Omit<Saved, 'state' | 'runs'> & { readonly state: Omit<SupervisorState, 'services'> };

/** One save: only the keys of what has changed. `null` for what is no more. */
export type Changes = {
  readonly services?: Readonly<Record<string, ServiceState | null>>;
  /** Of services of which nothing else has changed: service → index → state. */
  readonly instances?: Readonly<Record<string, Readonly<Record<string, InstanceState>>>>;
  /** By the name of the slot: of every place of an instance that has changed. */
  readonly runs?: Readonly<Record<string, RunIdentity | null>>;
  readonly rest?: Rest;
};

/** By what the run of a place is recognised. */
export type IdentityOf = (slot: string) => RunIdentity | null;

/** What is other than before; `null`: nothing. States are compared by reference, for nothing changes in place. */
export function changesSince(before: Saved, now: Saved, identityOf: IdentityOf): Changes | null {
  const services: Record<string, ServiceState | null> = {};
  const instances: Record<string, Record<string, InstanceState>> = {};
  const runs: Record<string, RunIdentity | null> = {};
  const [old, present] = [before.state.services, now.state.services];
  for (const name of Object.keys(present)) {
    const service = present[name];
    if (service === undefined || service === old[name]) continue;
    for (const slot of movedSlots(name, old[name], service)) runs[slot] = identityOf(slot);
    const moved = movedInstances(old[name], service);
    if (moved === null) services[name] = service;
    else instances[name] = moved;
  }
  for (const name of Object.keys(old)) {
    if (present[name] !== undefined) continue;
    services[name] = null;
    for (const slot of movedSlots(name, old[name], undefined)) runs[slot] = null;
  }
  const rest = isSameRest(before, now) ? {} : { rest: restOf(now) };
  const changes = { ...filled({ services }), ...filled({ instances }), ...filled({ runs }), ...rest };
  return Object.keys(changes).length === 0 ? null : changes;
}

/** The state with these changes. */
export function withChanges(saved: Saved, { services = {}, instances = {}, runs = {}, rest }: Changes): Saved {
  const all: Record<string, ServiceState> = { ...saved.state.services };
  for (const [name, service] of Object.entries(services)) {
    if (service === null) delete all[name];
    else all[name] = service;
  }
  for (const [name, moved] of Object.entries(instances)) {
    const service = all[name];
    if (service === undefined) continue;
    all[name] = { ...service, instances: service.instances.map((instance, index) => moved[index] ?? instance) };
  }
  const known: Record<string, RunIdentity> = { ...saved.runs };
  for (const [slot, run] of Object.entries(runs)) {
    if (run === null) delete known[slot];
    else known[slot] = run;
  }
  const { state, ...others } = rest ?? saved;
  return { ...saved, ...others, state: { ...saved.state, ...state, services: all }, runs: known };
}

/** The instances that are other than before, or `null` when more than that has changed. */
function movedInstances(before: ServiceState | undefined, now: ServiceState): Record<string, InstanceState> | null {
  if (before === undefined || before.instances.length !== now.instances.length) return null;
  const keys = Object.keys(now) as (keyof ServiceState)[];
  if (keys.some((key) => key !== 'instances' && before[key] !== now[key])) return null;
  return Object.fromEntries(
    now.instances.flatMap((instance, index) => (instance === before.instances[index] ? [] : [[index, instance]])),
  );
}

/** Both places of every instance that is other than before, come or gone. */
function movedSlots(name: string, before: ServiceState | undefined, now: ServiceState | undefined): readonly string[] {
  const slots: string[] = [];
  const count = Math.max(before?.instances.length ?? 0, now?.instances.length ?? 0);
  for (let index = 0; index < count; index++) {
    const isSame = before?.instances[index] === now?.instances[index] && before?.spares[index] === now?.spares[index];
    if (!isSame) slots.push(...LANES.map((lane) => slotName({ service: name, index, lane })));
  }
  return slots;
}

const LANES = [0, 1] as const;

function restOf({ state: { services: _services, ...state }, runs: _runs, ...others }: Saved): Rest {
  return { ...others, state };
}

function isSameRest(before: Saved, now: Saved): boolean {
  const { bootId, environments, file, state } = now;
  if (before.bootId !== bootId || before.environments !== environments || before.file !== file) return false;
  const keys = Object.keys(state) as (keyof SupervisorState)[];
  return keys.every((key) => key === 'services' || before.state[key] === state[key]);
}

/** The map under its name, or nothing where it is empty. */
function filled<T extends object>(named: T): Partial<T> {
  return Object.values(named).every((map) => Object.keys(map).length === 0) ? {} : named;
}
