// What `gsup run` takes to end children that are stubborn or slow: no longer than they are given.
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { ROOT } from '../kit/programs.mjs';
import { row } from '../kit/row.mjs';
import { within } from '../kit/waits.mjs';

const STUBBORN = ['sh', '-c', 'trap "" TERM; echo up; while :; do sleep 0.2; done'];
const CASES = [
  {
    id: 'stubborn',
    title: 'a stubborn child with grace 1 s',
    options: ['--grace', '1s'],
    count: 1,
    argv: STUBBORN,
    atMost: 1100,
  },
  {
    id: 'slow',
    title: 'a child that needs 0.7 s, and gsup with it,',
    options: [],
    count: 1,
    argv: [process.execPath, join(ROOT, 'fixtures/slow.mjs')],
    atMost: 750,
  },
  {
    id: 'fifty',
    title: '50 stubborn children with grace 1 s',
    options: ['-i', '50', '--grace', '1s'],
    count: 50,
    argv: STUBBORN,
    atMost: 1150,
  },
];

export const ceilings = {
  name: 'ceilings',
  group: 'run',
  about: 'stubborn and slow children of `gsup run` are gone in time',
  run: async (bench) => {
    const gsup = bench.runners().filter(({ name }) => name === 'gsup');
    const found = await bench.inTurn(gsup, bench.rounds(5, 1), async (adapter) => {
      const figures = {};
      for (const one of CASES) figures[one.id] = await stop(bench, adapter, one);
      return figures;
    });
    return CASES.map(({ id, title, atMost }) =>
      row({
        id: `run.${id}`,
        title: `${title} ${id === 'fifty' ? 'are' : 'is'} gone after`,
        unit: 'ms',
        digits: 0,
        samples: found[id],
        goal: { value: { atMost } },
      }),
    );
  },
};

async function stop({ scratch }, { mark, environment, argvOf }, { options, count, argv }) {
  const [file, ...args] = argvOf(argv);
  const withOptions = args.toSpliced(args.indexOf('--'), 0, ...options);
  const child = spawn(file, withOptions, {
    stdio: ['ignore', 'pipe', 'ignore'],
    env: environment,
    cwd: scratch.folder,
  });
  const exited = new Promise((end) => child.once('exit', end));
  let text = '';
  const up = new Promise((all) => {
    child.stdout.on('data', (part) => {
      text += part;
      if (text.split('up\n').length > count) all();
    });
  });
  await within(up, `gsup run: ${count} children are up`);
  const sent = performance.now();
  child.kill('SIGTERM');
  await within(exited, 'gsup run ends');
  const took = performance.now() - sent;
  if (scratch.processes(mark).length > 0) throw new Error('gsup run has left processes');
  return took;
}
