/** Facts → why an instance is as it is: the cause in one sentence, what supports it, and the next step; pure. */
import { formatDuration } from './duration.ts';
import { type Cause, type EndFacts, explainEnd, FORGOTTEN } from './explain-end.ts';
import { NO_FINDING } from './oom.ts';
import { appPhaseRecord, recordMessage } from './record.ts';
import type { ServiceSpec } from './service.ts';
import type { InState, InstanceState, LastExit } from './state.ts';
import { endedAt, hasEnded, type Moment, type RunStory } from './story.ts';

export type WhyFacts = Omit<EndFacts, 'run'> & {
  readonly now: number;
  readonly state: InstanceState;
  readonly spec: ServiceSpec;
  readonly waitingFor: readonly string[];
  readonly runs: readonly RunStory[];
  /** The rolling restart that was given up last, unless one has worked since. */
  readonly aborted: Moment | null;
  /** While it stops: whether it ignores the signal that it was sent; `null`: that can't be told. */
  readonly isDeaf: boolean | null;
};

/** The run whose end is to be explained: the last that has ended; `null`: none has. */
export function endedRun(runs: readonly RunStory[], state: InstanceState): RunStory | null {
  const { lastExit } = state;
  const ended = runs.filter(hasEnded);
  // Of two that overlap in a rolling restart the one that ended last counts.
  const last = ended.toSorted((a, b) => (endedAt(a) ?? 0) - (endedAt(b) ?? 0)).at(-1);
  return last ?? (lastExit === null ? null : ofState(lastExit));
}

/** Its records are gone: what the state has kept. */
function ofState({ code, signal, by, at }: LastExit): RunStory {
  const exited: Moment = { phase: 'exited', at, exitCode: code, exitSignal: signal };
  const asked: Moment = { phase: 'stop-requested', at, pid: FORGOTTEN, reason: '' };
  const oom: Moment = { phase: 'oom-checked', at, oom: { ...NO_FINDING, verdict: 'yes' } };
  const sent: Moment = { phase: 'signal-sent', at, ...(signal === null ? {} : { signal }) };
  const told = {
    exited,
    ...(by === 'gsup' ? { 'stop-requested': asked, ...(signal === null ? {} : { 'signal-sent': sent }) } : {}),
    ...(by === 'oom' ? { 'oom-checked': oom } : {}),
  };
  return { pid: FORGOTTEN, told, appPhases: [] };
}

/** Why it is as it is. */
export function explain(facts: WhyFacts): Cause {
  const { state, waitingFor } = facts;
  if (waitingFor.length > 0) return waiting(facts);
  switch (state.name) {
    case 'running':
      return running(facts, state);
    case 'starting':
      return starting(facts, state);
    case 'stopping':
      return stopping(facts, state);
    case 'backoff':
    case 'failed':
    case 'exited':
    case 'stopped':
      return down(facts, state);
  }
}

function waiting({ service, waitingFor, spec }: WhyFacts): Cause {
  const [first = ''] = waitingFor;
  const wants = waitingFor.map((name) => `${name} (${spec.dependsOn[name] ?? 'ready'})`).join(', ');
  return {
    kind: 'waiting',
    sentence: `it waits for ${wants}, on which ${service} depends`,
    facts: [],
    next: `gsup why ${first}`,
  };
}

function running(facts: WhyFacts, state: InState<'running'>): Cause {
  const { runs, aborted, now, instance } = facts;
  const run = runs.findLast(({ pid }) => pid === state.pid);
  const since = `it has run for ${formatDuration(now - state.startedAt)}`;
  if (aborted !== null && aborted.at > state.startedAt) return takenBack(facts, aborted, since);
  const ended = endedRun(runs, state);
  const by = run?.told.spawned?.reason;
  // Whatever else asked for it is told with the end of the run before.
  const begun = by !== undefined && /^(gsup |a new daemon$)/.test(by) ? `, started by ${by}` : '';
  if (ended === null) return { kind: 'running', sentence: `${since}${begun}`, facts: readyFacts(run), next: null };
  const end = explainEnd({ ...facts, run: ended });
  const at = endedAt(ended) ?? state.lastExit?.at ?? state.startedAt;
  const when = `${formatDuration(now - at)} ago`;
  const isPlain = end.kind === 'stopped';
  return {
    kind: isPlain ? 'running' : end.kind,
    sentence: `${since}${begun}; the run before it ended ${when}: ${end.sentence}`,
    facts: end.facts,
    next: isPlain ? null : (end.next ?? `gsup events ${instance}`),
  };
}

function takenBack(facts: WhyFacts, aborted: Moment, since: string): Cause {
  const failed = facts.runs.filter(hasEnded).findLast((run) => (run.told.spawned?.at ?? 0) <= aborted.at);
  const end = failed === undefined ? null : explainEnd({ ...facts, run: failed });
  const why = end === null || end.kind === 'stopped' ? (aborted.reason ?? 'unknown') : end.sentence;
  return {
    kind: 'reload-given-up',
    sentence: `${since}; the last rolling restart was given up ${formatDuration(facts.now - aborted.at)} ago, and what served before goes on: ${why}`,
    facts: end?.facts ?? [],
    next: end?.next ?? `gsup events ${facts.service}`,
  };
}

function readyFacts(run: RunStory | undefined): readonly string[] {
  const ready = run?.told.ready;
  return ready?.reason === undefined ? [] : [`ready after ${formatDuration(ready.elapsedMs ?? 0)} (${ready.reason})`];
}

function starting(facts: WhyFacts, state: InState<'starting'>): Cause {
  const { spec, now, service, runs } = facts;
  const { readyBy, checkSays } = state;
  const left = readyBy === null ? '' : `, ${formatDuration(readyBy - now)} are left`;
  const kind = spec.ready?.check.kind;
  const says = checkSays === null ? 'its check has said nothing yet' : `its check says: ${checkSays}`;
  const ended = endedRun(runs, state);
  const before = ended === null ? [] : [`the run before it: ${explainEnd({ ...facts, run: ended }).sentence}`];
  return {
    kind: 'starting',
    sentence: `it runs and is not ready yet (${kind ?? 'no check'}${left}); ${says}`,
    facts: before,
    next: `gsup logs ${service} -f`,
  };
}

function stopping(facts: WhyFacts, state: InState<'stopping'>): Cause {
  const { now, isDeaf, instance } = facts;
  const { rung, reason, deadline, appSays, signal, pid, isAsked } = state;
  const left = deadline === null || state.hasKilled ? '' : `, SIGKILL in ${formatDuration(deadline - now)}`;
  const what = appSays === null ? null : recordMessage(appPhaseRecord(appSays));
  const asked = isAsked ? `it is being stopped (${reason})` : 'it has ended, and what it left is cleared up';
  const survivors = state.survivors.map((one) => `process ${one.pid} is left: ${one.command}`);
  const deaf = isDeaf === true ? [`it ignores ${signal}, as /proc/${pid}/status says`] : [];
  return {
    kind: 'stopping',
    sentence: `${asked}: ${rung}${left}${what === null ? '' : `; it says: ${what}`}`,
    facts: [...deaf, ...survivors],
    next: isDeaf === true ? `set stop.signal to one that it knows; now: gsup signal SIGKILL ${instance}` : null,
  };
}

function down(facts: WhyFacts, state: InState<'backoff' | 'failed' | 'exited' | 'stopped'>): Cause {
  const { runs, service } = facts;
  const ended = endedRun(runs, state);
  if (ended === null) {
    const sentence =
      state.name === 'failed'
        ? `it could not be started: ${state.reason}`
        : 'it was never started, or nothing is recorded of it any more';
    return { kind: 'never-started', sentence, facts: [], next: `gsup start ${service}` };
  }
  return explainEnd({ ...facts, run: ended });
}
