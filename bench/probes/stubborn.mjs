// 50 services that hear no stop signal, with a grace of 2 s: from the command until all are gone.
import { row } from '../kit/row.mjs';
import { checkCount, stubborns, upWith } from '../kit/services.mjs';
import { stops } from './stop.mjs';

const COUNT = 50;
const GRACE_MS = 2_000;

export const stubborn = {
  name: 'stubborn',
  group: 'daemon',
  about: 'stop of 50 services that ignore the stop signal, with a grace of 2 s',
  run: async (bench) => {
    const found = await bench.inTurn(bench.daemons(), bench.rounds(5, 1), async (adapter) => {
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
