// What a daemon with 100 idle services uses of the processor: all at the same time, so the same half minute for each.

import { gather } from '../kit/bench.mjs';
import { activityOf } from '../kit/processes.mjs';
import { row } from '../kit/row.mjs';
import { checkCount, sleeps, upWith } from '../kit/services.mjs';
import { later } from '../kit/waits.mjs';

const SETTLE_MS = 4_000;

export const idle = {
  name: 'idle',
  group: 'daemon',
  about: 'processor time and wakes of the daemon with 100 idle services',
  run: async (bench) => {
    const seconds = bench.isQuick ? 10 : 30;
    const adapters = await bench.each(bench.daemons(), (adapter) => upWith(adapter, sleeps(100)));
    const found = await idles(adapters, { count: 100, rounds: bench.rounds(5, 1), seconds });
    for (const adapter of adapters) await adapter.down();
    return [
      row({
        id: 'idle.cpu',
        title: `daemon CPU, 100 idle children, for 30 s${bench.isQuick ? ' (measured for 10 s)' : ''}`,
        unit: 's',
        digits: 3,
        samples: found.cpu,
        reference: { peer: 'PM2' },
        goal: { value: { atMost: 0.02 } },
      }),
      row({
        id: 'idle.wakes',
        title: 'its voluntary context switches in 30 s',
        digits: 0,
        samples: found.switches,
        reference: { peer: 'PM2' },
      }),
    ];
  },
};

/** Scaled to 30 s. */
export async function idles(adapters, { count, rounds, seconds }) {
  const found = {};
  await later(SETTLE_MS);
  for (let round = 0; round < rounds; round++) {
    const before = adapters.map((adapter) => activityOf(adapter.supervisors()));
    await later(seconds * 1000);
    for (const [at, adapter] of adapters.entries()) {
      const now = activityOf(adapter.supervisors());
      gather(found, adapter.name, {
        cpu: ((now.cpuUs - before[at].cpuUs) / 1e6 / seconds) * 30,
        switches: ((now.switches - before[at].switches) / seconds) * 30,
      });
      checkCount(adapter, count);
    }
  }
  return found;
}
