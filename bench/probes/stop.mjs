// From the command that stops 100 services until all are gone, and until it returns.
import { isGone } from '../kit/processes.mjs';
import { row } from '../kit/row.mjs';
import { checkCount, sleeps, upWith } from '../kit/services.mjs';
import { until } from '../kit/waits.mjs';

export const stop = {
  name: 'stop',
  group: 'daemon',
  about: 'stop of 100 services',
  run: async (bench) => {
    const found = await bench.inTurn(bench.daemons(), bench.rounds(5, 1), async (adapter) => {
      await upWith(adapter, sleeps(100));
      checkCount(adapter, 100);
      const figures = await stops(adapter, () => adapter.stop());
      await adapter.down();
      return figures;
    });
    return [
      row({
        id: 'stop.gone',
        title: 'stop of 100: all gone',
        unit: 's',
        scale: 1000,
        samples: found.gone,
        reference: { peer: 's6' },
        goal: { value: { atMost: 0.15 } },
      }),
      row({
        id: 'stop.returned',
        title: 'stop of 100: the command returns',
        unit: 's',
        scale: 1000,
        samples: found.returned,
        reference: { peer: 's6' },
        goal: { value: { atMost: 0.3 } },
      }),
    ];
  },
};

/** By the pids that ran before: a supervisor may tell what it likes. */
export async function stops(adapter, ask) {
  const pids = adapter.leaders();
  const asked = performance.now();
  const [gone, returned] = await Promise.all([
    until(() => pids.every(isGone), `${adapter.name}: ${pids.length} services are gone`).then(
      () => performance.now() - asked,
    ),
    ask().then(() => performance.now() - asked),
  ]);
  return { gone, returned };
}
