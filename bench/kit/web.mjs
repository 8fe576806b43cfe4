// An HTTP service of two instances under a daemon.
import { readFileSync } from 'node:fs';
import { freePort } from './load.mjs';
import { APP } from './programs.mjs';
import { until } from './waits.mjs';

export const INSTANCES = 2;

export function withWeb(adapters) {
  return adapters.filter(({ web }) => web !== undefined);
}

/** Resolves with the port when both instances are there. `workers`: so many idle processes beside them. */
export async function startWeb(adapter, { environment = {}, workers = 0 } = {}) {
  const port = await freePort();
  await adapter.up();
  await adapter.web.start({ app: APP, port, instances: INSTANCES, environment, workers });
  await until(() => adapter.web.pids().length === INSTANCES, `${adapter.name}: both instances run`, 50);
  return port;
}

export function isReplaced(adapter, before) {
  const after = adapter.web.pids();
  return after.length === INSTANCES && before.length === INSTANCES && !after.some((pid) => before.includes(pid));
}

export function checkReplaced(adapter, before) {
  if (isReplaced(adapter, before)) return;
  throw new Error(`${adapter.name}: a reload went from pids ${before} to ${adapter.web.pids()}`);
}

/** What the app has written of itself: `{ pid: { ready, ended } }`, in milliseconds. */
export function timesIn(file) {
  const times = {};
  for (const line of readFileSync(file, 'utf8').trim().split('\n')) {
    const [word, pid, ms] = line.split(' ');
    times[pid] = { ...times[pid], [word]: Number(ms) };
  }
  return times;
}
