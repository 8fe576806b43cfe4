// 50 services that hear no stop signal, with a grace of 2 s: from the command until all are gone.
import { row } from '../kit/row.mjs';
import { checkCount, stubborns, upWith } from '../kit/services.mjs';
import { stops } from './stop.mjs';

const COUNT = 50;
const GRACE_MS = 2_000;
/** It stops two at a time, so this takes it a minute: once is enough, and `--quick` does without. */
const SLOW_PEER = 'PM2';

export const stubborn = {
  name: 'stubborn',
  group: 'daemon',
  about: 'stop of 50 services that ignore the stop signal, with a grace of 2 s',
  run: async (bench) => {
    const among = bench.daemons().filter(({ name }) => !(bench.isQuick && name === SLOW_PEER));
    const found = await bench.inTurn(among, bench.rounds(5, 1), async (adapter, round) => {
      if (adapter.name === SLOW_PEER && round > 0) return {};
      await upWith(adapter, stubborns(COUNT, GRACE_MS));
      checkCount(adapter, COUNT);
      const figures = await stops(adapter, adapter.stopStubborn ?? adapter.stop);
      if (figures.gone < GRACE_MS) throw new Error(`${adapter.name}: they have ended before their grace`);
      await adapter.down();
      return figures;
    });
    return [
      row({
        id: 'stubborn.gone',
        title: `stop of ${COUNT} stubborn ones with grace 2 s: all gone`,
        unit: 's',
        scale: 1000,
        samples: found.gone,
        reference: { peer: 's6' },
        goal: { value: { atMost: 2.2 } },
      }),
    ];
  },
};
