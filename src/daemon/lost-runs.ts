/** The runs of a daemon before that its state has lost: a copy that is older than what runs, or a disk that was full. */

import type { Slot } from '../core/event.ts';
import { type Claimant, findLeaders, type SavedRun } from '../core/find-leader.ts';
import { instanceName, slotName } from '../core/name.ts';
import { instancesOf, type ServiceState, type SupervisorState, specAt } from '../core/root-state.ts';
import type { InstanceState } from '../core/state.ts';
import type { RunIdentity } from '../host/host.ts';
import { uidOf } from '../host/identity.ts';
import { findClaimants, isRunning, TICK_MS, ticksNow } from '../host/processes.ts';

/** How exact a moment of the state is as a number of ticks. */
const SLACK_TICKS = 2;

type Runs = Readonly<Record<string, RunIdentity>>;
type Known = { readonly state: SupervisorState; readonly runs: Runs; readonly now: number };

/** What a search for lost runs has found. */
export type Search = {
  /** By place: the runs that take the place of those that are gone. */
  readonly runs: Runs;
  /** When the process of each of these started. */
  readonly startedAt: ReadonlyMap<string, number>;
  /** Session leaders that nothing is known of: they are reported and never touched. */
  readonly unknown: readonly Claimant[];
};

/** Whether a run has to be looked for: its state expects a leader, and the one that it had is gone. */
export function hasLost(known: Known): boolean {
  return placesOf(known).some(({ instance, run }) => expectsLeader(instance) && !isThere(run));
}

/** Asks the processes themselves. Only those of the user of a service, or of ours, are believed. */
export function searchRuns(known: Known, linkPath: string): Search {
  const claimants = findClaimants(linkPath);
  const saved = savedRuns(known);
  const found = findLeaders(saved, claimants);
  const runs = [...found].map(([slot, { pid, startTicks, token }]): [string, RunIdentity] => {
    const before = known.runs[slot];
    const isSameRun = before?.token === token;
    return [
      slot,
      { token, pid, startTicks, channel: isSameRun ? before.channel : null, sockets: isSameRun ? before.sockets : {} },
    ];
  });
  const passed = ticksNow();
  const startedAt = [...found]
    .filter(([slot, { token }]) => known.runs[slot]?.token !== token)
    .map(([slot, { startTicks }]): [string, number] => [slot, known.now - (passed - startTicks) * TICK_MS]);
  const tokens = new Set([...saved, ...found.values()].map(({ token }) => token));
  const users = new Map(saved.map(({ instance, uid }) => [instance, uid]));
  const own = process.getuid?.() ?? null;
  const isBelieved = ({ instance, uid }: Claimant) => uid !== null && (uid === own || uid === users.get(instance));
  const unknown = claimants.filter((one) => one.isSessionLeader && !tokens.has(one.token) && isBelieved(one));
  return { runs: Object.fromEntries(runs), startedAt: new Map(startedAt), unknown };
}

type Place = {
  readonly of: Slot;
  readonly slot: string;
  readonly service: ServiceState;
  readonly instance: InstanceState;
  readonly run: RunIdentity;
};

function placesOf({ state, runs }: Known): readonly Place[] {
  return instancesOf(state).flatMap(({ of, state: instance }): Place[] => {
    const slot = slotName(of);
    const service = state.services[of.service];
    const run = runs[slot];
    return service === undefined || run === undefined ? [] : [{ of, slot, service, instance, run }];
  });
}

function savedRuns(known: Known): readonly SavedRun[] {
  return placesOf(known).map(({ of, slot, service, instance, run }) => ({
    slot,
    instance: instanceName(of.service, of.index),
    token: run.token,
    pid: run.pid,
    startTicks: run.pid === null ? ticksOf(instance, known.now) : run.startTicks,
    isAlive: isThere(run),
    isExpected: expectsLeader(instance),
    uid: uidOf(specAt(service, of.index, of.lane)),
  }));
}

function isThere({ pid, startTicks }: RunIdentity): boolean {
  return pid !== null && isRunning({ pid, startTicks });
}

/** When a run was about to be spawned: no process of it is older. */
function ticksOf(instance: InstanceState, now: number): number {
  const sinceMs = 'startedAt' in instance ? now - instance.startedAt : 0;
  return ticksNow() - sinceMs / TICK_MS - SLACK_TICKS;
}

function expectsLeader(instance: InstanceState): boolean {
  if (instance.name === 'stopping') return instance.exit === null;
  return instance.name === 'starting' || instance.name === 'running';
}
