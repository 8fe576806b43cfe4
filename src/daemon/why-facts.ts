/** The facts for `gsup why`: the state, the journal, the log and the kernel, each asked once and no more than needed. */

import { readFileSync } from 'node:fs';
import { shownWhy } from '../api/shown.ts';
import type { EndView, InstanceView, WhyView } from '../api/types.ts';
import { stopBudget } from '../core/budget.ts';
import { formatDuration } from '../core/duration.ts';
import type { InstanceRef } from '../core/event.ts';
import { clueOf } from '../core/exit-words.ts';
import { endedRun, explain } from '../core/explain.ts';
import { instanceName } from '../core/name.ts';
import { describeExit, recordMessage } from '../core/record.ts';
import { parseRecorded } from '../core/recorded.ts';
import { maskedCommand, maskedSpec } from '../core/secrets.ts';
import type { ServiceSpec } from '../core/service.ts';
import { signalNumber } from '../core/signal.ts';
import type { InstanceState, StateName } from '../core/state.ts';
import { endedAt, hasEnded, type Moment, type RunStory, runsOf } from '../core/story.ts';
import { findHolder, findListener } from '../host/socket-table.ts';
import { lastLines } from '../logs/reader.ts';
import { systemClock } from '../supervisor/clock.ts';
import { outerLimitOf } from '../supervisor/outer-limit.ts';
import { commandOf } from '../view/service.ts';
import type { Daemon } from './daemon.ts';

/** Records of one instance; a stop with a talkative app has some dozens. */
const MOST_RECORDS = 400;
/** Of the journal: what is older says nothing of now. */
const MOST_FILES = 2;
/** What says why may stand above a long trace. */
const STDERR_LINES = 60;
const SHOWN_LINES = 10;
const ENDS = 5;
/** What is in the pipe at the exit is read after it. */
const LATE_MS = 2_000;

/** What asks most for an explanation comes first. */
const ORDER: readonly StateName[] = ['failed', 'backoff', 'stopping', 'starting', 'exited', 'running', 'stopped'];

/** `api`: of its instances the one that is worst off. @throws {GsupError} 4 for an unknown name. */
export async function why(daemon: Daemon, name: string): Promise<WhyView> {
  const named = daemon.refsOf([name]);
  const views = (await daemon.views(false)).filter(({ spare }) => spare === null);
  const of = worst(named, views);
  const service = daemon.supervisor.state.services[of.service];
  const state = service?.instances[of.index];
  const view = views.find(({ service: other, index }) => other === of.service && index === of.index);
  if (service === undefined || state === undefined || view === undefined) throw new Error(`${name} went away`);
  const secrets = daemon.masking.valuesOf(of.service);
  const spec = maskedSpec(service.spec, secrets);
  const records = await recordsOf(daemon, of);
  const runs = runsOf(records);
  const ended = endedRun(runs, state);
  const stderr = (await lastErrors(daemon, of, ended)).map((line) => maskedCommand(line, secrets));
  const cause = explain({
    service: of.service,
    instance: view.instance,
    now: systemClock.now(),
    state,
    spec,
    waitingFor: view.waitingFor,
    runs,
    aborted: abortedOf(records),
    stderr,
    holder: holderOf(stderr, spec, secrets),
    isNode: isNode(spec, ended),
    isDeaf: isDeaf(state),
  });
  const { shutdownTimeoutMs } = daemon.supervisor.state;
  const found: WhyView = {
    view,
    others: views.filter((one) => one.service === of.service && one !== view),
    since: sinceOf(state, records),
    command: commandOf(spec.program),
    cause,
    ends: runs.filter(hasEnded).slice(-ENDS).map(endOf),
    pending: isSpoken(cause.kind) ? pendingOf(state, runs, ended) : null,
    stderr: isSpoken(cause.kind) ? shownOf(stderr) : [],
    budget: stopBudget({ services: [{ ...service.spec, dependsOn: {} }], shutdownTimeoutMs }),
    outer: await outerLimitOf(process.env),
  };
  return shownWhy(found, secrets);
}

function worst(named: readonly InstanceRef[], views: readonly InstanceView[]): InstanceRef {
  const rank = ({ service, index }: InstanceRef): number => {
    const view = views.find((one) => one.service === service && one.index === index);
    return view === undefined ? ORDER.length : ORDER.indexOf(view.state) - (view.restarts > 0 ? 0.5 : 0);
  };
  const [first] = named.toSorted((a, b) => rank(a) - rank(b));
  if (first === undefined) throw new Error('a name means at least one instance');
  return first;
}

async function recordsOf(daemon: Daemon, { service, index }: InstanceRef): Promise<readonly Moment[]> {
  const name = instanceName(service, index);
  // A line is only parsed when it can be one of them.
  const mark = `"instance":${JSON.stringify(name)}`;
  const ofService = `"service":${JSON.stringify(service)}`;
  const files = daemon.eventFiles().slice(-MOST_FILES);
  const lines = await lastLines(files, 'raw', MOST_RECORDS, ({ line }) => {
    return line.includes(mark) || (line.includes('"phase":"rolling-') && line.includes(ofService));
  });
  return lines.flatMap(({ line }) => {
    const record = parseRecorded(line);
    return record !== null && (record.instance === name || record.phase.startsWith('rolling-')) ? [record] : [];
  });
}

/** Of several that are about others too: what concerns the whole service counts for each. */
function abortedOf(records: readonly Moment[]): Moment | null {
  const last = records.findLast(({ phase }) => phase === 'rolling-aborted' || phase === 'rolling-completed');
  return last?.phase === 'rolling-aborted' ? last : null;
}

async function lastErrors(daemon: Daemon, of: InstanceRef, ended: RunStory | null): Promise<readonly string[]> {
  const until = ended === null ? null : endedAt(ended);
  if (ended === null || until === null) return [];
  const since = ended.told.spawned?.at ?? 0;
  const log = daemon.logOf(of);
  const lines = await lastLines(log.files, log.policy.format, STDERR_LINES, ({ at, stream }) => {
    return stream !== 'stdout' && (at === null || (at >= since - 1 && at <= until + LATE_MS));
  });
  return lines.map(({ line }) => line);
}

/** Who has the port that it says is taken; asked only then, and it is who has it now. */
function holderOf(stderr: readonly string[], spec: ServiceSpec, secrets: readonly string[]) {
  const clue = clueOf(stderr);
  if (clue?.kind !== 'port-held') return null;
  const port = Number(clue.what ?? portOf(spec));
  const inode = Number.isInteger(port) && port > 0 ? findListener({ kind: 'tcp', host: '::', port }) : null;
  const holder = inode === null ? null : findHolder(inode);
  return holder && { ...holder, command: maskedCommand(holder.command, secrets) };
}

function portOf({ ready, env }: ServiceSpec): string | undefined {
  if (ready?.check.kind === 'tcp') return String(ready.check.port);
  if (ready?.check.kind === 'http') return new URL(ready.check.url).port;
  return env['PORT'];
}

function isNode({ program }: ServiceSpec, ended: RunStory | null): boolean {
  const command = ended?.told.spawned?.command ?? commandOf(program);
  return /^\S*\b(node|nodejs)\b/.test(command);
}

/** SigIgn of proc_pid_status(5) is a mask, signal 1 the lowest bit. */
function isDeaf(state: InstanceState): boolean | null {
  if (state.name !== 'stopping' || state.signalledAt === null || state.exit !== null || state.stop.message) return null;
  try {
    const ignored = /^SigIgn:\s*([0-9a-f]+)$/m.exec(readFileSync(`/proc/${state.pid}/status`, 'latin1'))?.[1];
    return ignored === undefined
      ? null
      : ((BigInt(`0x${ignored}`) >> BigInt(signalNumber(state.signal) - 1)) & 1n) === 1n;
  } catch {
    return null;
  }
}

/** Since it is what it is: its start, its last decision, its end. */
function sinceOf(state: InstanceState, records: readonly Moment[]): number | null {
  if (state.name === 'running' || state.name === 'starting') return Math.round(state.startedAt);
  if (state.name === 'stopping') return Math.round(state.askedAt);
  const end = records.findLast(({ phase }) => ['stopped', 'failed', 'backoff', 'exited'].includes(phase));
  return end?.at ?? null;
}

/** Of the stop that goes on, else of the end that is explained. */
function pendingOf(state: InstanceState, runs: readonly RunStory[], ended: RunStory | null): string | null {
  const run = state.name === 'stopping' ? runs.findLast(({ pid }) => pid === state.pid) : ended;
  const last =
    run?.told['kill-sent']?.appPhase === undefined
      ? run?.appPhases.findLast(({ appPhase }) => appPhase !== 'report')
      : run.told['kill-sent'];
  return last === undefined ? null : recordMessage({ ...last, phase: 'app-phase' });
}

function endOf(run: RunStory): EndView {
  const { told, pid } = run;
  const { exited, spawned, backoff, failed } = told;
  const exit =
    exited === undefined
      ? pid === null
        ? 'not started'
        : 'not ended'
      : describeExit({ code: exited.exitCode ?? null, signal: exited.exitSignal ?? null });
  const reason = told['stop-requested']?.reason ?? (backoff ?? failed)?.reason ?? exit;
  return {
    at: endedAt(run) ?? spawned?.at ?? 0,
    pid,
    ranMs: exited?.elapsedMs ?? null,
    exit: told['oom-checked']?.oom?.verdict === 'yes' ? `${exit} (OOM)` : exit,
    // What only says the exit once more is no reason.
    reason: reason.startsWith(exit) ? null : reason,
    outcome: failed !== undefined ? 'given up' : backoff === undefined ? null : againIn(backoff.delayMs ?? 0),
  };
}

function againIn(ms: number): string {
  return ms === 0 ? 'again at once' : `again in ${formatDuration(ms)}`;
}

/** The last ones; where the line that says why is above them, those from it on. */
function shownOf(stderr: readonly string[]): readonly string[] {
  const lines = stderr.filter((line) => line.trim() !== '');
  const from = lines.findIndex((line) => clueOf([line]) !== null);
  const last = Math.max(0, lines.length - SHOWN_LINES);
  return from < 0 || from >= last ? lines.slice(last) : lines.slice(from, from + SHOWN_LINES);
}

/** Of a stop that went as asked its last words explain nothing. */
function isSpoken(kind: string): boolean {
  return !['running', 'stopped', 'completed', 'waiting', 'never-started'].includes(kind);
}
