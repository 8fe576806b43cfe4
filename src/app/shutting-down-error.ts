/** The error of work that is refused, or cancelled, because the app is shutting down. */

/**
 * Thrown by `run()`, `worker()` and pools once the shutdown has begun, by `hook()` and `persist()` when nothing would come of them
 * any more, and the reason of aborted signals.
 */
export class ShuttingDownError extends Error {
  override readonly name = 'ShuttingDownError';
  readonly code = 'ERR_SHUTTING_DOWN';
  /** Why the app shuts down. */
  readonly reason: string;

  constructor(reason: string, what = '') {
    super(`${what === '' ? '' : `cannot ${what}: `}the app is shutting down (${reason})`);
    this.reason = reason;
  }

  /** So that the ESM and the CommonJS copy of the library agree. */
  static override [Symbol.hasInstance](value: unknown): boolean {
    return typeof value === 'object' && value !== null && 'code' in value && value.code === 'ERR_SHUTTING_DOWN';
  }
}
