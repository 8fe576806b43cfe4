// The command line of the bench.
import { parseArgs } from 'node:util';

const HELP = `measures gsup beside its peers, each probe on all of them in turn, and prints medians (min–max), ratios and goals

usage: npm run bench -- [options]

  --only PROBE,…     these probes or groups of probes; --list names them
  --quick            fewer rounds, peers and bytes, everything under 2 minutes; without 1,000 services
  --rounds N         so many rounds of each probe instead of its own number
  --json FILE        every sample, median, spread, ratio and goal
  --markdown FILE    the tables; between <!-- bench:begin --> and <!-- bench:end --> where FILE has them
  --svg FILE         a picture of some of them
  --compare FILE     what has become worse than in FILE, made by --json, by more than the spread; exit status 1 if anything has
  --list             the probes
  --help             this text

example: npm run build && npm run bench -- --only ls,start --compare docs/bench-baseline.json

stdout: the tables; stderr: progress. Exit status: 0 done, 1 something has become worse or the bench has failed, 2 usage.
PM2, foreman and the libraries of the probes of gsup/app are installed by npm into a temporary folder; supervisord, s6, runit, dumb-init, tini take part where
the system has them.`;

/** The options, or what to print and the exit status. */
export function readOptions(args, probes) {
  try {
    return understood(args, probes);
  } catch (error) {
    return { text: `${error.message}\ntry: npm run bench -- --help`, status: 2 };
  }
}

function understood(args, probes) {
  const { values } = parseArgs({
    args,
    options: {
      only: { type: 'string' },
      quick: { type: 'boolean', default: false },
      rounds: { type: 'string' },
      json: { type: 'string' },
      markdown: { type: 'string' },
      svg: { type: 'string' },
      compare: { type: 'string' },
      list: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) return { text: HELP, status: 0 };
  if (values.list) return { text: listOf(probes), status: 0 };
  const rounds = values.rounds === undefined ? undefined : Number(values.rounds);
  if (rounds !== undefined && !(Number.isInteger(rounds) && rounds > 0))
    throw new Error(`--rounds ${values.rounds}: it must be a number from 1 on`);
  return { ...values, rounds, chosen: choose(values, probes) };
}

function listOf(probes) {
  const width = Math.max(...probes.map(({ name }) => name.length));
  return probes.map(({ name, group, about }) => `${name.padEnd(width)}  ${group.padEnd(6)}  ${about}`).join('\n');
}

function choose({ only, quick }, probes) {
  if (only === undefined) return probes.filter((probe) => !probe.isNamedOnly && !(quick && probe.isLong));
  const words = only.split(',').map((word) => word.trim());
  for (const word of words) {
    if (!probes.some(({ name, group }) => name === word || group === word))
      throw new Error(`--only ${word}: there is no such probe; npm run bench -- --list names them`);
  }
  return probes.filter(({ name, group }) => words.includes(name) || words.includes(group));
}
