/** What an app reports of itself, made small enough to be kept, written and shown; pure. */

import { plainLine } from './plain-text.ts';

/** Of lists and maps in each other; JSON.stringify and everything else that goes down has a limit. */
const DEEPEST = 12;
const LONGEST_PHASE = 100;

/** Plain data as it came over the link; what lies deeper than 12 levels is `…`. */
export function boundedReport(report: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  return mapOf(report, 1);
}

/** The name of a phase of an app's own. */
export function boundedPhase(phase: string): string {
  return plainLine(phase.length > LONGEST_PHASE ? `${phase.slice(0, LONGEST_PHASE - 1)}…` : phase);
}

function bounded(value: unknown, depth: number): unknown {
  if (typeof value !== 'object' || value === null) return value;
  if (depth > DEEPEST) return '…';
  return Array.isArray(value) ? value.map((one) => bounded(one, depth + 1)) : mapOf(value, depth);
}

function mapOf(map: object, depth: number): Record<string, unknown> {
  return Object.fromEntries(Object.entries(map).map(([key, value]) => [key, bounded(value, depth + 1)]));
}
