// What a daemon at rest takes of memory with no services and with 100, beside a bare Node that waits at the same time.
import { startIdleNode } from '../kit/commands.mjs';
import { pssOf } from '../kit/processes.mjs';
import { row } from '../kit/row.mjs';
import { allRun, checkCount, prepared, sleeps } from '../kit/services.mjs';
import { later, until } from '../kit/waits.mjs';

export const memory = {
  name: 'memory',
  group: 'daemon',
  about: 'memory (Pss) of the daemon with 0 and 100 services',
  run: async (bench) => {
    const node = startIdleNode(bench.scratch);
    const found = await bench.inTurn(bench.daemons(), bench.rounds(5, 1), (adapter) => rest(bench, adapter, node.pid));
    node.kill();
    return [memoryRow(0, found.empty, found.node, 1.35), memoryRow(100, found.full, found.node, 1.5)];
  },
};

/** One daemon at a time: Pss shares Node's own pages among all that run. */
async function rest(bench, adapter, node) {
  const restMs = bench.isQuick ? 1_000 : 2_000;
  await adapter.up();
  await later(restMs);
  const empty = pssOf(adapter.supervisors());
  const ofNode = pssOf([node]);
  await adapter.down();
  await adapter.start(await prepared(adapter, sleeps(100)));
  await until(() => allRun(adapter, 100), `${adapter.name}: 100 services run`);
  await later(restMs);
  const full = pssOf(adapter.supervisors());
  checkCount(adapter, 100);
  await adapter.down();
  return { empty, full, node: ofNode };
}

function memoryRow(count, samples, node, atMost) {
  return row({
    id: `memory.${count}`,
    title: `daemon memory (Pss), ${count} children`,
    unit: 'MiB',
    scale: 1024,
    digits: 1,
    samples,
    reference: { name: 'idle Node', samples: node },
    goal: { ratio: { atMost } },
  });
}
