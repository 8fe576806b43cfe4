// Requests a second with each library over kept connections, and processor time for one, beside a bare server.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { emptyFor, gather, overOwn, progress, shown, turned } from '../app/figures.mjs';
import { contestants } from '../app/libraries.mjs';
import { started } from '../app/servers.mjs';
import { activityOf } from '../kit/processes.mjs';
import { SLICES } from '../kit/programs.mjs';
import { within } from '../kit/waits.mjs';

/** Short: what else the machine does is then the same for all in a round. */
const SLICE_MS = 250;
const WARM_MS = 1000;

export const appThroughput = {
  name: 'app-throughput',
  group: 'app',
  about: 'gsup/app beside five libraries: requests a second, processor time of a request',
  isNamedOnly: true,
  run: carriesRequests,
};

/** In each life of the servers all are asked in turn, in short slices; the bare one twice: how far it is from itself is the noise. */
async function carriesRequests(bench) {
  const { libraries } = contestants(bench);
  const [lives, slices] = [bench.rounds(4, 2), bench.isQuick ? 6 : 16];
  const bare = libraries.find(({ name }) => name === 'bare');
  const all = [...libraries, { ...bare, name: 'bare again' }];
  const found = emptyFor(all, ['rate', 'cpuUs', 'rateRatio', 'cpuRatio']);
  for (let life = 0; life < lives; life++) {
    const servers = new Map();
    for (const library of all) servers.set(library.name, await started(bench, library));
    const hammer = startHammer(bench);
    for (const server of servers.values()) await measured(hammer, server, WARM_MS);
    for (let slice = 0; slice < slices; slice++) {
      const round = {};
      for (const { name } of turned(all, life * slices + slice))
        round[name] = await measured(hammer, servers.get(name), SLICE_MS);
      for (const { name } of all) {
        const { rate, cpuUs } = round[name];
        gather(found[name], { rate, cpuUs, rateRatio: rate / round.bare.rate, cpuRatio: cpuUs / round.bare.cpuUs });
      }
    }
    await hammer.end();
    for (const server of servers.values()) await server.kill();
  }
  progress('throughput', found, 'cpuRatio', 3);
  return [
    {
      title: `throughput: kept connections, ${lives} lives × ${slices} slices of ${SLICE_MS} ms; × bare: of the same slice`,
      columns: [
        'requests a second',
        '× bare',
        'processor time of a request, µs',
        '× bare',
        'gsup : it (processor time)',
      ],
      lines: all.map(({ name }) => {
        const { rate, cpuUs, rateRatio, cpuRatio } = found[name];
        const ratio = overOwn(found, name, 'cpuRatio', 3);
        return [name, shown(rate, 0), shown(rateRatio, 3), shown(cpuUs, 2), shown(cpuRatio, 3), ratio];
      }),
      raw: found,
    },
  ];
}

async function measured(hammer, { port, pid, count }, ms) {
  const { served } = await count();
  const before = activityOf([pid]).cpuUs;
  const { answers, failures, ms: took } = await hammer.on(port, ms);
  const used = activityOf([pid]).cpuUs - before;
  const { served: inAll } = await count();
  if (failures > 0 || inAll - served !== answers)
    throw new Error(`${failures} wrong answers, ${inAll - served} served, ${answers} answered`);
  return { rate: (answers * 1000) / took, cpuUs: used / answers };
}

function startHammer({ scratch }) {
  const child = spawn(process.execPath, [SLICES], {
    stdio: ['pipe', 'pipe', 'inherit'],
    env: scratch.environment('hammer'),
  });
  const ended = once(child, 'exit');
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  return {
    on: async (port, ms) => {
      child.stdin.write(`${port} ${ms}\n`);
      return JSON.parse((await within(lines.next(), 'the answers of a slice')).value);
    },
    end: () => {
      child.stdin.end();
      return within(ended, 'the end of the clients');
    },
  };
}
