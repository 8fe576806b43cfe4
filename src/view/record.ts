/** A record → one line for people: when, who, what; pure. */
import { type PhaseRecord, recordMessage } from '../core/record.ts';
import { paint } from './colour.ts';

/** `12:00:30.114 api:0  SIGTERM to 812, grace 10s`; `null` for what people need not see. `colour`: ANSI allowed. */
export function recordLine(record: PhaseRecord, at: number, { colour }: { colour: boolean }): string | null {
  if (isQuiet(record)) return null;
  const time = new Date(at).toISOString().slice(11, 23);
  const who = record.instance ?? record.service ?? 'gsup';
  const tint = record.level === 'error' ? 'red' : record.level === 'warn' ? 'yellow' : null;
  const message = recordMessage(record);
  return `${paint(time, 'dim', colour)} ${paint(who, 'bold', colour)}  ${tint ? paint(message, tint, colour) : message}`;
}

/** What people need not see: all went as it always does. */
export function isQuiet({ phase, isComplete }: PhaseRecord): boolean {
  return phase === 'logs-drained' && isComplete !== false;
}
