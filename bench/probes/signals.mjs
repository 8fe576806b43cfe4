// SIGTERM to the supervisor until its child's handler, and the child's exit until the supervisor's.
import { spawn } from 'node:child_process';
import { readFileSync, rmSync } from 'node:fs';
import { CLOCK } from '../kit/programs.mjs';
import { row } from '../kit/row.mjs';
import { later, until, within } from '../kit/waits.mjs';

/** From the child's begin to the signal: what a supervisor does after a start is over. */
const SETTLE_MS = 150;

export const signals = {
  name: 'signals',
  group: 'run',
  about: 'SIGTERM to the handler of the child, exit of the child to exit of the supervisor',
  run: async (bench) => {
    const found = await bench.inTurn(bench.runners(), bench.rounds(15, 3), (adapter) => stopsOne(bench, adapter));
    return [
      row({
        id: 'run.heard',
        title: "SIGTERM to the child's handler",
        unit: 'ms',
        samples: found.heard,
        reference: { peer: 'bare Node' },
        goal: { value: { atMost: 1 } },
      }),
      row({
        id: 'run.left',
        title: "child's exit to the supervisor's",
        unit: 'ms',
        digits: 1,
        samples: found.left,
        reference: { peer: 'bare Node' },
        goal: { value: { atMost: 15 } },
      }),
    ];
  },
};

async function stopsOne({ scratch }, { name, environment, argvOf, stopSignal = 'SIGTERM' }) {
  const file = scratch.path('clock');
  rmSync(file, { force: true });
  const [program, ...args] = argvOf([process.execPath, CLOCK]);
  const env = { ...environment, CLOCK_FILE: file };
  const child = spawn(program, args, { stdio: 'ignore', env, cwd: scratch.folder });
  const exited = new Promise((end) => child.once('exit', () => end(process.hrtime.bigint())));
  await until(() => wordIn(file, 'up') !== null, `${name}: its child is up`, 3, 20_000);
  await later(SETTLE_MS);
  const sent = process.hrtime.bigint();
  child.kill(stopSignal);
  const gone = await within(exited, `${name} ends`, 20_000);
  await until(() => wordIn(file, 'ended') !== null, `${name}: its child has ended in its own way`, 3, 5_000);
  return { heard: Number(wordIn(file, 'heard') - sent) / 1e6, left: Number(gone - wordIn(file, 'ended')) / 1e6 };
}

function wordIn(file, word) {
  try {
    const found = new RegExp(`^${word} (\\d+)$`, 'm').exec(readFileSync(file, 'latin1'));
    return found === null ? null : BigInt(found[1]);
  } catch {
    return null;
  }
}
