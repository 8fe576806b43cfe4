// 1,000 services: what grows, and how, beside the figures of 100 of the same moments.
import { pssOf } from '../kit/processes.mjs';
import { row } from '../kit/row.mjs';
import { idles } from './idle.mjs';
import { lists } from './ls.mjs';
import { starts } from './start.mjs';

const FEW = 100;
const LINEAR = { ratio: { atMost: 10 } };

export const thousand = {
  name: 'thousand',
  group: 'daemon',
  about: '1,000 services: start, list, memory and processor time beside those of 100',
  /** `--quick` leaves it out unless it is named; then it takes 300. */
  isLong: true,
  run: async (bench) => {
    const many = bench.isQuick ? 300 : 1_000;
    const among = bench.daemons().filter(({ name }) => name !== 'runit');
    const listRows = [];
    const found = await bench.inTurn(among, bench.rounds(3, 1), async (adapter) => {
      const few = await lives(bench, adapter, FEW);
      const figures = await lives(bench, adapter, many);
      listRows.push([adapter.name, figures.list]);
      return {
        ...figures.own,
        ...Object.fromEntries(Object.entries(few.own).map(([key, value]) => [`${key}Few`, value])),
      };
    });
    return rowsOf(many, { ...found, ...listed(listRows) });
  },
};

/** One life of a daemon with so many services: its start, its rest and its list. */
async function lives(bench, adapter, count) {
  const { running } = await starts(adapter, count);
  const [own] = [await idles([adapter], { count, rounds: 1, seconds: bench.isQuick ? 5 : 20 })];
  const list = await lists(bench, { count, goal: null, of: [adapter], isUp: true });
  const pss = pssOf(adapter.supervisors());
  await adapter.down();
  return { own: { running, pss, cpu: own.cpu[adapter.name] }, list: list.supervisors[adapter.name] };
}

function listed(rows) {
  const [list, listRatio] = [{}, {}];
  for (const [name, { samples, ratio }] of rows) {
    list[name] = [...(list[name] ?? []), ...samples];
    listRatio[name] = [...(listRatio[name] ?? []), ...samples.map((ms, at) => ms / ratio.samples[at])];
  }
  return { list, listNode: listRatio };
}

function rowsOf(many, found) {
  const name = `the same with ${FEW}`;
  const linear = (id, title, key, more) =>
    row({
      id: `thousand.${id}`,
      title: `${many} instances: ${title}`,
      samples: found[key],
      reference: { name, samples: found[`${key}Few`] },
      goal: LINEAR,
      ...more,
    });
  return [
    linear('start', 'start, all run', 'running', { unit: 's', scale: 1000 }),
    row({
      id: 'thousand.ls',
      title: `${many} instances: ls, wall`,
      unit: 'ms',
      samples: found.list,
      reference: { name: '`node -e 0`', samples: found.listNode },
      goal: { ratio: { atMost: 2.5 } },
    }),
    linear('memory', 'daemon memory (Pss)', 'pss', { unit: 'MiB', scale: 1024, digits: 1 }),
    linear('cpu', 'idle CPU of the daemon for 30 s', 'cpu', { unit: 's', digits: 3 }),
  ];
}
