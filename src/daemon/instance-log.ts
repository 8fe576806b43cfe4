/** The log of an instance: one file, whichever of its two places writes to it, and those who wait for it to grow. */
import type { LogPolicy } from '../core/service.ts';
import { LogFile } from '../logs/log-file.ts';

export type InstanceLogOptions = {
  readonly path: string;
  readonly policy: LogPolicy;
  now(): number;
};

export class InstanceLog {
  /** The one that is written. */
  readonly path: string;
  readonly #now: () => number;
  readonly #followers = new Set<() => void>();
  #policy: LogPolicy;
  #bytes = 0;
  #droppedBytes = 0;
  #file: LogFile;

  constructor({ path, policy, now }: InstanceLogOptions) {
    this.path = path;
    this.#now = now;
    this.#policy = policy;
    this.#file = this.#newFile();
  }

  get policy(): LogPolicy {
    return this.#policy;
  }

  get file(): LogFile {
    return this.#file;
  }

  /** All there are, oldest first. */
  get files(): readonly string[] {
    return this.#file.files();
  }

  /** What has been written since this process began, and what could not be. */
  get logged(): { readonly bytes: number; readonly droppedBytes: number } {
    return { bytes: this.#bytes, droppedBytes: this.#droppedBytes };
  }

  /** From now on. */
  setPolicy(policy: LogPolicy): void {
    if (JSON.stringify(policy) === JSON.stringify(this.#policy)) return;
    this.#policy = policy;
    this.#file.close();
    this.#file = this.#newFile();
  }

  write(bytes: Buffer): void {
    this.#file.write(bytes);
    if (this.#file.isFailing === null) this.#bytes += bytes.length;
    else this.#droppedBytes += bytes.length;
    for (const callback of this.#followers) callback();
  }

  /** Called whenever the file has grown; the result ends it. */
  follow(callback: () => void): () => void {
    this.#followers.add(callback);
    return () => this.#followers.delete(callback);
  }

  /** Opens the file anew, after somebody has moved it. */
  reopen(): void {
    this.#file.reopen();
  }

  close(): void {
    this.#file.close();
  }

  #newFile(): LogFile {
    return new LogFile({ path: this.path, policy: this.#policy, now: this.#now });
  }
}
