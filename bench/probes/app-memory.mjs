// What open connections take of memory with each library, beside a bare server.
import { readFileSync } from 'node:fs';
import { openIdle } from '../app/clients.mjs';
import { emptyFor, gather, overOwn, progress, shown } from '../app/figures.mjs';
import { contestants } from '../app/libraries.mjs';
import { started } from '../app/servers.mjs';
import { median } from '../kit/statistics.mjs';

const MEMORY_CONNECTIONS = 2000;

export const appMemory = {
  name: 'app-memory',
  group: 'app',
  about: 'gsup/app beside five libraries: memory of 1,000 idle connections',
  isNamedOnly: true,
  run: holdsConnections,
};

/** What open connections take: after minus before, for 1,000; a first hundred has loaded what is loaded once. */
async function holdsConnections(bench) {
  const { libraries } = contestants(bench);
  const rounds = bench.rounds(3, 1);
  const found = emptyFor(libraries, ['startHeap', 'startPss', 'heap', 'rss', 'pss']);
  for (let round = 0; round < rounds; round++) {
    for (const library of libraries) {
      const server = await started(bench, library, { KEEP_ALIVE_MS: '600000' });
      const start = await memoryOf(server);
      for (const client of await openIdle(server.port, 100)) client.socket.destroy();
      await server.until(({ connections }) => connections === 0);
      const before = await memoryOf(server);
      const idle = await openIdle(server.port, MEMORY_CONNECTIONS);
      const { connections, served } = await server.count();
      if (connections !== MEMORY_CONNECTIONS || served !== MEMORY_CONNECTIONS + 100)
        throw new Error(`${library.name}: ${connections} connections`);
      const after = await memoryOf(server);
      const grown = Object.fromEntries(
        Object.keys(after).map((key) => [key, ((after[key] - before[key]) * 1000) / MEMORY_CONNECTIONS]),
      );
      gather(found[library.name], { ...grown, startHeap: start.heap, startPss: start.pss });
      for (const { socket } of idle) socket.destroy();
      await server.kill();
    }
  }
  progress('memory', found, 'heap');
  return [
    {
      title: `memory, KiB: a server before its first request, and for every 1,000 idle kept connections (${MEMORY_CONNECTIONS} open, each has asked once)`,
      columns: [
        'heap at start',
        'anonymous Pss at start',
        'heap',
        'heap − bare',
        'anonymous Pss',
        'the same − bare',
        'RSS',
        'RSS − bare',
        'gsup : it (heap)',
      ],
      lines: libraries.map(({ name }) => {
        const pairs = ['heap', 'pss', 'rss'].flatMap((key) => [
          shown(found[name][key], 0),
          (median(found[name][key]) - median(found.bare[key])).toFixed(0),
        ]);
        return [
          name,
          shown(found[name].startHeap, 0),
          shown(found[name].startPss, 0),
          ...pairs,
          overOwn(found, name, 'heap'),
        ];
      }),
      raw: found,
    },
  ];
}

async function memoryOf({ ask, pid }) {
  const { heapUsed, rss } = await ask('memory');
  // Anonymous: how much of Node's own file a process shares depends on how many others run.
  const pss = Number(/^Pss_Anon:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, 'latin1'))[1]);
  return { heap: heapUsed / 1024, rss: rss / 1024, pss };
}
