/** How a process ended, as wait(2) tells it. */
import { constants } from 'node:os';
import type { SignalName } from '../core/signal.ts';

/** The low 7 bits are the signal, the next byte is the code; both `null` where nobody knows. */
export function endOf(status: number | null): [number | null, SignalName | null] {
  if (status === null) return [null, null];
  const number = status & 0x7f;
  if (number === 0) return [(status >> 8) & 0xff, null];
  const name = Object.entries(constants.signals).find(([, value]) => value === number)?.[0];
  return [null, (name as SignalName | undefined) ?? null];
}
