/** The end of one run, as its records come: rungs of the ladder, the app's phases inside of them, the verdict. */
import type { Afterwards, AppBar, Draft, EndEpisode, RungBar, RunKey } from './episode.ts';
import { asMap, HookBars } from './history-hooks.ts';
import type { PhaseRecord } from './record.ts';
import type { Recorded } from './recorded.ts';

type Beginning = RunKey & {
  readonly kind: EndEpisode['kind'];
  readonly pid: number | null;
  readonly at: number;
  readonly axisMs: number;
  readonly isWhole: boolean;
};

type Open<T extends { readonly toMs: number | null }> = { -readonly [K in keyof T]: T[K] };

/** What the restart policy says comes in the same turn. */
const AFTERWARDS_WITHIN_MS = 1_000;

/** A stop, or the clearing up behind a run that ended by itself, under way. */
export class EndDraft implements Draft {
  readonly #begin: Beginning;
  readonly #rungs: Open<RungBar>[] = [];
  readonly #app: Open<AppBar>[] = [];
  readonly #adoptedMs: number[] = [];
  readonly #survivors = new Map<number, EndEpisode['survivors'][number]>();
  readonly #hooks = new HookBars();
  #report: Readonly<Record<string, unknown>> = {};
  #graceMs: number | null = null;
  #graceFromMs: number | null = null;
  #reason: string | null = null;
  #warnedMs: number | null = null;
  #exit: EndEpisode['exit'] = null;
  #ranMs: number | null = null;
  #oom: EndEpisode['oom'] = null;
  #killed: EndEpisode['killed'] = null;
  #stuck: string | null = null;
  #hasAllOutput = true;
  #verdict: EndEpisode['verdict'] = null;
  #graceUsed: number | null = null;
  #afterwards: Afterwards | null = null;
  #ms: number | null = null;
  isLost = false;
  isOver = false;

  constructor(begin: Beginning) {
    this.#begin = begin;
  }

  /** One record of the ladder; what is entered leaves what was before. */
  take(record: Recorded, at: number): void {
    const ms = this.#msAt(at);
    if (record.graceMs !== undefined) this.#graceMs = record.graceMs;
    switch (record.phase) {
      case 'stop-requested':
        this.#reason = record.reason ?? null;
        break;
      case 'grace-warning':
        this.#warnedMs = ms;
        break;
      case 'stuck':
        this.#stuck = record.reason ?? '';
        break;
      case 'logs-drained':
        this.#drained(record, ms);
        break;
      case 'stopped':
        this.#stopped(record, ms);
        break;
      case 'exited':
        this.#exited(record, ms);
        break;
      default:
        this.#climb(record, ms);
    }
  }

  /** A line of the app: one of its phases, or its report at the end. */
  hear(record: Recorded, at: number): void {
    const { appPhase = '', pending = null } = record;
    const ms = this.#msAt(at);
    this.#hooks.hear(pending, ms);
    if (appPhase === 'report') {
      this.#report = asMap(pending);
      leave(this.#app, ms);
      return;
    }
    const last = this.#app.at(-1);
    // The same once more has other counts.
    if (last?.phase === appPhase && last.toMs === null) {
      last.pending = pending;
      return;
    }
    leave(this.#app, ms);
    this.#app.push({ phase: appPhase, fromMs: ms, toMs: null, pending });
  }

  /** A look at a SIGKILL that gsup did not send; it may come when all is over. */
  suspect({ oom }: Recorded): void {
    this.#oom = oom ?? null;
  }

  adopted(at: number): void {
    this.#adoptedMs.push(this.#msAt(at));
  }

  /** It had ended by itself, and was asked to stop while that was cleared up. */
  goOn(before: EndDraft): void {
    this.#ranMs = before.#ranMs;
    if (before.#exit !== null) this.#exit = { ...before.#exit, atMs: 0 };
    for (const [pid, survivor] of before.#survivors) this.#survivors.set(pid, survivor);
    const last = before.#rungs.at(-1);
    if (last !== undefined) this.#rungs.push({ ...last, fromMs: 0, toMs: null });
    if (before.#graceMs !== null) this.#graceFromMs = 0;
  }

  /** Over without a word of its own. */
  cut(at: number): void {
    this.#end(this.#msAt(at));
  }

  /** What the restart policy says; of an end of long ago it says nothing. */
  after(record: Recorded, at: number): boolean {
    const { phase, reason = null, delayMs = 0, attempt = null } = record;
    const ms = this.#msAt(at);
    if (this.#afterwards !== null || (this.#ms !== null && ms - this.#ms > AFTERWARDS_WITHIN_MS)) return false;
    this.#afterwards = phase === 'failed' ? { kind: 'failed', reason } : { kind: 'backoff', delayMs, attempt, reason };
    if (this.#ms === null) this.#end(ms);
    return true;
  }

  episode(): EndEpisode {
    const { at, axisMs, isWhole, kind, pid, service, instance, run } = this.#begin;
    const graceMs = this.#graceMs;
    const grace = graceMs === null || this.#graceFromMs === null ? null : { fromMs: this.#graceFromMs, ms: graceMs };
    return {
      kind,
      service,
      instance,
      run,
      pid,
      at,
      axisMs,
      ms: this.#ms,
      isWhole,
      isLost: this.isLost,
      adoptedMs: this.#adoptedMs,
      reason: this.#reason,
      rungs: this.#rungs,
      grace,
      warnedMs: this.#warnedMs,
      app: this.#app,
      appSteps: this.#hooks.steps(this.#report, this.#app),
      undone: texts(this.#report['undone']),
      exit: this.#exit,
      ranMs: this.#ranMs,
      oom: this.#oom,
      killed: this.#killed,
      survivors: [...this.#survivors.values()],
      stuck: this.#stuck,
      hasAllOutput: this.#hasAllOutput,
      verdict: this.#verdict,
      graceUsed: this.#graceUsed,
      afterwards: this.#afterwards,
    };
  }

  #climb(record: Recorded, ms: number): void {
    const { signal = null, target = null } = record;
    const rung = rungOf(record.phase);
    if (rung === null) return;
    this.#enter({ rung, fromMs: ms, toMs: null, signal, target, reason: record.reason ?? record.command ?? null });
    if (rung === 'signal-sent') this.#graceFromMs ??= ms;
    if (rung === 'kill-sent') this.#kill(record, ms);
    for (const { pid, command } of record.survivors ?? [])
      this.#survivors.set(pid, { pid, command, isKilled: rung === 'survivors-killed' });
  }

  #kill(record: PhaseRecord, atMs: number): void {
    const { reason = null, appPhase = null, pending = null } = record;
    // A new supervisor may have sent it once more.
    this.#killed ??= { atMs, reason, appPhase, pending };
    const last = this.#app.at(-1);
    if (pending !== null && last !== undefined) last.pending = pending;
  }

  #exited(record: PhaseRecord, ms: number): void {
    const { exitCode = null, exitSignal = null, elapsedMs = null } = record;
    this.#ranMs = elapsedMs;
    this.#exit = { code: exitCode, signal: exitSignal, atMs: ms };
    leave(this.#app, ms);
    this.#hooks.end(ms);
    this.#enter({ rung: 'exited', fromMs: ms, toMs: null, signal: null, target: null, reason: null });
    // The grace of what outlives a leader that ended by itself runs from there.
    if (this.#begin.kind === 'exit') this.#graceFromMs = ms;
  }

  #drained({ isComplete }: PhaseRecord, ms: number): void {
    this.#hasAllOutput = isComplete !== false;
    const last = this.#rungs.at(-1);
    // Its record comes at its end: that it began was told by the exit, where nothing came between.
    if (last?.rung === 'exited' && last.toMs === null) last.rung = 'logs-drained';
    leave(this.#rungs, ms);
    if (this.#begin.kind === 'exit') this.#end(ms);
  }

  #stopped(record: PhaseRecord, ms: number): void {
    const { verdict = null, graceUsed = null, exitCode, exitSignal } = record;
    this.#verdict = verdict;
    this.#graceUsed = graceUsed;
    if (exitCode !== undefined || exitSignal !== undefined)
      this.#exit ??= { code: exitCode ?? null, signal: exitSignal ?? null, atMs: ms };
    this.#end(ms);
  }

  /** A new supervisor enters the rung once more on which the one before it stood. */
  #enter(bar: RungBar): void {
    const last = this.#rungs.at(-1);
    if (last?.rung === bar.rung && last.toMs === null) return;
    leave(this.#rungs, bar.fromMs);
    this.#rungs.push({ ...bar });
  }

  #end(ms: number): void {
    leave(this.#rungs, ms);
    leave(this.#app, ms);
    this.#hooks.end(ms);
    this.#ms = ms;
    this.isOver = true;
  }

  #msAt(at: number): number {
    return Math.max(0, Math.round((at - this.#begin.axisMs) * 10) / 10);
  }
}

const RUNGS: readonly string[] = [
  'draining',
  'pre-stop',
  'signal-sent',
  'kill-sent',
  'survivors-signalled',
  'survivors-killed',
] satisfies RungBar['rung'][];

function rungOf(phase: string): RungBar['rung'] | null {
  return RUNGS.includes(phase) ? (phase as RungBar['rung']) : null;
}

function leave(bars: { toMs: number | null }[], ms: number): void {
  const last = bars.at(-1);
  if (last !== undefined) last.toMs ??= ms;
}

function texts(value: unknown): readonly string[] {
  return Array.isArray(value) ? value.filter((one) => typeof one === 'string') : [];
}
