// kill -9 of a service with no delay to the first word of its replacement: fork, exec and the begin of a shell that writes into our FIFO.
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { row } from '../kit/row.mjs';
import { prepared } from '../kit/services.mjs';
import { later, listenTo } from '../kit/waits.mjs';

const SETTLE_MS = 1_500;
/** So long a replacement lives before it is killed: younger ones count as crash loops. */
const LIFE_MS = 150;
const WORD_CEILING_MS = 10_000;

export const respawn = {
  name: 'respawn',
  group: 'daemon',
  about: 'kill -9 of a service with no delay to the exec of its replacement',
  run: async (bench) => {
    const lives = new Map();
    const adapters = await bench.each(bench.daemons(), async (adapter) =>
      lives.set(adapter, await begun(bench, adapter)),
    );
    await later(SETTLE_MS);
    const found = await bench.inTurn(adapters, bench.rounds(20, 3), async (adapter) => {
      const life = lives.get(adapter);
      const next = life.words.next(WORD_CEILING_MS);
      const killed = performance.now();
      process.kill(life.pid, 'SIGKILL');
      const { word, at } = await next;
      life.pid = Number(word);
      if (!adapter.leaders().includes(life.pid)) throw new Error(`${adapter.name}: the replacement is not its child`);
      await later(LIFE_MS);
      return { ms: at - killed };
    });
    for (const adapter of adapters) {
      lives.get(adapter).words.close();
      await adapter.down();
    }
    return [
      row({
        id: 'respawn',
        title: 'respawn with no delay: kill -9 to the replacement',
        unit: 'ms',
        samples: found.ms,
        reference: { peer: 'PM2' },
        goal: { value: { atMost: 4 } },
      }),
    ];
  },
};

async function begun({ scratch }, adapter) {
  const path = scratch.path(`${adapter.name}.fifo`);
  if (!existsSync(path)) execFileSync('mkfifo', [path]);
  const words = listenTo(path);
  const first = words.next(WORD_CEILING_MS);
  const argv = ['sh', '-c', `echo $$ > ${path}; exec sleep 100000`];
  await adapter.start(await prepared(adapter, [{ name: 'w', argv, isAtOnce: true }]));
  return { words, pid: Number((await first).word) };
}
