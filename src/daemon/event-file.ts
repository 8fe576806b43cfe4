/** events.ndjson: the records of every daemon of a home, in files that are bounded. */
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import type { PhaseRecord } from '../core/record.ts';
import { DEFAULT_LOGS } from '../core/service.ts';
import { LogFile } from '../logs/log-file.ts';
import { systemClock } from '../supervisor/clock.ts';
import { openJournal } from '../supervisor/journal.ts';

/** 10 MB, and four rotated files: some 200,000 records. */
const POLICY = { ...DEFAULT_LOGS, format: 'raw', maxSizeBytes: 10_000_000, maxFiles: 5 } as const;
const NEWLINE = 0x0a;

/** Takes records one at a time; what can't be written is dropped, as everything of a full disk. */
export class EventFile {
  readonly #file: LogFile;
  readonly #journal: ReturnType<typeof openJournal>;

  /** Nothing is opened before the first record. */
  constructor(path: string, level: string) {
    this.#file = new LogFile({ path, policy: POLICY, now: () => systemClock.now() });
    if (isTorn(path)) this.#file.write(Buffer.from('\n'));
    const write = (line: string) => this.#file.write(Buffer.from(line));
    this.#journal = openJournal({ level, sink: { write, close: () => Promise.resolve() } });
  }

  write(record: PhaseRecord, at: number): void {
    this.#file.rotateIfDue();
    this.#journal.write(record, at);
  }

  /** Oldest first. */
  get files(): readonly string[] {
    return this.#file.files();
  }

  reopen(): void {
    this.#file.reopen();
  }

  async close(): Promise<void> {
    await this.#journal.close();
    this.#file.close();
  }
}

/** The files of a home in which no daemon runs, oldest first. */
export function eventFilesAt(path: string): readonly string[] {
  return new LogFile({ path, policy: POLICY, now: () => systemClock.now() }).files();
}

/** The last line was not written to its end, by a machine or a disk that gave up: the next record begins on its own line. */
function isTorn(path: string): boolean {
  let fd: number;
  try {
    fd = openSync(path, 'r');
  } catch {
    // Absent, or not readable: the first write will tell.
    return false;
  }
  try {
    const { size } = fstatSync(fd);
    const last = Buffer.alloc(1);
    return size > 0 && readSync(fd, last, 0, 1, size - 1) === 1 && last[0] !== NEWLINE;
  } finally {
    closeSync(fd);
  }
}
