/** Shutdowns inside the process of a test: every phase can be waited for, and the signals are given back. */
import type { ServerResponse } from 'node:http';
import {
  createShutdown,
  type LogRecord,
  type Phase,
  type Shutdown,
  type ShutdownOptions,
} from '../../src/app/index.ts';
import { News } from './news.ts';

/** A shutdown and what it has told. */
export class Watched implements Disposable {
  readonly shutdown: Shutdown;
  readonly records = new News<LogRecord>();

  constructor(options: ShutdownOptions = {}) {
    this.shutdown = createShutdown({ timeout: '10s', logger: this.records.tell, ...options });
  }

  /** Resolves when it is in this phase. */
  async entered(phase: Phase): Promise<void> {
    await this.records.until((all) => all.some((record) => record['phase'] === phase));
  }

  [Symbol.dispose](): void {
    this.shutdown.dispose();
  }
}

/** A request listener whose answers the test gives. */
export class Held {
  readonly #responses = new News<ServerResponse>();
  readonly handle = (_request: unknown, response: ServerResponse): void => this.#responses.tell(response);

  get count(): number {
    return this.#responses.all.length;
  }

  /** The response of the n-th request, as soon as it is there. */
  async nth(n: number): Promise<ServerResponse> {
    const response = (await this.#responses.until((all) => all.length >= n))[n - 1];
    if (response === undefined) throw new Error(`no response ${n}`);
    return response;
  }
}
