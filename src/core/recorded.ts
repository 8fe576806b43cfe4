/** A record as it was written down, with its moments; and how a line of NDJSON becomes one again. */
import { isPhase, type Phase, type PhaseRecord } from './record.ts';

/** `at`: by the wall clock, epoch ms; `mono`: ms of the machine's monotonic clock, the same for all processes of one boot. */
export type Recorded = PhaseRecord & { readonly at: number; readonly mono?: number };

/** Of the whole, or of a service: every other phase is one of an instance. */
const WITHOUT_INSTANCE: ReadonlySet<Phase> = new Set([
  'supervisor-started',
  'shutdown-started',
  'wave-started',
  'shutdown-completed',
  'rolling-started',
  'rolling-step',
  'rolling-aborted',
  'rolling-completed',
  'notice',
  'ignored',
] as const);
/** pino's numbers; `info` goes without. */
const LEVELS: Readonly<Record<number, NonNullable<PhaseRecord['level']>>> = { 20: 'debug', 40: 'warn', 50: 'error' };

/**
 * The record that a line of events.ndjson, of `gsup events --json` or of stderr of `gsup run` is; `null`: it is none
 * (a line of an app, or one that was not written to its end).
 */
export function parseRecorded(line: string): Recorded | null {
  const value = parse(line);
  if (value === null) return null;
  const { time, at = time, mono, level, msg: _, ...fields } = value;
  const { phase, instance } = fields;
  if (!isPhase(phase) || typeof at !== 'number' || !Number.isFinite(at)) return null;
  if (!WITHOUT_INSTANCE.has(phase) && typeof instance !== 'string') return null;
  const severity = typeof level === 'number' ? LEVELS[level] : level;
  return {
    ...fields,
    at,
    ...(typeof mono === 'number' ? { mono } : {}),
    ...(typeof severity === 'string' ? { level: severity } : {}),
  } as Recorded;
}

function parse(line: string): Readonly<Record<string, unknown>> | null {
  if (!line.startsWith('{')) return null;
  try {
    return JSON.parse(line);
  } catch {
    return null;
  }
}
