// Which probes there are, in the order of the tables, and which supervisors take part in which kind of them.
import { bareNode } from '../adapters/bare-node.mjs';
import { foreman } from '../adapters/foreman.mjs';
import { gsup, gsupRun } from '../adapters/gsup.mjs';
import { pm2, pm2Runtime } from '../adapters/pm2.mjs';
import { runit } from '../adapters/runit.mjs';
import { s6 } from '../adapters/s6.mjs';
import { dumbInit, tini } from '../adapters/small-init.mjs';
import { supervisord } from '../adapters/supervisord.mjs';
import { appDrain } from '../probes/app-drain.mjs';
import { appLoad } from '../probes/app-load.mjs';
import { appMemory } from '../probes/app-memory.mjs';
import { appRace } from '../probes/app-race.mjs';
import { appThroughput } from '../probes/app-throughput.mjs';
import { ceilings } from '../probes/ceilings.mjs';
import { crash } from '../probes/crash.mjs';
import { idle } from '../probes/idle.mjs';
import { instances } from '../probes/instances.mjs';
import { logs } from '../probes/logs.mjs';
import { ls } from '../probes/ls.mjs';
import { memory } from '../probes/memory.mjs';
import { respawn } from '../probes/respawn.mjs';
import { rolling } from '../probes/rolling.mjs';
import { run } from '../probes/run.mjs';
import { signals } from '../probes/signals.mjs';
import { start } from '../probes/start.mjs';
import { stop } from '../probes/stop.mjs';
import { stubborn } from '../probes/stubborn.mjs';
import { thousand } from '../probes/thousand.mjs';
import { throughput } from '../probes/throughput.mjs';

export const PROBES = [
  ...[ls, memory, idle, start, stop, stubborn, respawn, logs, thousand],
  ...[run, signals, ceilings],
  ...[crash, rolling, instances, throughput],
  ...[appDrain, appRace, appThroughput, appMemory, appLoad],
];

export const GROUPS = {
  daemon: 'The daemon',
  run: 'One command in the foreground',
  http: 'An HTTP service',
  app: '`gsup/app`',
};

export const MAKERS = {
  daemon: { gsup, PM2: pm2, supervisord, s6, runit },
  run: {
    gsup: gsupRun,
    'bare Node': bareNode,
    'dumb-init': dumbInit,
    tini,
    'pm2-runtime': pm2Runtime,
    foreman,
  },
};

/** What they would tell, others of their kind tell as well. */
export const SLOW = ['runit', 'tini', 'foreman'];
