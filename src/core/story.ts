/** The records of one instance → its runs, each with what was told of it; pure. */
import type { Phase, PhaseRecord } from './record.ts';

/** A record with its moment, in epoch ms. */
export type Moment = PhaseRecord & { readonly at: number };

/** One run, or one try that did not come to a process. */
export type RunStory = {
  /** `null`: there was no process. */
  readonly pid: number | null;
  /** The last record of each phase. */
  readonly told: Readonly<Partial<Record<Phase, Moment>>>;
  /** What the app said of its own shutdown, in order. */
  readonly appPhases: readonly Moment[];
};

type Growing = { pid: number | null; told: Partial<Record<Phase, Moment>>; appPhases: Moment[]; lastAt: number };

/** In the order in which they began; `records` in the order in which they were told. */
export function runsOf(records: readonly Moment[]): readonly RunStory[] {
  const runs: Growing[] = [];
  for (const record of records) {
    const run = ownerOf(record, runs);
    if (run === null) continue;
    run.told[record.phase] = record;
    run.lastAt = record.at;
    if (record.phase === 'app-phase') run.appPhases.push(record);
  }
  return runs;
}

/** The run that a record tells of; a new one where it begins one, or what came before is not known. */
function ownerOf(record: Moment, runs: Growing[]): Growing | null {
  const begin = (pid: number | null): Growing => {
    const run: Growing = { pid, told: {}, appPhases: [], lastAt: record.at };
    runs.push(run);
    return run;
  };
  const { phase, pid } = record;
  switch (phase) {
    case 'spawned':
      return begin(pid ?? null);
    case 'backoff':
    case 'failed':
      // Decided in the step in which the run came to its end; else there was none.
      return runs.findLast(({ told, lastAt }) => told.exited !== undefined && lastAt === record.at) ?? begin(null);
    case 'app-phase': {
      const living = runs.filter(({ told }) => told.exited === undefined);
      return living.find(({ told }) => told['stop-requested'] !== undefined) ?? living.at(-1) ?? runs.at(-1) ?? null;
    }
    case 'stop-requested':
    case 'stopped':
      if (pid == null) return runs.at(-1) ?? null;
      break;
    default:
      if (pid == null) return null;
  }
  return runs.findLast((run) => run.pid === pid) ?? begin(pid);
}

/** Whether it has come to its end. */
export function hasEnded({ pid, told }: RunStory): boolean {
  return pid === null || told.exited !== undefined || told.stuck !== undefined;
}

/** When it came to its end; `null`: it has not. */
export function endedAt({ told }: RunStory): number | null {
  return (told.exited ?? told.failed ?? told.backoff ?? told.stuck)?.at ?? null;
}
