/** The daemon's HTTP: what the last apply wanted of it, kept beside the state; nothing of it is loaded while nothing is wanted. */
import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import type { HttpSpec } from '../core/service.ts';
import type { HttpListener } from '../http/listener.ts';
import type { Daemon } from './daemon.ts';

export class DaemonHttp {
  readonly #daemon: Daemon;
  readonly #version: string;
  /** It has the token: for nobody but us. */
  readonly #file: string;
  #listener: HttpListener | null = null;
  #isClosed = false;

  constructor(daemon: Daemon, { file, version }: { readonly file: string; readonly version: string }) {
    this.#daemon = daemon;
    this.#file = file;
    this.#version = version;
  }

  /** As it was with the daemon before. */
  async resume(): Promise<void> {
    const spec = this.#kept();
    if (spec !== null) await this.#apply(spec);
  }

  /** From now on, and for the daemons after this one. Why it can't be listened on, or `null`. */
  async take(spec: HttpSpec | null): Promise<string | null> {
    this.#keep(spec);
    return this.#apply(spec);
  }

  /** Answers to the very end: called when everything else is over. */
  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#listener?.close();
  }

  async #apply(spec: HttpSpec | null): Promise<string | null> {
    if (spec === null && this.#listener === null) return null;
    const { listenerFor } = await import('./http-source.ts');
    if (this.#isClosed) return null;
    this.#listener ??= listenerFor(this.#daemon, this.#version);
    return this.#listener.applyPatiently(spec);
  }

  #kept(): HttpSpec | null {
    try {
      return JSON.parse(readFileSync(this.#file, 'utf8'));
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException;
      if (code !== 'ENOENT')
        this.#daemon.notice(`http: ${this.#file} can't be read (${message}); "gsup apply" writes it anew`, 'error');
      return null;
    }
  }

  #keep(spec: HttpSpec | null): void {
    try {
      if (spec === null) rmSync(this.#file, { force: true });
      else {
        writeFileSync(`${this.#file}.new`, `${JSON.stringify(spec)}\n`, { mode: 0o600 });
        renameSync(`${this.#file}.new`, this.#file);
      }
    } catch (error) {
      const why = (error as Error).message;
      this.#daemon.notice(`http: a new daemon will not know of it: ${why}`, 'error');
    }
  }
}
