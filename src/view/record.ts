/** A record → one line for people: when, who, what; pure. */
import { plainLines } from '../core/plain-text.ts';
import { type PhaseRecord, recordMessage } from '../core/record.ts';
import { paint } from './colour.ts';

/** `12:00:30.114 api:0  SIGTERM to 812, grace 10s`; `null` for what people need not see. `colour`: ANSI allowed. */
export function recordLine(record: PhaseRecord, at: number, { colour }: { colour: boolean }): string | null {
  if (isQuiet(record)) return null;
  const time = new Date(at).toISOString().slice(11, 23);
  const who = record.instance ?? record.service ?? 'gsup';
  const tint = record.level === 'error' ? 'red' : record.level === 'warn' ? 'yellow' : null;
  const message = plainLines(recordMessage(record));
  return `${paint(time, 'dim', colour)} ${paint(who, 'bold', colour)}  ${tint ? paint(message, tint, colour) : message}`;
}

/** syslog(3) */
const PRIORITY = { debug: 7, info: 6, warn: 4, error: 3 };

/** As journald reads it from a stream: `<6>api:0  ready after 1.2s`; it has time and process itself. Every line has its priority. */
export function journaldLine(record: PhaseRecord): string | null {
  if (isQuiet(record)) return null;
  const who = record.instance ?? record.service ?? 'gsup';
  const lines = plainLines(recordMessage(record)).split('\n');
  return lines.map((line) => `<${PRIORITY[record.level ?? 'info']}>${who}  ${line}`).join('\n');
}

/** What people need not see: all went as it always does. */
export function isQuiet({ phase, isComplete, oom }: PhaseRecord): boolean {
  if (phase === 'oom-checked') return oom?.verdict === 'no' || oom?.verdict === 'unknown';
  return phase === 'logs-drained' && isComplete !== false;
}
