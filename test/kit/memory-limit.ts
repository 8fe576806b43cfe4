/** A cgroup with little memory, of the version that this machine has for memory; removed afterwards. */
import { existsSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const LIMIT_BYTES = 40 * 1024 ** 2;

export class MemoryLimit implements Disposable {
  readonly folder: string;

  private constructor(folder: string) {
    this.folder = folder;
  }

  /** `null`, with the reason printed, where none can be made. */
  static make(name: string): MemoryLimit | null {
    const mounts = readFileSync('/proc/mounts', 'latin1')
      .split('\n')
      .map((line) => line.split(' '));
    const first = mounts.find(([, , type, options]) => type === 'cgroup' && options?.split(',').includes('memory'));
    const second = mounts.find(([, , type]) => type === 'cgroup2');
    const mount = (first ?? second)?.[1];
    const limit = first === undefined ? 'memory.max' : 'memory.limit_in_bytes';
    if (mount === undefined) return skipped('there are no cgroups');
    const folder = join(mount, name);
    try {
      mkdirSync(folder);
      if (existsSync(join(folder, limit))) {
        writeFileSync(join(folder, limit), String(LIMIT_BYTES));
        return new MemoryLimit(folder);
      }
      rmdirSync(folder);
      return skipped('there is no memory controller');
    } catch (error) {
      return skipped((error as Error).message);
    }
  }

  /** A command line for a shell that puts itself in and becomes `command`. */
  within(command: string): string {
    return `echo $$ > ${join(this.folder, 'cgroup.procs')} && exec ${command}`;
  }

  [Symbol.dispose](): void {
    rmdirSync(this.folder);
  }
}

function skipped(why: string): null {
  console.warn(`skipped: no cgroup with a memory limit can be made here: ${why}`);
  return null;
}
