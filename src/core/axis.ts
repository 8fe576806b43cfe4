/** Records on one axis of time, from which jumps of the wall clock are taken out. */
import type { Recorded } from './recorded.ts';

/** `axisMs`: epoch ms of the first record, and from there on by the monotonic clock; `isNewBoot`: nothing runs any more of what did before. */
export type Placed = { readonly record: Recorded; readonly axisMs: number; readonly isNewBoot: boolean };

/** Records come in the order of time but for as much; a monotonic clock that goes back further was begun anew by another boot. */
const DISORDER_MS = 1_000;

/** Places records, oldest first. Those of before `mono` was written are placed by the wall clock. */
export function placed(records: readonly Recorded[]): readonly Placed[] {
  let boot: string | null = null;
  let last: { axisMs: number; at: number; mono: number | null } | null = null;
  return records.map((record) => {
    const mono: number | null = record.mono ?? null;
    const isOther = record.boot !== undefined && boot !== null && record.boot !== boot;
    const isBack = mono !== null && last?.mono != null && mono < last.mono - DISORDER_MS;
    boot = record.boot ?? (isBack ? null : boot);
    const isNewBoot = isOther || isBack;
    const passedMs: number = last === null ? 0 : passed(last, record, isNewBoot);
    const axisMs = last === null ? record.at : last.axisMs + passedMs;
    last = { axisMs, at: record.at, mono };
    return { record, axisMs, isNewBoot };
  });
}

function passed(last: { at: number; mono: number | null }, { at, mono }: Recorded, isNewBoot: boolean): number {
  if (isNewBoot) return Math.max(0, at - last.at);
  return mono === undefined || last.mono === null ? Math.max(0, at - last.at) : mono - last.mono;
}
