/** How this very gsup is called by somebody else: a unit, an exported file. */
import { realpathSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname } from 'node:path';

/** What services of a unit find programs in, as systemd has it. */
const DEFAULT_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin';

/** Node and the script, absolute and without links that a later version may point elsewhere. */
export function ownCommand(): readonly [string, string] {
  return [process.execPath, realpathSync(process.argv[1] ?? '')];
}

/** The usual PATH, with the folder of this Node in front where it is not in it. */
export function servicePath([node]: readonly [string, ...string[]] | readonly string[]): string {
  const folder = dirname(node ?? '');
  return DEFAULT_PATH.split(':').includes(folder) ? DEFAULT_PATH : `${folder}:${DEFAULT_PATH}`;
}

/** Whether koffi is installed beside this gsup. */
export function isNative(): boolean {
  try {
    createRequire(realpathSync(process.argv[1] ?? '/')).resolve('koffi');
    return true;
  } catch {
    return false;
  }
}
