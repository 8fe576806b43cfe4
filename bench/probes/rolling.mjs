// Rolling restarts of two instances under load: requests that fail, and what a reload takes more than the app itself needs.
import { writeFileSync } from 'node:fs';
import { CLIENTS, startClients } from '../kit/load.mjs';
import { row } from '../kit/row.mjs';
import { sum } from '../kit/statistics.mjs';
import { checkReplaced, INSTANCES, startWeb, timesIn, withWeb } from '../kit/web.mjs';

export const rolling = {
  name: 'rolling',
  group: 'http',
  about: 'rolling restarts under load: failed requests, time per instance',
  run: async (bench) => {
    const [rounds, reloads] = [bench.rounds(5, 1), bench.isQuick ? 2 : 5];
    const among = withWeb(bench.daemons()).filter(({ web }) => web.reload !== undefined);
    const found = await bench.inTurn(among, rounds, (adapter) => reloadsUnderLoad(bench, adapter, reloads));
    const times = rounds * reloads;
    return [
      row({
        id: 'rolling.failed',
        title: `failed requests over ${times} reloads, ${CLIENTS} clients`,
        digits: 0,
        isCount: true,
        samples: found.failed,
        goal: { value: { atMost: 0 } },
      }),
      row({
        id: 'rolling.answered',
        title: 'requests answered meanwhile',
        digits: 0,
        isCount: true,
        isMoreBetter: true,
        samples: found.ok,
      }),
      row({
        id: 'rolling.retried',
        title: 'kept connections closed under a request, asked again',
        digits: 0,
        isCount: true,
        samples: found.retried,
      }),
      row({
        id: 'rolling.more',
        title: 'time per instance more than ready + minReady (0) + drain, the command included',
        unit: 'ms',
        digits: 0,
        samples: found.moreMs,
        goal: { value: { atMost: 50 } },
      }),
      row({
        id: 'rolling.seconds',
        title: `one reload of ${INSTANCES} instances under load`,
        unit: 's',
        samples: found.seconds,
        reference: { peer: 'PM2' },
      }),
      row({
        id: 'rolling.slowest',
        title: 'slowest request',
        unit: 'ms',
        digits: 0,
        samples: found.slowestMs,
        reference: { peer: 'PM2' },
      }),
    ];
  },
};

async function reloadsUnderLoad({ scratch }, adapter, reloads) {
  const times = scratch.write('app-times', '');
  const port = await startWeb(adapter, { environment: { APP_TIMES: times } });
  const load = await startClients(scratch, port);
  const figures = { seconds: [], moreMs: [] };
  for (let reload = 0; reload < reloads; reload++) {
    const before = adapter.web.pids();
    const begun = performance.now();
    await adapter.web.reload();
    const took = performance.now() - begun;
    checkReplaced(adapter, before);
    figures.seconds.push(took / 1000);
    figures.moreMs.push((took - neededMs(times, before, adapter.web.pids())) / INSTANCES);
  }
  const { failed, retried, ok, slowestMs } = await load.end();
  await adapter.down();
  writeFileSync(times, '');
  return { ...figures, failed, retried, ok, slowestMs };
}

/** The new ones to be ready, the old ones to end: what the app says itself. One that was killed had nothing to say. */
function neededMs(file, before, after) {
  const times = timesIn(file);
  return sum([...after.map((pid) => times[pid].ready), ...before.map((pid) => times[pid].ended ?? 0)]);
}
