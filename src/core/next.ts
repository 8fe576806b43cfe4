/** What comes after a run: rest, a start at once, or what the restart policy says of its end. */
import type { InstanceEffect } from './effect.ts';
import { describeExit, type PhaseRecord } from './record.ts';
import { decideRestart, isSuccess } from './restart.ts';
import { type Context, type Life, lifeOf, type Step, type Stopping } from './state.ts';

/** The end of a stop or of a clear-up: what comes next. */
export function settle(was: Stopping, at: number, context: Context, effects: readonly InstanceEffect[]): Step {
  const life: Life = { ...lifeOf(was), lastExit: was.exit };
  if (was.next === 'stopped') return [{ ...life, name: 'stopped' }, effects];
  if (was.next === 'start') {
    const [state, begun] = beginRun({ ...life, restarts: life.restarts + 1 }, at, was.isAsked ? was.reason : null);
    return [state, [...effects, ...begun]];
  }
  if (was.isFinal) return [{ ...life, name: 'exited' }, effects];
  const exit = was.exit ?? { code: null, signal: null, at };
  const end = {
    at,
    ranMs: exit.at - was.startedAt,
    exitCode: exit.code,
    cause: was.failure ?? describeExit(exit),
    isFailure: was.failure !== null,
  };
  return byPolicy(life, end, context, effects);
}

export type End = {
  at: number;
  ranMs: number;
  exitCode?: number | null;
  cause: string;
  isFailure: boolean;
  isShortage?: boolean;
};

/** The restart policy judges an end. */
export function byPolicy(was: Life, end: End, context: Context, effects: readonly InstanceEffect[]): Step {
  const { restart } = context.spec;
  const full = { exitCode: null, ...end, random: context.random };
  const completed = was.reached.completed || isSuccess(restart, full);
  const life: Life = { ...lifeOf(was), reached: { ...was.reached, completed } };
  const decision = decideRestart(restart, was.history, full);
  if (decision.kind === 'leave') return [{ ...life, name: 'exited' }, effects];
  if (decision.kind === 'give-up') return fail(life, decision.reason, null, effects);
  const { delayMs, reason, history } = decision;
  const level = isSuccess(restart, full) ? 'info' : 'warn';
  const told = record({ phase: 'backoff', level, reason, delayMs, attempt: history.attempt });
  if (delayMs === 0) {
    const [state, begun] = beginRun({ ...life, history, restarts: life.restarts + 1 }, end.at);
    return [state, [...effects, told, ...begun]];
  }
  const arm: InstanceEffect = { do: 'arm', run: life.run, timer: 'backoff', ms: delayMs };
  return [{ ...life, history, name: 'backoff', until: end.at + delayMs, reason }, [...effects, told, arm]];
}

/** A new run. `startedBy`: who asked for it; `null`: the restart policy. */
export function beginRun(life: Life, at: number, startedBy: string | null = null): Step {
  const run = life.run + 1;
  return [
    {
      ...lifeOf(life),
      name: 'starting',
      run,
      pid: null,
      startedAt: at,
      startedBy,
      forwarded: [],
      stopAsked: null,
      readyBy: null,
      isExtended: false,
      checkSays: null,
    },
    [{ do: 'spawn', run }],
  ];
}

/** Failed for good, with the reason. */
export function fail(was: Life, reason: string, exitStatus: number | null, effects: readonly InstanceEffect[]): Step {
  const { lastExit } = was;
  const exit = lastExit === null ? {} : { exitCode: lastExit.code, exitSignal: lastExit.signal };
  const told = record({ phase: 'failed', level: 'error', reason, ...exit });
  return [{ ...lifeOf(was), name: 'failed', reason, exitStatus, stuckPid: null }, [...effects, told]];
}

function record(record: PhaseRecord): InstanceEffect {
  return { do: 'record', record };
}
