/** One row an instance: what `gsup ls` shows of it, and what it uses. */
import { instanceViews } from '../api/queries.ts';
import type { InstanceView } from '../api/types.ts';
import { slotName } from '../core/name.ts';
import { instancesOf } from '../core/root-state.ts';
import type { HttpSource, Used } from './source.ts';

export type Row = { readonly view: InstanceView; readonly used: Used | null };

/** In the order of definition; without `usage` CPU and memory are unknown. */
export function rowsOf(source: HttpSource, usage: ReadonlyMap<string, Used>): readonly Row[] {
  const state = source.state();
  const now = source.now();
  const setByMs = Date.now() - now;
  const tokenOf: HttpSource['tokenOf'] = (of) => source.tokenOf(of);
  const statusOf: HttpSource['statusOf'] = (of) => source.statusOf(of);
  const views = instanceViews(state, { now, setByMs, tokenOf, statusOf, stopsOf: () => null, usage });
  const slots = instancesOf(state);
  return views.map((view, index): Row => {
    const slot = slots[index];
    const used = slot === undefined || view.pid === null ? undefined : usage.get(slotName(slot.of));
    return { view: source.shown(view), used: used ?? null };
  });
}
