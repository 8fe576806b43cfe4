/** What a drill found: the facts of a rehearsed stop → its report and verdict; pure. */
import { type OuterLimit, stopBudget } from './budget.ts';
import { formatDuration } from './duration.ts';
import { describeExit, type PhaseRecord, type Verdict } from './record.ts';
import type { ServiceSpec } from './service.ts';
import type { SignalName } from './signal.ts';

/** How requests came out. `turnedAway`: a 503 while it stops. `queued`: nobody has taken them, the next instance will. */
export type RequestCounts = {
  readonly answered: number;
  readonly turnedAway: number;
  readonly failed: number;
  readonly lost: number;
  readonly refused: number;
  readonly queued: number;
};

export type LoadFacts = {
  readonly url: string;
  readonly ratePerSecond: number;
  /** Over before the stop was asked for. */
  readonly before: RequestCounts;
  /** Under way at that moment, or sent later. */
  readonly draining: RequestCounts;
  readonly underWay: number;
  /** Sent again on a new connection, because a kept one was closed under them before anything could be read: as clients do (RFC 9110, 9.2.2). */
  readonly retried: number;
  /** Not sent, because too many were waiting for an answer. */
  readonly unsent: number;
  /** Why requests were lost or failed, how often. */
  readonly reasons: Readonly<Record<string, number>>;
};

type Left = { readonly pid: number; readonly command: string };
export type HeldPort = { readonly address: string; readonly pid: number | null; readonly command: string };

export type DrillFacts = {
  /** As the service has it. */
  readonly spec: ServiceSpec;
  readonly instance: string;
  /** Of the spare, in their order; `at` is epoch ms. */
  readonly records: readonly (PhaseRecord & { readonly at: number })[];
  readonly load: LoadFacts | null;
  /** What still lived when the ladder was through. */
  readonly left: readonly Left[];
  readonly ports: readonly HeldPort[];
  readonly outer: OuterLimit | null;
};

export type DrillPhase = {
  readonly name: string;
  /** A rung of the ladder, or what the app says of itself inside it. */
  readonly of: 'ladder' | 'app';
  /** From the request of the stop. */
  readonly atMs: number;
  /** Until the next of its kind, or the end. */
  readonly ms: number;
  readonly pending: Readonly<Record<string, unknown>>;
};

export type DrillReport = {
  readonly service: string;
  readonly instance: string;
  readonly isClean: boolean;
  /** Why it is not, a sentence each. */
  readonly problems: readonly string[];
  readonly verdict: Verdict;
  readonly readyMs: number | null;
  readonly stopMs: number;
  readonly graceMs: number;
  /** Share of the grace period, 0 to 1. */
  readonly graceUsed: number;
  readonly exit: { readonly code: number | null; readonly signal: SignalName | null };
  readonly phases: readonly DrillPhase[];
  readonly requests: LoadFacts | null;
  /** `end`: gone by the stop signal, killed by the ladder, or still there behind it. */
  readonly survivors: readonly (Left & { readonly end: 'signalled' | 'killed' | 'left' })[];
  readonly ports: readonly HeldPort[];
  readonly outer: {
    readonly name: string;
    readonly limitMs: number;
    readonly needMs: number;
    readonly fits: boolean;
  } | null;
};

/** Behind the grace period: SIGKILL, a look for survivors, the end of the output. */
const OUTER_MARGIN_MS = 1_000;

/** The report of one stop that has come to its end. */
export function drillReport(facts: DrillFacts): DrillReport {
  const { spec, instance, records, load, ports } = facts;
  const stopped = records.find(({ phase }) => phase === 'stopped');
  const requestedAt = records.find(({ phase }) => phase === 'stop-requested')?.at ?? 0;
  const exited = records.find(({ phase, at }) => phase === 'exited' && at >= requestedAt);
  const report = {
    service: spec.name,
    instance,
    verdict: stopped?.verdict ?? 'killed',
    readyMs: rounded(records.find(({ phase }) => phase === 'ready')?.elapsedMs),
    stopMs: Math.round((stopped?.at ?? records.at(-1)?.at ?? 0) - requestedAt),
    graceMs: stopped?.graceMs ?? spec.stop.graceMs,
    graceUsed: stopped?.graceUsed ?? 1,
    exit: { code: exited?.exitCode ?? null, signal: exited?.exitSignal ?? null },
    phases: phasesOf(records, requestedAt),
    requests: load,
    survivors: survivorsOf(facts),
    ports,
    outer: outerOf(facts),
  };
  const problems = problemsOf(report, records);
  return { ...report, isClean: problems.length === 0, problems };
}

/** Of several drills; `null`: there were none. */
export function stopTimes(reports: readonly DrillReport[]): { min: number; median: number; max: number } | null {
  const times = reports.map(({ stopMs }) => stopMs).sort((a, b) => a - b);
  const [min, max] = [times[0], times.at(-1)];
  const median = times[Math.floor(times.length / 2)];
  return min === undefined || max === undefined || median === undefined ? null : { min, median, max };
}

export function sentOf(counts: RequestCounts): number {
  return Object.values(counts).reduce((sum, count) => sum + count, 0);
}

type Records = DrillFacts['records'];
type Bare = Omit<DrillReport, 'isClean' | 'problems'>;

function problemsOf(report: Bare, records: Records): readonly string[] {
  const { verdict, graceMs, requests, survivors, ports, outer } = report;
  const kill = records.find(({ phase }) => phase === 'kill-sent');
  const undone = records.flatMap(({ appPhase, pending }) => (appPhase === 'report' ? listIn(pending?.['undone']) : []));
  return [
    ...(kill
      ? [`it did not end within its grace period of ${formatDuration(graceMs)} and was killed${atWhat(kill)}`]
      : []),
    ...(verdict === 'killed' && kill === undefined ? ['what outlived it had to be killed'] : []),
    ...(requests === null ? [] : requestProblems(requests)),
    ...(undone.length === 0 ? [] : [`the app left undone: ${undone.join(', ')}`]),
    ...survivors.map(({ pid, command, end }) => `${pid} (${command}) outlived it${ENDS[end]}`),
    ...ports.map(
      ({ address, pid, command }) =>
        `${address} was still held afterwards${pid === null ? '' : ` by ${pid} (${command})`}`,
    ),
    ...(outer === null || outer.fits ? [] : [outerProblem(outer, report)]),
  ];
}

const ENDS = {
  signalled: ' and ended by its signal',
  killed: ' and had to be killed',
  left: ' and was left by the ladder; the drill has killed it',
};

function requestProblems({ before, draining }: LoadFacts): readonly string[] {
  const lost = before.lost + draining.lost;
  const sent = sentOf(before) + sentOf(draining);
  // What failed before failed for another reason than the stop.
  const failed = before.failed === 0 ? draining.failed : 0;
  return [
    ...(lost === 0 ? [] : [`${lost} of ${sent} requests lost: taken, and never answered`]),
    ...(failed === 0
      ? []
      : [`${failed} ${failed === 1 ? 'request' : 'requests'} failed while it stopped, none before`]),
    ...(before.refused === 0
      ? []
      : [`${before.refused} ${before.refused === 1 ? 'request was' : 'requests were'} refused before the stop`]),
  ];
}

function outerProblem(outer: NonNullable<DrillReport['outer']>, { stopMs }: Bare): string {
  const limit = `${outer.name === 'outer' ? 'the outer limit' : outer.name} of ${formatDuration(outer.limitMs)}`;
  if (stopMs >= outer.limitMs) return `${limit} would have cut this stop, which took ${formatDuration(stopMs)}`;
  return `${limit} would cut a stop that needs all of its time: drain delay, hook, grace and ${formatDuration(OUTER_MARGIN_MS)} for the rest are ${formatDuration(outer.needMs)}`;
}

function outerOf({ spec, outer }: DrillFacts): DrillReport['outer'] {
  if (outer === null) return null;
  const { pathMs } = stopBudget({ services: [{ ...spec, dependsOn: {} }], shutdownTimeoutMs: null });
  const needMs = pathMs + OUTER_MARGIN_MS;
  return { name: outer.name, limitMs: outer.limitMs, needMs, fits: needMs <= outer.limitMs };
}

function atWhat({ appPhase, pending }: PhaseRecord): string {
  if (appPhase === undefined) return '';
  const left = Object.entries(countsIn(pending)).map(
    ([name, value]) => `${name} ${typeof value === 'number' ? value : JSON.stringify(value)}`,
  );
  return `, while the app was at ${appPhase}${left.length === 0 ? '' : ` with ${left.join(', ')}`}`;
}

const INSTANTS: readonly PhaseRecord['phase'][] = ['grace-warning', 'stop-requested', 'stopped'];

/** Each phase goes until the next of the same kind; those of the app end with the leader at the latest. */
function phasesOf(records: Records, requestedAt: number): readonly DrillPhase[] {
  const from = records.filter(({ at, phase }) => at >= requestedAt && phase !== 'ready');
  const end = from.at(-1)?.at ?? requestedAt;
  const exitedAt = from.find(({ phase }) => phase === 'exited')?.at ?? end;
  const rungs = from.filter(({ phase }) => phase !== 'app-phase' && !INSTANTS.includes(phase));
  const said = from.filter(({ phase, appPhase }) => phase === 'app-phase' && appPhase !== 'report');
  // An app tells a phase again when its counts change.
  const told = said.filter(({ appPhase }, index) => said[index - 1]?.appPhase !== appPhase);
  const phases = (all: Records, of: DrillPhase['of'], last: number): DrillPhase[] =>
    all.map(({ phase, appPhase, pending, at }, index) => ({
      name: (of === 'app' ? appPhase : undefined) ?? phase,
      of,
      atMs: Math.round(at - requestedAt),
      ms: Math.max(0, Math.round((all[index + 1]?.at ?? last) - at)),
      pending: countsIn(pending),
    }));
  return [...phases(rungs, 'ladder', end), ...phases(told, 'app', exitedAt)].sort(
    (a, b) => a.atMs - b.atMs || Number(a.of === 'app') - Number(b.of === 'app'),
  );
}

/** What there is none of is not pending. */
function countsIn(pending: PhaseRecord['pending']): Readonly<Record<string, unknown>> {
  const some = Object.entries(pending ?? {}).filter(
    ([, value]) => value !== 0 && !(Array.isArray(value) && value.length === 0),
  );
  return Object.fromEntries(some);
}

function survivorsOf({ records, left }: DrillFacts): DrillReport['survivors'] {
  const found = new Map<number, DrillReport['survivors'][number]>();
  for (const { phase, survivors = [] } of records) {
    const end = phase === 'survivors-killed' ? 'killed' : 'signalled';
    for (const { pid, command } of survivors) found.set(pid, { pid, command, end });
  }
  for (const { pid, command } of left) found.set(pid, { pid, command, end: 'left' });
  return [...found.values()];
}

function rounded(ms: number | undefined): number | null {
  return ms === undefined ? null : Math.round(ms);
}

function listIn(value: unknown): readonly string[] {
  return Array.isArray(value) ? value.map((one) => (typeof one === 'string' ? one : JSON.stringify(one))) : [];
}

/** How the leader ended, for people. */
export function exitText({ exit }: DrillReport): string {
  return describeExit(exit);
}
