/** The one clock and the only timers: epoch ms that never jump, for the wall clock is read once. */

export type Clock = {
  now(): number;
  /** Calls back after `ms`; the result cancels. */
  after(ms: number, callback: () => void): () => void;
};

/** The system's monotonic clock, on the epoch of the process's start. */
export const systemClock: Clock = {
  now: () => performance.timeOrigin + performance.now(),
  after(ms, callback) {
    const timer = setTimeout(callback, ms);
    return () => clearTimeout(timer);
  },
};

/** A difference of less is how the two clocks are read, not a clock that was set. */
const JUMP_MS = 100;
/** From the clock's ms to those of CLOCK_MONOTONIC, which every process of one boot reads alike. */
const TO_MONOTONIC = monotonicNow() - systemClock.now();
/** By how much the wall clock was set since this process began. */
let setByMs = 0;

/** A moment of the system's clock as it is written down: `time` by the wall clock as it is set now (epoch ms), `mono` by the monotonic one (ms). */
export function momentsOf(at: number): { readonly time: number; readonly mono: number } {
  const nowSetByMs = Date.now() - systemClock.now();
  if (Math.abs(nowSetByMs - setByMs) > JUMP_MS) setByMs = nowSetByMs;
  return { time: Math.round(at + setByMs), mono: Math.round((at + TO_MONOTONIC) * 10) / 10 };
}

function monotonicNow(): number {
  const [seconds, nanoseconds] = process.hrtime();
  return seconds * 1000 + nanoseconds / 1e6;
}
