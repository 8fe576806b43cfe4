/** A length of time that something may take, as an AbortSignal that leaves no timer behind. */

export type Limit = {
  /** Aborted after the time, or with the signal that it was made of. */
  readonly signal: AbortSignal;
  /** Forgets the time and the other signal. */
  end(): void;
};

/** Not AbortSignal.any with AbortSignal.timeout: Node 20 loses such a pair when it collects garbage, and never aborts. */
export function limit(ms: number, outer: AbortSignal): Limit {
  const controller = new AbortController();
  const abort = () => controller.abort();
  const timer = setTimeout(abort, ms);
  outer.addEventListener('abort', abort, { once: true });
  if (outer.aborted) abort();
  return {
    signal: controller.signal,
    end: () => {
      clearTimeout(timer);
      outer.removeEventListener('abort', abort);
    },
  };
}
