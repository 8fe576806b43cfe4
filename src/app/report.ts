/** The report of a shutdown: what was done, what was left undone, and what explains it. */
import type { Explanation, Phase, ServerReport, ShutdownReport, Step, Trigger } from './api.ts';
import { explain, recognise } from './causes.ts';
import type { Deadline } from './deadline.ts';
import { messageOf } from './error-text.ts';
import type { Failure, Hooks } from './hooks.ts';
import type { States } from './persist.ts';
import type { Servers } from './servers.ts';
import type { Tasks } from './tasks.ts';

export type Told = {
  readonly reason: string;
  readonly trigger: Trigger;
  readonly startedAt: number;
  readonly deadline: Deadline;
  readonly phases: ShutdownReport['phases'];
  readonly tasks: Tasks;
  readonly servers: Servers;
  readonly hooks: Hooks;
  readonly states: States;
  /** Failures of the sequence itself: flushing. */
  readonly failures: readonly Failure[];
  /** Errors that nobody caught. */
  readonly errors: readonly unknown[];
};

export function reportOf(told: Told): ShutdownReport {
  const { reason, trigger, startedAt, deadline, phases, tasks, servers, hooks, states, failures, errors } = told;
  const work = {
    servers: servers.reports,
    tasks: [...tasks.steps('task'), ...tasks.steps('tracked')],
    workers: tasks.steps('worker'),
    states: states.steps,
    hooks: hooks.steps,
  };
  const undone = [
    ...work.servers.flatMap(undoneOfServer),
    ...tasks.undone,
    ...work.states.flatMap((step) => undoneOfStep('state', step)),
    ...work.hooks.flatMap((step) => undoneOfStep('hook', step)),
    ...failures.map(({ where, error }) => `${where} failed: ${messageOf(error)}`),
    ...phases.filter(isFlushLate).map(() => 'logs were not flushed in time'),
  ];
  return {
    reason,
    trigger,
    exitCode: undone.length > 0 || errors.length > 0 ? 1 : 0,
    startedAt,
    durationMs: deadline.elapsedMs,
    deadlineMs: deadline.totalMs,
    phases,
    ...work,
    undone,
    errors: errors.map(messageOf),
    explanations: explanationsOf(told, work),
  };
}

function isFlushLate({ phase, outcome }: { readonly phase: Phase; readonly outcome: string }): boolean {
  return phase === 'flushing' && outcome === 'late';
}

function undoneOfServer({ name, destroyed }: ServerReport): readonly string[] {
  if (destroyed === 0) return [];
  return [`${destroyed === 1 ? '1 connection' : `${destroyed} connections`} of ${name} had to be cut`];
}

function undoneOfStep(kind: string, { name, outcome, ms, error }: Step): readonly string[] {
  if (outcome === 'done') return [];
  if (outcome === 'late') return [`${kind} "${name}" had not ended after ${ms} ms`];
  return [`${kind} "${name}" ${outcome}: ${error}`];
}

type Work = Pick<ShutdownReport, 'tasks' | 'workers' | 'hooks' | 'states'>;

function explanationsOf({ trigger, tasks, servers, hooks, states, failures, errors }: Told, work: Work) {
  const seen: readonly Failure[] = [
    ...tasks.failures,
    ...hooks.failures,
    ...states.failures,
    ...failures,
    ...errors.map((error) => ({ where: 'uncaught error', error })),
  ];
  const late = (kind: string, steps: readonly Step[], mistake: Explanation['mistake']): readonly Explanation[] =>
    steps.filter(({ outcome }) => outcome === 'late').map(({ name }) => explain(mistake, `${kind} "${name}"`));
  const handlers = trigger.kind === 'signal' ? process.listenerCount(trigger.signal) : 1;
  return [
    ...seen.flatMap(({ where, error }) => recognise(where, error) ?? []),
    ...late('task', work.tasks, 'ended-before-tasks'),
    ...late('worker', work.workers, 'ended-before-tasks'),
    ...late('hook', work.hooks, 'deadline-elapsed'),
    ...late('state', work.states, 'deadline-elapsed'),
    ...[...hooks.doubles].map((name) => explain('handler-registered-twice', `hook "${name}"`)),
    ...(servers.hasDoubles ? [explain('handler-registered-twice', 'server')] : []),
    ...(handlers > 1 && trigger.kind === 'signal'
      ? [explain('handler-registered-twice', `${handlers} handlers of ${trigger.signal}`)]
      : []),
  ];
}
