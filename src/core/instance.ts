/** One instance's life as a table: in each state, what each event leads to. Its handlers stand in life.ts and stop.ts. */
import { restoredBackoff, restoredFailed, restoredRunning, restoredStarting, restoredStopping } from './adopt.ts';
import type { InstanceEffect } from './effect.ts';
import type { InstanceEvent, InstanceEventType } from './event.ts';
import { startExtended, stopExtended } from './extend.ts';
import { killerFound } from './killer.ts';
import {
  backedOff,
  dependencyFailed,
  exitedByItself,
  gotReady,
  notReady,
  refused,
  spawned,
  start,
  unhealthy,
} from './life.ts';
import { appPhaseRecord, type PhaseRecord } from './record.ts';
import { type Context, type InstanceState, pidOf, type StateName, type Step } from './state.ts';
import {
  appToldInStop,
  askedAgain,
  forced,
  groupEmptied,
  hookEnded,
  leaderExited,
  logsEnded,
  rungTimedOut,
  startAfterStop,
  startBeforeSpawn,
  stopBeforeSpawn,
  stopIdle,
  stopLive,
  survivorsFound,
  warned,
} from './stop.ts';

type StateOf<S extends StateName> = Extract<InstanceState, { name: S }>;
type EventOf<E extends InstanceEventType> = Extract<InstanceEvent, { type: E }>;
type Handler<S extends StateName, E extends InstanceEventType> = (
  was: StateOf<S>,
  event: EventOf<E>,
  context: Context,
) => Step;
type Table = { readonly [S in StateName]: { readonly [E in InstanceEventType]?: Handler<S, E> } };

/** News of a run that may be over. */
const late = { 'killer-found': killerFound } as const;
const idle = { ...late, 'start-requested': start, 'dependency-failed': dependencyFailed } as const;

/** An empty cell means: nothing happens. @public (docs/states.md is made from it) */
export const INSTANCE_TABLE: Table = {
  stopped: { ...idle },
  exited: { ...idle, 'stop-requested': stopIdle },
  failed: { ...late, 'start-requested': start, 'stop-requested': stopIdle, exited: refused, restored: restoredFailed },
  backoff: {
    ...late,
    'start-requested': start,
    'stop-requested': stopIdle,
    'timed-out': backedOff,
    restored: restoredBackoff,
  },
  starting: {
    ...late,
    'start-requested': startBeforeSpawn,
    spawned,
    'spawn-failed': refused,
    ready: gotReady,
    extended: startExtended,
    'not-ready-yet': (was, event) => [{ ...was, checkSays: event.reason }, []],
    'timed-out': notReady,
    'stop-requested': stopBeforeSpawn,
    'signal-forwarded': (was, event) => [{ ...was, forwarded: [...was.forwarded, event.signal] }, []],
    exited: exitedByItself,
    restored: restoredStarting,
    'app-told': appTold,
  },
  running: {
    ...late,
    unhealthy,
    'check-failed': checkFailed,
    'stop-requested': stopLive,
    'signal-forwarded': (was, event) => [{ ...was, forwarded: [...was.forwarded, event.signal] }, []],
    exited: exitedByItself,
    restored: restoredRunning,
    'app-told': appTold,
  },
  stopping: {
    'signal-forwarded': (was, event) => [{ ...was, forwarded: [...(was.forwarded ?? []), event.signal] }, []],
    ...late,
    extended: stopExtended,
    restored: restoredStopping,
    'app-told': appToldInStop,
    'start-requested': startAfterStop,
    'stop-requested': askedAgain,
    forced,
    'hook-ended': hookEnded,
    exited: leaderExited,
    'survivors-found': survivorsFound,
    'group-emptied': groupEmptied,
    'logs-ended': logsEnded,
    'timed-out': (was, event, context) =>
      event.timer === 'warning' ? warned(was, event, context) : rungTimedOut(was, event, context),
  },
};

/** The next state of an instance and what is to be done, for an event. News of another run is told and changes nothing. */
export function stepInstance(was: InstanceState, event: InstanceEvent, context: Context): Step {
  if ('run' in event && event.run !== was.run) return [was, [ignored(was, event)]];
  // The one cast of the dispatcher: TypeScript can't see that table row and state belong together.
  const handler = INSTANCE_TABLE[was.name][event.type] as
    | ((was: InstanceState, event: InstanceEvent, context: Context) => Step)
    | undefined;
  if (handler === undefined) return [was, []];
  const [state, effects] = handler(was, event, context);
  return [state, effects.map((effect) => ofRun(was.run, effect))];
}

/** What is told in a step is told of the run that was there before it: the next one has nothing to tell yet. */
function ofRun(run: number, effect: InstanceEffect): InstanceEffect {
  return effect.do === 'record' ? { do: 'record', record: { ...effect.record, run } } : effect;
}

/** Only told. */
function checkFailed(was: StateOf<'running'>, event: EventOf<'check-failed'>): Step {
  const { reason, count, limit } = event;
  const told: PhaseRecord = { phase: 'unhealthy', level: 'warn', pid: was.pid, reason, attempt: count, limit };
  return [was, [{ do: 'record', record: told }]];
}

/** News of the app's own half of a stop: only told. */
function appTold<S extends InstanceState>(was: S, event: EventOf<'app-told'>): Step {
  return [was, [{ do: 'record', record: appPhaseRecord({ ...event, pid: pidOf(was) }) }]];
}

function ignored(was: InstanceState, event: InstanceEvent & { run: number }): InstanceEffect {
  const reason = `${event.type} of run ${event.run} came in run ${was.run}`;
  return { do: 'record', record: { phase: 'ignored', level: 'debug', reason } };
}
