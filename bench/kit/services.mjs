// The services that the daemons get, and whether they have really started them.
import { spawnSync } from 'node:child_process';
import { isAlive, programOf } from './processes.mjs';
import { STEP_CEILING_MS, until } from './waits.mjs';

/** `{ name, argv, graceMs?, isAtOnce?, log?, format? }` is what an adapter's `file()` takes. */
export function sleeps(count) {
  return Array.from({ length: count }, (_, at) => ({ name: `w${at}`, argv: ['sleep', '100000'] }));
}

/** Hears no stop signal: only SIGKILL ends it, after its grace. One process, so that nothing is left of it. */
export function stubborns(count, graceMs) {
  const argv = ['sh', '-c', 'trap "" TERM INT; exec sleep 100000'];
  return Array.from({ length: count }, (_, at) => ({ name: `w${at}`, argv, graceMs }));
}

/** The file of these services, and all that is no part of their start. */
export async function prepared(adapter, services) {
  await adapter.up();
  const file = adapter.file(services);
  await adapter.prepare?.();
  return file;
}

export async function upWith(adapter, services) {
  await adapter.start(await prepared(adapter, services));
  await until(() => allRun(adapter, services.length), `${adapter.name}: ${services.length} services run`);
}

/** Each is there and has exec'ed its program. */
export function allRun(adapter, count) {
  const pids = adapter.leaders();
  return pids.length === count && pids.every((pid) => programOf(pid) === 'sleep' && isAlive(pid));
}

export function checkCount(adapter, count) {
  if (!allRun(adapter, count))
    throw new Error(`${adapter.name}: ${adapter.leaders().length} services that run instead of ${count}`);
}

/** Its list names every service. */
export function checkList({ name, list, environment }, count) {
  const { stdout } = spawnSync(list[0], list.slice(1), {
    env: environment,
    timeout: STEP_CEILING_MS,
    maxBuffer: 1 << 26,
  });
  const named = new Set(stdout.toString().match(/\bw\d+/g));
  if (named.size !== count) throw new Error(`${name}: ls names ${named.size} services instead of ${count}`);
}
