/** HTTP of `gsup run -c FILE`: what serves is loaded when its file wants it, and not before. */
import type { Told } from '../api/types.ts';
import type { InstanceRef } from '../core/event.ts';
import type { HttpSpec } from '../core/service.ts';
import type { StreamName } from '../host/host.ts';
import type { HttpListener } from '../http/listener.ts';
import { systemClock } from '../supervisor/clock.ts';
import type { Journal } from '../supervisor/journal.ts';
import type { Masking } from '../supervisor/masking.ts';
import type { Supervisor } from '../supervisor/supervisor.ts';
import type { RecentLines } from './recent-lines.ts';

export type RunHttpOptions = {
  readonly journal: Journal;
  readonly version: string;
  readonly file: string | null;
  readonly masking: Masking;
  supervisor(): Supervisor;
  onChange(callback: () => void): () => void;
};

export class RunHttp {
  readonly #options: RunHttpOptions;
  readonly #recordListeners = new Set<(record: Told) => void>();
  #listener: HttpListener | null = null;
  #recent: RecentLines | null = null;

  constructor(options: RunHttpOptions) {
    this.#options = options;
  }

  /** The journal, with those who count; nothing secret goes into it. */
  get journal(): Journal {
    const { journal, masking } = this.#options;
    return {
      write: (told, at) => {
        const record = masking.record(told);
        journal.write(record, at);
        if (record.level === 'debug') return;
        for (const listener of this.#recordListeners) listener({ ...record, at: Math.round(at) });
      },
      close: () => journal.close(),
    };
  }

  /** A line that an instance has written. */
  readonly onLine = (of: InstanceRef, stream: StreamName, line: Buffer): void => this.#recent?.push(of, stream, line);

  /** At the start. @throws {GsupError} when it can't be listened on. */
  async open(spec: HttpSpec | null): Promise<void> {
    if (spec !== null) await (await this.#load()).apply(spec);
  }

  /** As the file says now; what can't be listened on is told and tried again. */
  async take(spec: HttpSpec | null): Promise<void> {
    if (spec === null && this.#listener === null) return;
    await (await this.#load()).applyPatiently(spec);
  }

  /** Answers to the very end. */
  async close(): Promise<void> {
    await this.#listener?.close();
  }

  async #load(): Promise<HttpListener> {
    if (this.#listener !== null) return this.#listener;
    const { listenerFor, RecentLines: Recent } = await import('./run-http.ts');
    const { version, file, supervisor, masking, onChange, journal } = this.#options;
    this.#recent = new Recent();
    this.#listener = listenerFor({
      supervisor: supervisor(),
      version,
      file: file ?? '',
      recent: this.#recent,
      masking,
      onChange,
      onRecord: (callback) => {
        this.#recordListeners.add(callback);
        return () => this.#recordListeners.delete(callback);
      },
      notice: (reason, level) => journal.write({ phase: 'notice', level, reason }, systemClock.now()),
    });
    return this.#listener;
  }
}
