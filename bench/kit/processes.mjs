// What /proc tells of processes: memory, processor time, children.
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { sum } from './statistics.mjs';

/** Of all threads of all of them: time on a processor (the first word of schedstat), and how often they went to sleep. */
export function activityOf(pids) {
  let [cpuUs, switches] = [0, 0];
  for (const pid of pids) {
    for (const thread of readdirSync(`/proc/${pid}/task`)) {
      cpuUs += Number(read(`/proc/${pid}/task/${thread}/schedstat`).split(' ')[0]) / 1000;
      switches += Number(
        /^voluntary_ctxt_switches:\s+(\d+)/m.exec(read(`/proc/${pid}/task/${thread}/status`))?.[1] ?? 0,
      );
    }
  }
  return { cpuUs, switches };
}

export function childrenOf(pid) {
  if (!existsSync(`/proc/${pid}/task`)) return [];
  return readdirSync(`/proc/${pid}/task`).flatMap((thread) =>
    read(`/proc/${pid}/task/${thread}/children`).split(' ').filter(Boolean).map(Number),
  );
}

/** In KiB, of all of them. */
export function pssOf(pids) {
  return sum(pids.map((pid) => field(pid, 'Pss', 'smaps_rollup')));
}

/** The highest resident memory in KiB since `forgetPeak`. */
export function peakOf(pid) {
  return field(pid, 'VmHWM');
}

export function forgetPeak(pid) {
  writeFileSync(`/proc/${pid}/clear_refs`, '5');
}

/** A zombie is not alive: it has no memory. */
export function isAlive(pid) {
  return /^VmRSS:/m.test(read(`/proc/${pid}/status`));
}

export function isGone(pid) {
  return !existsSync(`/proc/${pid}`);
}

/** What it has exec'ed, at most 15 characters. */
export function programOf(pid) {
  return read(`/proc/${pid}/comm`).trim();
}

function field(pid, key, file = 'status') {
  const found = new RegExp(`^${key}:\\s+(\\d+)`, 'm').exec(read(`/proc/${pid}/${file}`));
  if (found === null) throw new Error(`process ${pid} has no ${key}: it has ended`);
  return Number(found[1]);
}

function read(path) {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return '';
  }
}
