/** The one clock and the only timers: epoch ms that never jump, for the wall clock is read once. */

export type Clock = {
  now(): number;
  /** Calls back after `ms`; the result cancels. */
  after(ms: number, callback: () => void): () => void;
};

/** By how much the clock of this process differs from the one that it continues. */
let continuedByMs = 0;

/** The system's monotonic clock, as epoch ms by the wall clock at the start of this process, or of the one that it continues. */
export const systemClock: Clock = {
  now: () => performance.timeOrigin + performance.now() + continuedByMs,
  after(ms, callback) {
    const timer = setTimeout(callback, ms);
    return () => clearTimeout(timer);
  },
};

/** A difference of less is how the two clocks are read, not a clock that was set. */
const JUMP_MS = 100;
/** The clock's time at zero of CLOCK_MONOTONIC, which is the same for every process of one boot. */
let base = systemClock.now() - monotonicNow();
/** By how much the wall clock was set since this process began. */
let setByMs = 0;

/** A moment of the system's clock as it is written down: `time` by the wall clock as it is set now (epoch ms), `mono` by the monotonic one (ms). */
export function momentsOf(at: number): { readonly time: number; readonly mono: number } {
  const nowSetByMs = Date.now() - systemClock.now();
  if (Math.abs(nowSetByMs - setByMs) > JUMP_MS) setByMs = nowSetByMs;
  return { time: Math.round(at + setByMs), mono: Math.round((at - base) * 10) / 10 };
}

/** By how much the wall clock was set since this process started: ms to add to a moment of the system's clock before it is shown. */
export function clockSetByMs(): number {
  return momentsOf(0).time;
}

/** What the next process needs to continue this clock: epoch ms at zero of CLOCK_MONOTONIC. */
export function clockBase(): number {
  return base;
}

/** Continues the clock of an earlier process of the same boot, so that its moments stay comparable when the wall clock was set since. */
export function continueClock(earlierBase: number): void {
  continuedByMs += earlierBase - base;
  base = earlierBase;
}

function monotonicNow(): number {
  const [seconds, nanoseconds] = process.hrtime();
  return seconds * 1000 + nanoseconds / 1e6;
}
