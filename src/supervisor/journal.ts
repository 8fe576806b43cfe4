/** The records of what was decided: one line each, as NDJSON (pino) or as a sentence for people. */
import { fstatSync } from 'node:fs';
import pino from 'pino';
import { plainJson } from '../core/plain-text.ts';
import { type PhaseRecord, recordMessage } from '../core/record.ts';
import { Writer } from '../logs/writer.ts';
import { clockSetByMs, momentsOf } from './clock.ts';

export type Journal = {
  write(record: PhaseRecord, at: number): void;
  /** Resolves when everything is written, or can't be. */
  close(): Promise<void>;
};

export type JournalOptions = {
  /** Of the file descriptor that lines go to; default 2. */
  readonly fd?: number;
  /** In place of a descriptor: takes each line with its newline. */
  readonly sink?: { write(line: string): unknown; close(): Promise<void> };
  /** Default `info`; `debug` shows ignored news too. */
  readonly level: string;
  /** A line for people, or `null` for a record they need not see; absent: NDJSON. */
  readonly format?: (record: PhaseRecord, at: number) => string | null;
};

/** Whether stderr is journald's: JOURNAL_STREAM has its device and inode (systemd.exec(5)). */
export function isJournald(environment: Readonly<Record<string, string | undefined>>): boolean {
  const { JOURNAL_STREAM: stream } = environment;
  if (stream === undefined || stream === '') return false;
  const { dev, ino } = fstatSync(2);
  return stream === `${dev}:${ino}`;
}

/** A journal on a file descriptor; a reader that goes away or a full disk never stops the supervisor. */
export function openJournal({ fd = 2, sink, level, format }: JournalOptions): Journal {
  const writer = sink ?? new Writer(fd);
  let now = { time: 0, mono: 0 };
  const logger = pino(
    { base: null, level, timestamp: () => `,"time":${now.time},"mono":${now.mono}` },
    { write: (line: string) => void writer.write(plainJson(line)) },
  );
  return {
    write(record, at) {
      now = momentsOf(at);
      const { level: severity = 'info', ...fields } = byWallClock(record);
      if (!logger.isLevelEnabled(severity)) return;
      if (format === undefined) logger[severity](rounded(fields), recordMessage(record));
      else {
        const line = format(record, at);
        if (line !== null) writer.write(`${line}\n`);
      }
    },
    close: () => writer.close(),
  };
}

/** The record with its moments by the wall clock as it is set now, like its time. */
export function byWallClock(record: PhaseRecord): PhaseRecord {
  const setByMs = clockSetByMs();
  if (setByMs === 0 || record.deadline === undefined) return record;
  return { ...record, deadline: Math.round(record.deadline + setByMs) };
}

function rounded(fields: Omit<PhaseRecord, 'level'>): object {
  const whole = Object.entries(fields).map(([key, value]) => [
    key,
    isLength(key, value) ? Math.round(value * 10) / 10 : value,
  ]);
  return Object.fromEntries(whole);
}

function isLength(key: string, value: unknown): value is number {
  return key.endsWith('Ms') && typeof value === 'number';
}
