/** One run of an instance, as its records come: its start, and its end. */
import type { Draft, RunKey } from './episode.ts';
import { EndDraft } from './history-end.ts';
import { StartDraft } from './history-start.ts';
import type { Recorded } from './recorded.ts';

/** Phases that an app tells outside of every end, at most. */
const MOST_EARLY = 50;

/** Takes the records of one run and hands out each episode as soon as it begins. */
export class RunDrafts {
  readonly #key: RunKey;
  readonly #keep: (draft: Draft) => void;
  #start: StartDraft | null = null;
  #end: EndDraft | null = null;
  /** The last end, over or not: what comes behind it belongs to it. */
  #lastEnd: EndDraft | null = null;
  /** Records of an app that began its own shutdown, for the exit that will follow. */
  #early: { readonly record: Recorded; readonly at: number }[] = [];

  constructor(key: RunKey, keep: (draft: Draft) => void) {
    this.#key = key;
    this.#keep = keep;
  }

  lose(): void {
    for (const draft of [this.#start, this.#end]) if (draft !== null) draft.isLost = true;
  }

  take(record: Recorded, at: number): void {
    switch (record.phase) {
      case 'spawned':
        this.#begin(new StartDraft(this.#key, record, at));
        break;
      case 'ready':
        (this.#start ?? this.#begin(StartDraft.before(this.#key, record, at))).ready(record, at);
        this.#start = null;
        break;
      case 'ready-timeout':
        (this.#start ?? this.#begin(StartDraft.before(this.#key, record, at))).over(
          'not-ready',
          record.reason ?? null,
          at,
        );
        this.#start = null;
        break;
      case 'adopted':
        (this.#end ?? this.#start)?.adopted(at);
        break;
      case 'unhealthy':
        break;
      case 'oom-checked':
        (this.#end ?? this.#lastEnd)?.suspect(record);
        break;
      case 'backoff':
      case 'failed':
        this.#after(record, at);
        break;
      case 'app-phase':
        this.#hear(record, at);
        break;
      default:
        this.#takeEnd(record, at);
    }
  }

  #takeEnd(record: Recorded, at: number): void {
    if (record.phase === 'stop-requested') {
      this.#start?.over('stopped', record.reason ?? null, at);
      const exited = this.#end;
      exited?.cut(at);
      this.#beginEnd('stop', record, at, true);
      if (exited !== null) this.#end?.goOn(exited);
    } else if (record.phase === 'exited') {
      this.#start?.over('exited', null, at);
      if (this.#end === null) this.#beginEnd('exit', record, at, true);
    } else if (this.#end === null) this.#beginEnd('stop', record, at, false);
    this.#start = null;
    const end = this.#end;
    end?.take(record, at);
    if (end?.isOver === true) this.#end = null;
  }

  #beginEnd(kind: 'stop' | 'exit', record: Recorded, at: number, isWhole: boolean): void {
    const early = this.#early;
    this.#early = [];
    // An end that the app has begun by itself begins with its first word of it.
    const [first = { record, at }] = kind === 'exit' ? early : [];
    const backMs = isWhole ? 0 : sinceRequest(record);
    const begin = { at: first.record.at - backMs, axisMs: first.at - backMs };
    const end = new EndDraft({
      ...this.#key,
      kind,
      pid: record.pid ?? null,
      isWhole: isWhole || isSudden(record),
      ...begin,
    });
    for (const news of early) end.hear(news.record, news.at);
    this.#end = end;
    this.#lastEnd = end;
    this.#keep(end);
  }

  /** Within an end it is of that; else it may be the beginning of one that the app has decided by itself. */
  #hear(record: Recorded, at: number): void {
    if (this.#end !== null) {
      this.#end.hear(record, at);
      return;
    }
    if (record.appPhase === 'running') this.#early = [];
    const isEarly = record.appPhase === 'draining' || this.#early.length > 0;
    if (isEarly && this.#early.length < MOST_EARLY) this.#early.push({ record, at });
  }

  /** What the restart policy says: of an end, or of a start that was refused. */
  #after(record: Recorded, at: number): void {
    const isOfEnd = (this.#end ?? this.#lastEnd)?.after(record, at) === true;
    if (!isOfEnd) {
      const start = this.#start ?? this.#begin(StartDraft.before(this.#key, record, at));
      start.over('refused', record.reason ?? null, at);
    }
    this.#start = null;
    this.#end = null;
  }

  #begin(start: StartDraft): StartDraft {
    this.#start = start.isOver ? null : start;
    this.#keep(start);
    return start;
  }
}

/** How long before it the stop was asked for, where the record says. */
function sinceRequest({ phase, elapsedMs = 0 }: Recorded): number {
  return phase === 'stopped' || phase === 'signal-sent' ? elapsedMs : 0;
}

/** A stop of what was not there yet: its end is all that there is of it. */
function isSudden({ phase, elapsedMs, pid }: Recorded): boolean {
  return phase === 'stopped' && elapsedMs === undefined && pid === undefined;
}
