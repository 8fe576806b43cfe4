// kill -9 of the daemon under an HTTP service of two instances, and then the command that is to bring all back.
import { startClients } from '../kit/load.mjs';
import { isAlive } from '../kit/processes.mjs';
import { row } from '../kit/row.mjs';
import { later } from '../kit/waits.mjs';
import { INSTANCES, startWeb, withWeb } from '../kit/web.mjs';

const WORKERS = 2;
/** Under load without a daemon, and after its revival. */
const ALONE_MS = 1_000;
const SETTLE_MS = 2_000;

export const crash = {
  name: 'crash',
  group: 'http',
  about: 'kill -9 of the daemon under an HTTP service: failed requests, processes afterwards',
  run: async (bench) => {
    const rounds = bench.rounds(5, 1);
    const found = await bench.inTurn(withWeb(bench.daemons()), rounds, (adapter) => killsDaemon(bench, adapter));
    const wanted = INSTANCES + WORKERS;
    return [
      row({
        id: 'crash.failed',
        title: `daemon killed with -9 ${rounds} times under ${INSTANCES} instances: failed requests`,
        digits: 0,
        isCount: true,
        samples: found.failed,
        goal: { value: { atMost: 0 } },
      }),
      row({
        id: 'crash.answered',
        title: 'requests answered meanwhile',
        digits: 0,
        isCount: true,
        isMoreBetter: true,
        samples: found.ok,
      }),
      row({
        id: 'crash.processes',
        title: `processes after its revival (${INSTANCES} instances and ${WORKERS} idle workers)`,
        digits: 0,
        samples: found.processes,
        goal: { value: { atMost: wanted, atLeast: wanted } },
      }),
      row({
        id: 'crash.same',
        title: 'of them the same processes as before',
        digits: 0,
        isMoreBetter: true,
        samples: found.same,
        goal: { value: { atLeast: wanted } },
      }),
      row({
        id: 'crash.known',
        title: `of the ${INSTANCES} instances the supervisor lists as running`,
        digits: 0,
        isMoreBetter: true,
        samples: found.known,
        goal: { value: { atLeast: INSTANCES } },
      }),
    ];
  },
};

async function killsDaemon({ scratch, note }, adapter) {
  const port = await startWeb(adapter, { workers: WORKERS });
  const services = () => scratch.processes(adapter.mark).filter((pid) => pid !== daemonOf(adapter));
  const before = services();
  if (before.length !== INSTANCES + WORKERS)
    throw new Error(`${adapter.name}: ${before.length} processes of the services instead of ${INSTANCES + WORKERS}`);
  const load = await startClients(scratch, port);
  process.kill(adapter.pid(), 'SIGKILL');
  await later(ALONE_MS);
  await adapter.web
    .revive()
    .catch(({ message }) => note(`${adapter.name} does not come back: ${message.slice(-200).trim()}`));
  await later(SETTLE_MS);
  const { failed, ok } = await load.end();
  const after = services();
  const known = adapter.web.pids().filter(isAlive).length;
  await adapter.down();
  return { failed, ok, processes: after.length, same: after.filter((pid) => before.includes(pid)).length, known };
}

function daemonOf(adapter) {
  try {
    return adapter.pid();
  } catch {
    return null;
  }
}
