/** The start of one run, as its records come. */
import type { Draft, RunKey, StartEpisode } from './episode.ts';
import type { Recorded } from './recorded.ts';

/** A start under way. */
export class StartDraft implements Draft {
  readonly #key: RunKey;
  readonly #at: number;
  readonly #axisMs: number;
  readonly #isWhole: boolean;
  readonly #pid: number | null;
  readonly #command: string | null;
  readonly #check: string | null;
  readonly #adoptedMs: number[] = [];
  #outcome: StartEpisode['outcome'] = null;
  #reason: string | null = null;
  #ms: number | null = null;
  isLost = false;

  constructor(key: RunKey, record: Recorded, at: number, { backMs = 0, isWhole = true } = {}) {
    this.#key = key;
    this.#at = record.at - backMs;
    this.#axisMs = at - backMs;
    this.#isWhole = isWhole;
    this.#pid = record.pid ?? null;
    this.#command = record.phase === 'spawned' ? (record.command ?? null) : null;
    this.#check = record.check ?? null;
    if (record.phase === 'spawned' && this.#check === null) this.over('started', null, at);
  }

  /** One of which only a later record is there: its length leads back to the beginning. */
  static before(key: RunKey, record: Recorded, at: number): StartDraft {
    const isRefusal = record.phase === 'backoff' || record.phase === 'failed';
    return new StartDraft(key, record, at, { backMs: isRefusal ? 0 : (record.elapsedMs ?? 0), isWhole: isRefusal });
  }

  get isOver(): boolean {
    return this.#outcome !== null;
  }

  ready(record: Recorded, at: number): void {
    this.over('ready', record.reason ?? null, at);
  }

  over(outcome: StartEpisode['outcome'], reason: string | null, at: number): void {
    this.#outcome = outcome;
    this.#reason = reason;
    this.#ms = Math.max(0, at - this.#axisMs);
  }

  adopted(at: number): void {
    this.#adoptedMs.push(Math.max(0, at - this.#axisMs));
  }

  episode(): StartEpisode {
    return {
      kind: 'start',
      ...this.#key,
      pid: this.#pid,
      at: this.#at,
      axisMs: this.#axisMs,
      ms: this.#ms,
      isWhole: this.#isWhole,
      isLost: this.isLost,
      adoptedMs: this.#adoptedMs,
      command: this.#command,
      check: this.#check,
      outcome: this.#outcome,
      reason: this.#reason,
    };
  }
}
