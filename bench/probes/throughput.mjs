// Requests a second through two instances, over kept connections and with one for each, and what the server side uses for a request.
import { spawn } from 'node:child_process';
import { freePort, hammer } from '../kit/load.mjs';
import { activityOf } from '../kit/processes.mjs';
import { APP } from '../kit/programs.mjs';
import { row } from '../kit/row.mjs';
import { sum } from '../kit/statistics.mjs';
import { within } from '../kit/waits.mjs';
import { INSTANCES, startWeb, withWeb } from '../kit/web.mjs';

const MODES = { kept: 'kept connections', fresh: 'a connection each' };

export const throughput = {
  name: 'throughput',
  group: 'http',
  about: 'requests a second through 2 instances, and processor time for a request',
  run: async (bench) => {
    const seconds = bench.isQuick ? 1.5 : 8;
    const among = withWeb(bench.daemons()).filter(({ web }) => web.reload !== undefined);
    const contestants = [...among, { name: 'bare Node, 1 process', isBare: true }];
    const found = await bench.inTurn(contestants, bench.rounds(5, 1), async (adapter) => {
      if (adapter.isBare) return withBareNode(bench, (port, pid) => measure(bench, { port, pids: [pid], seconds }));
      const port = await startWeb(adapter);
      const figures = await measure(bench, { port, pids: adapter.web.pids(), others: [adapter.pid()], seconds });
      await adapter.down();
      return figures;
    });
    return Object.entries(MODES).flatMap(([mode, title]) => rowsOf(found, mode, title));
  },
};

function rowsOf(found, mode, title) {
  return [
    row({
      id: `throughput.${mode}`,
      title: `requests a second, ${INSTANCES} instances, ${title}`,
      digits: 0,
      isMoreBetter: true,
      samples: found[mode],
      reference: { peer: 'PM2' },
      goal: { ratio: { atLeast: 1.2 } },
    }),
    row({
      id: `throughput.${mode}.cpu`,
      title: 'processor time of supervisor and instances for a request',
      unit: 'µs',
      digits: 1,
      samples: found[`${mode}Cpu`],
      reference: { peer: 'PM2' },
    }),
    row({
      id: `throughput.${mode}.busier`,
      title: 'share of the busier instance in the time of both',
      unit: '%',
      digits: 0,
      samples: found[`${mode}Busier`],
    }),
  ];
}

async function measure({ scratch }, { port, pids, others = [], seconds }) {
  const figures = {};
  for (const mode of Object.keys(MODES)) {
    // What is compiled once is not measured.
    await hammer({ scratch, port, mode, seconds: 0.5, pids });
    const before = [...pids, ...others].map((pid) => activityOf([pid]).cpuUs);
    const answers = await hammer({ scratch, port, mode, seconds, pids });
    const used = [...pids, ...others].map((pid, at) => activityOf([pid]).cpuUs - before[at]);
    const ofInstances = used.slice(0, pids.length);
    figures[mode] = answers / seconds;
    figures[`${mode}Cpu`] = sum(used) / answers;
    if (pids.length > 1) figures[`${mode}Busier`] = (Math.max(...ofInstances) / sum(ofInstances)) * 100;
  }
  return figures;
}

async function withBareNode({ scratch }, use) {
  const port = await freePort();
  const environment = scratch.environment('bare-app', { PORT: String(port) });
  const child = spawn(process.execPath, [APP], { stdio: ['ignore', 'ignore', 'inherit', 'ipc'], env: environment });
  await within(new Promise((ready) => child.once('message', ready)), 'a bare Node listens');
  const figures = await use(port, child.pid);
  const ended = new Promise((end) => child.once('exit', end));
  child.kill();
  await within(ended, 'a bare Node ends');
  return figures;
}
