/** The phases of a life as they are recorded, and the one sentence that tells each to people. */
import { formatDuration } from './duration.ts';
import type { InstanceName } from './name.ts';
import { describeOom, type OomFinding } from './oom.ts';
import type { SignalName } from './signal.ts';

export type Phase =
  | 'supervisor-started'
  | 'shutdown-started'
  | 'wave-started'
  | 'shutdown-completed'
  | 'spawned'
  | 'adopted'
  | 'ready'
  | 'ready-timeout'
  | 'unhealthy'
  | 'stop-requested'
  | 'draining'
  | 'pre-stop'
  | 'signal-sent'
  | 'app-phase'
  | 'grace-warning'
  | 'kill-sent'
  | 'exited'
  | 'oom-checked'
  | 'survivors-signalled'
  | 'survivors-killed'
  | 'stuck'
  | 'logs-drained'
  | 'stopped'
  | 'rolling-started'
  | 'rolling-step'
  | 'rolling-aborted'
  | 'rolling-completed'
  | 'backoff'
  | 'failed'
  | 'notice'
  | 'ignored';

type Level = 'debug' | 'info' | 'warn' | 'error';
export type Verdict = 'clean' | 'killed';

/** A process of an instance that outlives its leader; `startTicks` tells it from a later one with the same pid. */
export type Survivor = {
  readonly pid: number;
  readonly startTicks: number;
  readonly command: string;
  readonly isInGroup: boolean;
};

/** One phase of one instance, or of the whole. Lengths in ms, `deadline` and `until` in epoch ms. */
export type PhaseRecord = {
  readonly phase: Phase;
  readonly level?: Level;
  readonly service?: string;
  readonly instance?: InstanceName;
  /** Number of its run. */
  readonly run?: number;
  readonly pid?: number | null;
  readonly signal?: SignalName | 'message';
  readonly target?: 'leader' | 'group';
  readonly graceMs?: number;
  readonly deadline?: number;
  readonly elapsedMs?: number;
  readonly remainingMs?: number;
  readonly exitCode?: number | null;
  readonly exitSignal?: SignalName | null;
  readonly reason?: string;
  readonly verdict?: Verdict;
  readonly graceUsed?: number;
  /** Processes that even SIGKILL has not ended: what is called stopped has not stopped. */
  readonly alive?: readonly number[];
  readonly survivors?: readonly { readonly pid: number; readonly command: string }[];
  readonly wave?: number;
  readonly waves?: number;
  readonly instances?: readonly InstanceName[];
  /** The how many-th instance of a rolling restart, of how many. */
  readonly step?: number;
  readonly steps?: number;
  readonly delayMs?: number;
  readonly attempt?: number;
  /** Of how many. */
  readonly limit?: number;
  readonly command?: string;
  readonly isComplete?: boolean;
  readonly appPhase?: string;
  readonly pending?: Readonly<Record<string, unknown>>;
  /** Of a SIGKILL that gsup did not send. */
  readonly oom?: OomFinding;
  /** Of what is spawned: the kind of check that it has to pass to be ready; absent: none. */
  readonly check?: string;
  /** Of the machine, since it was switched on: pids and monotonic times of another boot mean something else. */
  readonly boot?: string;
  readonly version?: string;
};

/** The sentence of a record, without time and instance: `SIGTERM to 812, grace 10s`. */
export function recordMessage(record: PhaseRecord): string {
  return SENTENCES[record.phase](record);
}

/** Whether a word is a phase of gsup's own. */
export function isPhase(word: unknown): word is Phase {
  return typeof word === 'string' && Object.hasOwn(SENTENCES, word);
}

/** What an app said of its own shutdown. */
export function appPhaseRecord({
  appPhase,
  pending,
  pid,
}: Pick<PhaseRecord, 'appPhase' | 'pid'> & { readonly pending: PhaseRecord['pending'] | null }): PhaseRecord {
  return {
    phase: 'app-phase',
    ...(pid == null ? {} : { pid }),
    ...(appPhase === undefined ? {} : { appPhase }),
    ...(pending == null ? {} : { pending }),
  };
}

/** How an exit is told: `exit 1`, `killed by SIGKILL`, `exit unknown`. */
export function describeExit(exit: { readonly code: number | null; readonly signal: SignalName | null }): string {
  if (exit.signal) return `killed by ${exit.signal}`;
  return exit.code === null ? 'exit unknown' : `exit ${exit.code}`;
}

const SENTENCES: Readonly<Record<Phase, (record: PhaseRecord) => string>> = {
  'supervisor-started': (r) => `gsup ${r.version} began as ${r.pid}`,
  'shutdown-started': (r) =>
    `stopping everything: ${r.reason}${r.remainingMs === undefined ? '' : `, ${ms(r.remainingMs)} at most`}`,
  'wave-started': (r) => `wave ${r.wave} of ${r.waves}: ${(r.instances ?? []).join(', ')}`,
  'shutdown-completed': (r) =>
    r.alive !== undefined
      ? `not everything stopped after ${ms(r.elapsedMs)}: ${undying(r.alive)}`
      : `everything stopped ${r.verdict === 'killed' ? 'with SIGKILL needed' : 'cleanly'} in ${ms(r.elapsedMs)}`,
  spawned: (r) => `started as ${r.pid}: ${oneLine(r.command ?? '')}`,
  adopted: (r) => `goes on as ${r.pid} under this supervisor`,
  ready: (r) => `ready after ${ms(r.elapsedMs)}${r.reason ? ` (${r.reason})` : ''}`,
  'ready-timeout': (r) => `not ready within ${ms(r.elapsedMs)} (${r.reason})`,
  unhealthy: (r) => `liveness check failed (${r.attempt} of ${r.limit}): ${r.reason}`,
  'stop-requested': (r) => `stop requested: ${r.reason}, grace ${ms(r.graceMs)}`,
  draining: (r) => `readiness off, still serving for ${ms(r.remainingMs)}`,
  'pre-stop': (r) => `pre-stop hook: ${oneLine(r.command ?? '')}`,
  'signal-sent': (r) => `${r.signal} to ${r.target === 'group' ? 'group ' : ''}${r.pid}, grace ${ms(r.graceMs)}`,
  'app-phase': (r) => (r.appPhase === 'report' ? `report: ${reported(r.pending)}` : `${r.appPhase}${pending(r)}`),
  'grace-warning': (r) => `still there after ${ms(r.elapsedMs)}, SIGKILL in ${ms(r.remainingMs)}`,
  'kill-sent': (r) =>
    `SIGKILL to ${r.target === 'group' ? 'group ' : ''}${r.pid}: ${r.reason}${r.appPhase === undefined ? '' : `; the app was at ${r.appPhase}${pending(r)}`}`,
  exited: (r) => `${describeExit({ code: r.exitCode ?? null, signal: r.exitSignal ?? null })} after ${ms(r.elapsedMs)}`,
  'oom-checked': (r) => describeOom(r.oom),
  'survivors-signalled': (r) => `${r.signal} to ${survivors(r)}, ${ms(r.remainingMs)} left`,
  'survivors-killed': (r) => `SIGKILL to ${survivors(r)}`,
  stuck: (r) => `${r.reason}`,
  'logs-drained': (r) => (r.isComplete === false ? `output still held open by ${r.reason}` : 'output read to its end'),
  stopped: (r) =>
    r.alive !== undefined
      ? `not stopped: ${undying(r.alive)}`
      : `stopped ${r.verdict === 'killed' ? 'with SIGKILL' : 'cleanly'}, ${percent(r.graceUsed)} of grace ${ms(r.graceMs)} used`,
  'rolling-started': (r) => `rolling restart of ${(r.instances ?? []).join(', ')}: ${r.reason}`,
  'rolling-step': (r) => `${r.step} of ${r.steps}: ${r.reason}`,
  'rolling-aborted': (r) => `rolling restart given up: ${r.reason}`,
  'rolling-completed': (r) => `rolling restart done in ${ms(r.elapsedMs)}`,
  backoff: (r) => `${r.reason}; restart ${r.attempt} ${r.delayMs === 0 ? 'at once' : `in ${ms(r.delayMs)}`}`,
  failed: (r) => `failed: ${r.reason}`,
  notice: (r) => `${r.reason}`,
  ignored: (r) => `${r.reason}`,
};

/** What an app still has to do: `requests 3, hook db` (of gsup/app's `names` only what they are); what there is none of is not told, `''`: nothing. */
export function pendingWords(counts: NonNullable<PhaseRecord['pending']>): string {
  return Object.entries(counts)
    .filter(([, value]) => value !== 0 && !(Array.isArray(value) && value.length === 0))
    .map(([name, value]) => (name === 'names' ? wordsOf(value) : `${name} ${wordsOf(value)}`))
    .join(', ');
}

function pending({ pending: counts = {} }: PhaseRecord): string {
  const words = pendingWords(counts);
  return words === '' ? '' : `, pending ${words}`;
}

/** An app's own report; all of it is in the record. */
function reported(report: PhaseRecord['pending'] = {}): string {
  const { exitCode, durationMs, undone, ...others } = report;
  if (typeof durationMs !== 'number') return wordsOf({ ...report });
  const left = Array.isArray(undone) && undone.length > 0 ? `left undone: ${wordsOf(undone)}` : 'nothing left undone';
  return `exit ${wordsOf(exitCode ?? 'unknown')} after ${ms(durationMs)}, ${left}${'errors' in others ? `, errors: ${wordsOf(others['errors'])}` : ''}`;
}

function wordsOf(value: unknown): string {
  if (Array.isArray(value) && value.every((one) => typeof one === 'string')) return value.join(', ');
  return oneLine(typeof value === 'string' ? value : JSON.stringify(value));
}

/** A command line on one line, at most 100 characters. */
function oneLine(text: string): string {
  const line = text.replace(/\s+/g, ' ').trim();
  return line.length > 100 ? `${line.slice(0, 99)}…` : line;
}

function ms(length: number | undefined): string {
  return length === undefined ? 'unknown' : formatDuration(length);
}

function percent(share: number | undefined): string {
  return `${Math.round((share ?? 0) * 100)}%`;
}

function survivors(record: PhaseRecord): string {
  return (record.survivors ?? []).map(({ pid, command }) => `${pid} (${oneLine(command)})`).join(', ');
}

/** Processes that nothing ends: `process 812 did not die of SIGKILL`. */
export function undying(pids: readonly number[]): string {
  return `${pids.length === 1 ? 'process' : 'processes'} ${pids.join(', ')} did not die of SIGKILL`;
}

/** Every phase. */
export const PHASES = Object.keys(SENTENCES) as readonly Phase[];
