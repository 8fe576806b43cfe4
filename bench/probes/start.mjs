// From the command that starts 100 services of one file until all have exec'ed, and until it returns.
import { row } from '../kit/row.mjs';
import { allRun, prepared, sleeps } from '../kit/services.mjs';
import { until } from '../kit/waits.mjs';

export const start = {
  name: 'start',
  group: 'daemon',
  about: 'start of 100 services from one file',
  run: async (bench) => {
    const found = await bench.inTurn(bench.daemons(), bench.rounds(5, 2), async (adapter) => {
      const figures = await starts(adapter, 100);
      await adapter.down();
      return figures;
    });
    return [
      row({
        id: 'start.running',
        title: 'start of 100: all run',
        unit: 's',
        scale: 1000,
        samples: found.running,
        reference: { peer: 's6' },
        goal: { value: { atMost: 0.35 }, ratio: { atMost: 1 } },
      }),
      row({
        id: 'start.returned',
        title: 'start of 100: the command returns (gsup: each has lived for a second)',
        unit: 's',
        scale: 1000,
        samples: found.returned,
        reference: { peer: 'PM2' },
      }),
    ];
  },
};

export async function starts(adapter, count) {
  const file = await prepared(adapter, sleeps(count));
  const begun = performance.now();
  const [running, returned] = await Promise.all([
    until(() => allRun(adapter, count), `${adapter.name}: ${count} services run`).then(() => performance.now() - begun),
    adapter.start(file).then(() => performance.now() - begun),
  ]);
  return { running, returned };
}
