/** The last stops of each service: those of this daemon as they come, those of before read from the journal when somebody asks first. */
import type { PhaseRecord } from '../core/record.ts';
import { type StopSample, type StopTimes, stopSample, stopTimesOf, withSample } from '../core/stop-times.ts';

/** From the first list to the reading of the journal. */
const RECALL_AFTER_MS = 500;

/** Keeps them in memory: asking costs a look into a map. */
export class StopLog {
  readonly #files: () => readonly string[];
  readonly #beganAt: number;
  readonly #samples = new Map<string, readonly StopSample[]>();
  readonly #times = new Map<string, StopTimes | null>();
  #past: Promise<void> | null = null;
  #timer: NodeJS.Timeout | null = null;

  /** `beganAt`: by the wall clock; what the journal has of later is heard of. */
  constructor(files: () => readonly string[], beganAt: number) {
    this.#files = files;
    this.#beganAt = beganAt;
  }

  take(record: PhaseRecord): void {
    const sample = record.service === undefined ? null : stopSample(record);
    if (sample === null || record.service === undefined) return;
    this.#samples.set(record.service, withSample(this.#samples.get(record.service) ?? [], sample));
    this.#times.delete(record.service);
  }

  /** As far as is known now; the past is read behind the back of who asks first. */
  of(service: string): StopTimes | null {
    this.#recallSoon();
    const known = this.#times.get(service);
    if (known !== undefined) return known;
    const times = stopTimesOf(this.#samples.get(service) ?? []);
    this.#times.set(service, times);
    return times;
  }

  forget(service: string): void {
    this.#samples.delete(service);
    this.#times.delete(service);
  }

  /** Resolves when the stops of daemons before are known too. */
  recall(): Promise<void> {
    this.#past ??= this.#recallOnce().catch((error: unknown) => {
      // The next call tries again.
      this.#past = null;
      throw error;
    });
    return this.#past;
  }

  /** When whoever asks has been answered. */
  #recallSoon(): void {
    if (this.#past !== null || this.#timer !== null) return;
    this.#timer = setTimeout(() => void this.recall().catch(() => {}), RECALL_AFTER_MS).unref();
  }

  async #recallOnce(): Promise<void> {
    const { readStops } = await import('./history.ts');
    const before = new Map<string, readonly StopSample[]>();
    for (const { at, service = '', ...record } of await readStops(this.#files())) {
      const sample = at < this.#beganAt ? stopSample(record) : null;
      if (sample !== null) before.set(service, withSample(before.get(service) ?? [], sample));
    }
    for (const [service, samples] of before) {
      const all = (this.#samples.get(service) ?? []).reduce(withSample, samples);
      this.#samples.set(service, all);
      this.#times.delete(service);
    }
  }
}
