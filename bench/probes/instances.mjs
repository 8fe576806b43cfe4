// kill -9 of every instance at once, under load: requests that are refused meanwhile. What was in flight on them is lost anywhere.
import { startClients } from '../kit/load.mjs';
import { row } from '../kit/row.mjs';
import { sum } from '../kit/statistics.mjs';
import { until } from '../kit/waits.mjs';
import { isReplaced, startWeb, withWeb } from '../kit/web.mjs';

export const instances = {
  name: 'instances',
  group: 'http',
  about: 'kill -9 of both instances under load: refused requests',
  run: async (bench) => {
    const rounds = bench.rounds(5, 1);
    const found = await bench.inTurn(withWeb(bench.daemons()), rounds, (adapter) => killsInstances(bench, adapter));
    return [
      row({
        id: 'instances.refused',
        title: `kill -9 of both instances, ${rounds} times: refused requests`,
        digits: 0,
        isCount: true,
        samples: found.refused,
      }),
      row({
        id: 'instances.lost',
        title: 'other failed requests (in flight on the killed)',
        digits: 0,
        isCount: true,
        samples: found.lost,
      }),
    ];
  },
};

async function killsInstances({ scratch }, adapter) {
  const port = await startWeb(adapter);
  const load = await startClients(scratch, port);
  const before = adapter.web.pids();
  for (const pid of before) process.kill(pid, 'SIGKILL');
  await until(() => isReplaced(adapter, before), `${adapter.name}: both instances are started again`, 50, 30_000);
  const report = await load.end();
  await adapter.down();
  const refused = sum(Object.entries(report.reasons).map(([why, n]) => (why.startsWith('ECONNREFUSED') ? n : 0)));
  return { refused, lost: report.failed - refused };
}
