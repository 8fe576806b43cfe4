// What one command costs under a supervisor: the wall time of one that is over at once, the memory beside one that stays.
import { spawn } from 'node:child_process';
import { NODE_NOTHING, startIdleNode, wallOf } from '../kit/commands.mjs';
import { childrenOf, isAlive, programOf, pssOf } from '../kit/processes.mjs';
import { row } from '../kit/row.mjs';
import { later, until } from '../kit/waits.mjs';

export const run = {
  name: 'run',
  group: 'run',
  about: 'wall time of a command that does nothing, memory beside one that sleeps',
  run: async (bench) => {
    const wall = await bench.inTurn(
      bench.runners(),
      bench.rounds(15, 3),
      ({ environment, argvOf, overStatuses = [0] }) => ({
        node: wallOf(NODE_NOTHING),
        wall: wallOf(argvOf(['true']), { environment, statuses: overStatuses }),
      }),
    );
    const memory = await bench.inTurn(bench.runners(), bench.rounds(5, 1), (adapter) => rests(bench, adapter));
    return [
      row({
        id: 'run.wall',
        title: 'wall of `run -- true`',
        unit: 'ms',
        samples: wall.wall,
        reference: { name: '`node -e 0`', samples: wall.node },
        goal: { ratio: { atMost: 1.8 } },
      }),
      row({
        id: 'run.memory',
        title: 'memory (Pss) of `run -- sleep`, the supervisor alone',
        unit: 'MiB',
        scale: 1024,
        digits: 1,
        samples: memory.pss,
        reference: { name: 'idle Node', samples: memory.node },
        goal: { ratio: { atMost: 1.4 } },
      }),
    ];
  },
};

async function rests({ scratch, isQuick }, { name, mark, environment, argvOf }) {
  const node = startIdleNode(scratch);
  const [file, ...args] = argvOf(['sleep', '100000']);
  const child = spawn(file, args, { stdio: 'ignore', env: environment, cwd: scratch.folder });
  const isThere = () => descendants(child.pid).some((pid) => programOf(pid) === 'sleep' && isAlive(pid));
  await until(isThere, `${name}: its child runs`, 3, 20_000);
  // What is asked for is the memory of a supervisor that waits.
  await later(isQuick ? 1_000 : 2_000);
  const figures = { pss: pssOf([child.pid]), node: pssOf([node.pid]) };
  node.kill('SIGKILL');
  await scratch.end(mark, [child.pid]);
  return figures;
}

/** Of their children too: foreman puts a shell between. */
function descendants(pid) {
  return childrenOf(pid).flatMap((child) => [child, ...descendants(child)]);
}
