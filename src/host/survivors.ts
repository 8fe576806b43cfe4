/** What outlives a leader: looked for in one sweep for all that ask at the same moment, signalled, watched until gone. */
import { isShortage } from '../core/error.ts';
import type { Survivor } from '../core/record.ts';
import type { SignalName } from '../core/signal.ts';
import { type Belongings, type Found, findProcesses, isSame } from './processes.ts';
import { sendSignal } from './signal.ts';

/** Between two looks at processes that are no children of ours: the kernel sends no event for their end. Doubles up to the second. */
const FIRST_LOOK_MS = 1;
const LAST_LOOK_MS = 50;
/** Until another try, where no descriptor is left for a look. */
const SHORTAGE_WAIT_MS = 200;

/** Asked anew at every look: groups and cgroups change. */
export type BelongingsOf = () => Belongings;
type Asked = { readonly run: BelongingsOf; readonly answer: (found: Found) => void };
let asked: Asked[] = [];

/** A look at one run's processes; those asked for in the same turn share one sweep. */
function look(run: BelongingsOf): Promise<Found> {
  return new Promise((answer) => {
    asked.push({ run, answer });
    if (asked.length === 1) setImmediate(sweep);
  });
}

function sweep(): void {
  const these = asked;
  asked = [];
  // Two rungs of one run may ask in the same turn: both get the same answer.
  const runs = new Map(these.map(({ run }) => run()).map((run) => [run.token, run]));
  let found: readonly Found[];
  try {
    found = findProcesses([...runs.values()]);
  } catch (error) {
    if (!isShortage(error)) throw error;
    asked.push(...these);
    setTimeout(sweep, SHORTAGE_WAIT_MS);
    return;
  }
  const answers = new Map([...runs.keys()].map((token, index) => [token, found[index]]));
  for (const { run, answer } of these) answer(answers.get(run().token) ?? { alive: [], dying: 0 });
}

/** The living ones beside the leader, once those that are dying already are gone (or `signal` is aborted). */
export async function findSurvivors(run: BelongingsOf, signal: AbortSignal): Promise<readonly Survivor[]> {
  let found: Found = { alive: [], dying: 1 };
  await until(async () => {
    found = await look(run);
    return found.dying === 0;
  }, signal);
  return found.alive;
}

/** Sends `name` to each that `wants` it, then resolves when none is left. */
export async function signalSurvivors(
  run: BelongingsOf,
  name: SignalName,
  wants: (survivor: Survivor) => boolean,
  signal: AbortSignal,
): Promise<void> {
  for (const survivor of (await look(run)).alive)
    if (wants(survivor) && isSame(survivor)) sendSignal(survivor.pid, name);
  await until(async () => isEmpty(await look(run)), signal);
}

/** SIGKILL to all there are (`killAll` does it at once where it can), again and again until a look finds none. */
export async function killSurvivors(run: BelongingsOf, killAll: () => void, signal: AbortSignal): Promise<void> {
  await until(async () => {
    killAll();
    const found = await look(run);
    for (const survivor of found.alive) if (isSame(survivor)) sendSignal(survivor.pid, 'SIGKILL');
    return isEmpty(found);
  }, signal);
}

function isEmpty({ alive, dying }: Found): boolean {
  return alive.length === 0 && dying === 0;
}

async function until(isDone: () => Promise<boolean>, signal: AbortSignal): Promise<void> {
  for (let wait = FIRST_LOOK_MS; !signal.aborted; wait = Math.min(LAST_LOOK_MS, wait * 2)) {
    if (await isDone()) return;
    await new Promise((resolve) => setTimeout(resolve, wait));
  }
}
