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
