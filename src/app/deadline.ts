/** The moment by which a shutdown has to be over, and waits that end before it. */
import { parseDuration } from '../core/duration.ts';

/** Without a timeout and without gsup. */
const DEFAULT_TIMEOUT_MS = 10_000;
/** The supervisor has to see the end before its own deadline. */
const MARGIN = { share: 0.1, leastMs: 500 };
/** What each later step is sure to get of a step that takes all it can. */
const KEPT = { share: 0.1, mostMs: 1000 };

export type Limits = {
  /** A ceiling of its own, in ms. */
  readonly ownMs?: number | undefined;
  /** How many steps come after it, under the same deadline. */
  readonly later?: number;
  /** How many come after those, under the deadline that this one is a part of. */
  readonly after?: number;
};

/** A moment that can come nearer, never go away. */
export class Deadline {
  readonly #began = performance.now();
  #at: number;
  readonly #whole: Deadline | null;
  readonly #rearm = new Set<() => void>();

  /** `whole`: what it is a part of. */
  constructor(ms: number, whole: Deadline | null = null) {
    this.#at = this.#began + ms;
    this.#whole = whole;
  }

  /** From the beginning, in ms. */
  get totalMs(): number {
    return Math.round(this.#at - this.#began);
  }

  get elapsedMs(): number {
    return Math.round(performance.now() - this.#began);
  }

  get leftMs(): number {
    return Math.max(0, this.#at - performance.now());
  }

  /** At most `ms` from now. */
  shorten(ms: number): void {
    const at = performance.now() + Math.max(0, ms);
    // Also of what is no number.
    if (!(at < this.#at)) return;
    this.#at = at;
    for (const rearm of [...this.#rearm]) rearm();
  }

  /** A nearer one of a part of the work: shortened with this one. */
  child(ms = Number.POSITIVE_INFINITY): Deadline {
    const child = new Deadline(Math.min(ms, this.leftMs), this);
    this.#rearm.add(() => child.shorten(this.leftMs));
    return child;
  }

  /** How long a step may take that begins now. */
  share({ ownMs = Number.POSITIVE_INFINITY, later = 0, after = 0 }: Limits = {}): number {
    return Math.min(ownMs, this.#leave(later), (this.#whole ?? this).#leave(later + after));
  }

  /** What is left of it when so many steps get their share. */
  #leave(steps: number): number {
    const left = this.leftMs;
    return left - Math.min(left / 2, steps * Math.min(KEPT.mostMs, left * KEPT.share));
  }

  /** Whether `work` ends in time; rejects when it does. What is late goes on, and its failure is nobody's. */
  inTime(work: PromiseLike<unknown>, limits: Limits = {}): Promise<boolean> {
    const began = performance.now();
    return new Promise((resolve, reject) => {
      let timer: NodeJS.Timeout | undefined;
      const end = (): void => {
        clearTimeout(timer);
        this.#rearm.delete(arm);
      };
      const arm = (): void => {
        clearTimeout(timer);
        const spent = performance.now() - began;
        const ownMs = limits.ownMs === undefined ? undefined : Math.max(0, limits.ownMs - spent);
        timer = setTimeout(
          () => {
            end();
            resolve(false);
          },
          this.share({ ...limits, ownMs }),
        );
      };
      this.#rearm.add(arm);
      arm();
      work.then(
        () => {
          end();
          resolve(true);
        },
        (error: unknown) => {
          end();
          reject(error);
        },
      );
    });
  }
}

/** The length of a whole shutdown: the smaller of the app's own timeout and the supervisor's grace period less a margin. */
export function shutdownMs(ownMs: number | undefined, environment: NodeJS.ProcessEnv): number {
  const graceMs = parseDuration(environment['GSUP_GRACE_MS'] ?? '');
  if (graceMs === null) return ownMs ?? DEFAULT_TIMEOUT_MS;
  return Math.min(ownMs ?? Number.POSITIVE_INFINITY, withinGrace(graceMs));
}

/** What an app may take of a grace period; of a very short one a fifth. */
export function withinGrace(graceMs: number): number {
  return Math.max(graceMs - Math.max(graceMs * MARGIN.share, MARGIN.leastMs), graceMs / 5);
}

/** Milliseconds of what a user wrote. */
export function durationOf(name: string, value: string | number): number {
  const ms = parseDuration(value);
  if (ms === null) throw new TypeError(`${name}: "${value}" is no duration; write 500ms, 10s, 1m30s or milliseconds`);
  return ms;
}
