// How long a list of 10 and of 100 services takes, beside a bare Node.
import { NODE_NOTHING, wallOf } from '../kit/commands.mjs';
import { row } from '../kit/row.mjs';
import { checkList, sleeps, upWith } from '../kit/services.mjs';

export const ls = {
  name: 'ls',
  group: 'daemon',
  about: 'wall time of a list of 10 and of 100 services',
  run: async (bench) => {
    const rows = [];
    for (const count of [10, 100]) rows.push(await lists(bench, { count, goal: { ratio: { atMost: 1.5 } } }));
    return rows;
  },
};

/** All daemons stand at the same time; each list is paired with a bare Node of the same moment. */
export async function lists(bench, { count, goal, of = bench.daemons(), isUp = false }) {
  const adapters = await bench.each(of, async (adapter) => {
    if (!isUp) await upWith(adapter, sleeps(count));
    // The first one pays for what is loaded once.
    checkList(adapter, count);
  });
  const found = await bench.inTurn(adapters, bench.rounds(15, 5), (adapter) => ({
    node: wallOf(NODE_NOTHING),
    wall: wallOf(adapter.list, { environment: adapter.environment, statuses: adapter.listStatuses }),
  }));
  if (!isUp) for (const adapter of adapters) await adapter.down();
  return row({
    id: `ls.${count}`,
    title: `ls with ${count} instances, wall`,
    unit: 'ms',
    samples: found.wall,
    reference: { name: '`node -e 0`', samples: found.node },
    goal,
  });
}
