/** The file of what has changed since the state was written whole: a line for each save, behind one that says since which. */
import { closeSync, constants, ftruncateSync, openSync, readFileSync, writeSync } from 'node:fs';
import type { Changes } from './changes.ts';

/** Beside the file of the state. */
export function changesFileOf(file: string): string {
  return `${file}.changes`;
}

/** What an earlier supervisor left in it is in the whole state that this one has begun with. */
const EMPTIED = constants.O_WRONLY | constants.O_APPEND | constants.O_CREAT | constants.O_TRUNC;

export class ChangesFile {
  readonly #path: string;
  #fd: number | null = null;
  #revision = 0;
  #isEmpty = true;

  constructor(path: string) {
    this.#path = path;
  }

  /** Whether nothing has changed since the state was written whole. */
  get isEmpty(): boolean {
    return this.#isEmpty;
  }

  /** For a whole state about to be written: never that of an earlier one, also where that is lost. */
  nextRevision(): number {
    return Math.max(this.#revision + 1, Date.now());
  }

  /** The state is written whole, under this revision: what stood here is in it. */
  begin(revision: number): void {
    this.#revision = revision;
    this.#isEmpty = true;
    try {
      if (this.#fd !== null) ftruncateSync(this.#fd, 0);
    } catch {
      // Lines of another revision count for nothing.
      this.close();
    }
  }

  /** In the hands of the kernel when it returns. @throws when the disk refuses: then the state has to be written whole. */
  append(changes: Changes): void {
    this.#fd ??= openSync(this.#path, EMPTIED, 0o600);
    const head = this.#isEmpty ? `{"revision":${this.#revision}}\n` : '';
    this.#isEmpty = false;
    const bytes = Buffer.from(`${head}${JSON.stringify(changes)}\n`);
    if (writeSync(this.#fd, bytes) < bytes.length) throw new Error('a line was written by half');
  }

  /** What has changed since the state of that revision; the end of a file that broke off with the machine is left out. */
  read(revision: number): readonly Changes[] {
    this.#revision = revision;
    let lines: readonly string[];
    try {
      lines = readFileSync(this.#path, 'utf8').split('\n');
    } catch {
      return [];
    }
    const [head, ...parsed] = wholeLines(lines);
    const isOurs = isMap(head) && head['revision'] === revision;
    return isOurs ? (parsed as readonly Changes[]) : [];
  }

  close(): void {
    if (this.#fd !== null) closeSync(this.#fd);
    this.#fd = null;
  }
}

function wholeLines(lines: readonly string[]): readonly unknown[] {
  const parsed: unknown[] = [];
  for (const line of lines) {
    try {
      parsed.push(JSON.parse(line));
    } catch {
      break;
    }
  }
  return parsed;
}

function isMap(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
