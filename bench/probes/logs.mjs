// How fast a child's output comes into a file, every byte in order, beside `child | cat > file`, and what that takes of memory.
import { spawn } from 'node:child_process';
import { readFileSync, rmSync } from 'node:fs';
import { gather } from '../kit/bench.mjs';
import { bytesOf, checkLines, LINE_BYTES, sizeOf } from '../kit/lines.mjs';
import { forgetPeak, peakOf } from '../kit/processes.mjs';
import { WRITER } from '../kit/programs.mjs';
import { row } from '../kit/row.mjs';
import { prepared } from '../kit/services.mjs';
import { later, until } from '../kit/waits.mjs';

const LEAST = { raw: 0.8, CRI: 0.45 };

export const logs = {
  name: 'logs',
  group: 'daemon',
  about: 'log capture, raw and CRI, and its peak memory',
  run: async (bench) => {
    const lines = ((bench.isQuick ? 50 : 500) * 1e6) / LINE_BYTES;
    const found = { raw: {}, CRI: {} };
    const among = bench.daemons().filter(({ formats }) => formats.length > 0);
    await bench.inTurn(among, bench.rounds(5, 2), async (adapter) => {
      const cat = await throughCat(bench, lines);
      for (const format of adapter.formats) {
        const figures = await throughDaemon(bench, adapter, { lines, format });
        gather(found[format], adapter.name, { ...figures, cat: lines / cat.seconds, rate: lines / figures.seconds });
      }
      return {};
    });
    return Object.entries(found).flatMap(([format, figures]) => rowsOf(format, lines, figures));
  },
};

function rowsOf(format, lines, { rate, cat, growth }) {
  const mb = (lines * LINE_BYTES) / 1e6;
  return [
    row({
      id: `logs.${format}`,
      title: `log capture of ${mb} MB, ${format}`,
      unit: 'MB/s',
      scale: 1e6 / LINE_BYTES,
      digits: 0,
      isMoreBetter: true,
      samples: rate,
      reference: { name: '`child \\| cat > file`', samples: cat },
      goal: { ratio: { atLeast: LEAST[format] } },
    }),
    row({
      id: `logs.${format}.memory`,
      title: `its peak memory (RSS) more than before, ${format}`,
      unit: 'MB',
      digits: 0,
      samples: growth,
      goal: { value: { atMost: 25 } },
    }),
  ];
}

async function throughCat({ scratch }, lines) {
  const [file, stamp] = ['cat.log', 'cat.stamp'].map((name) => scratch.path(name));
  const text = '"$0" "$1" "$2" "$3" | cat > "$4"';
  const child = spawn('sh', ['-c', text, process.execPath, WRITER, String(lines), stamp, file], {
    stdio: 'ignore',
    detached: true,
    env: scratch.environment('cat'),
  });
  await until(() => sizeOf(file) >= bytesOf(lines, 'raw'), 'cat has written all', 5);
  const seconds = (Date.now() - Number(readFileSync(stamp, 'utf8'))) / 1000;
  // The shell, the writer and cat.
  process.kill(-child.pid, 'SIGKILL');
  await scratch.end('cat');
  checkLines(file, lines, 'raw');
  rmSync(file);
  return { seconds };
}

/** From the writer's first byte until all is in the file, in order. */
async function throughDaemon({ scratch }, adapter, { lines, format }) {
  const stamp = scratch.path(`${adapter.name}.stamp`);
  const service = {
    name: 'w',
    argv: [process.execPath, WRITER, String(lines), stamp],
    log: scratch.path(`${adapter.name}.log`),
    format,
  };
  rmSync(stamp, { force: true });
  const specified = await prepared(adapter, [service]);
  await later(1_000);
  forgetPeak(adapter.pid());
  const before = peakOf(adapter.pid());
  const started = adapter.start(specified);
  const file = adapter.logFile(service);
  await until(() => sizeOf(file) >= bytesOf(lines, format), `${adapter.name} has written all`, 5);
  const seconds = (Date.now() - Number(readFileSync(stamp, 'utf8'))) / 1000;
  const growth = ((peakOf(adapter.pid()) - before) * 1024) / 1e6;
  await started;
  checkLines(file, lines, format);
  await adapter.down();
  rmSync(file, { force: true });
  return { seconds, growth };
}
