// What a run of the bench owns: a temporary folder and every process that carries its mark. Both are gone when it ends, however it ends.
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { until } from './waits.mjs';

const MARK = 'BENCH_MARK';

/** Ends what it owns when the process exits: also after an error that was thrown, SIGINT, SIGTERM and SIGHUP. */
export function createScratch() {
  const folder = mkdtempSync(join(tmpdir(), 'gsup-bench-'));
  const mark = folder.slice(-6);
  process.on('exit', () => {
    for (let sweep = 0; sweep < 20 && killAll(carrying([`\0${MARK}=${mark}-`, `=${folder}/`])); sweep++) pause(10);
    rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
  });
  for (const [signal, status] of [
    ['SIGHUP', 129],
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ])
    process.on(signal, () => process.exit(status));
  return {
    folder,
    path: (...names) => join(folder, ...names),
    write: (name, text) => {
      const path = join(folder, name);
      writeFileSync(path, text);
      return path;
    },
    /** For everything that `name` starts: its processes are found by it, or by its home, whoever their parent is. */
    environment: (name, more = {}) => ({ ...process.env, [MARK]: `${mark}-${name}`, ...more }),
    /** The pids of what carries the mark of `name`. */
    processes: (name) => carrying(signsOf(name)),
    /** Ends everything that carries the mark of `name`, its supervisors first, and its home; resolves when all is gone. */
    end: async (name, supervisors = []) => {
      killAll(supervisors);
      await until(() => !killAll(carrying(signsOf(name))), `what ${name} has started is gone`, 10);
      rmSync(join(folder, name), { recursive: true, force: true, maxRetries: 5 });
    },
  };

  /** gsup's daemon has an environment of its own, that names its home. */
  function signsOf(name) {
    return [`\0${MARK}=${mark}-${name}\0`, `=${join(folder, name)}\0`];
  }
}

function carrying(signs) {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
    .filter((name) => {
      const environment = environmentOf(name);
      return signs.some((sign) => environment.includes(sign));
    })
    .map(Number);
}

/** With a zero byte before each variable; empty for a zombie. */
function environmentOf(pid) {
  try {
    return `\0${readFileSync(`/proc/${pid}/environ`, 'latin1')}`;
  } catch {
    return '';
  }
}

/** Whether there was anything. */
function killAll(pids) {
  for (const pid of pids) {
    try {
      process.kill(pid, 'SIGKILL');
    } catch {
      // It is gone.
    }
  }
  return pids.length > 0;
}

/** In an exit handler nothing else waits. */
function pause(ms) {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
}
