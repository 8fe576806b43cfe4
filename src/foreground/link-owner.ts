/** Which process the folder of a link belongs to. */
import { readFileSync, readlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { OWNER_FILE } from '../host/link-files.ts';

/** The start of the folders' names. */
export const LINK_FOLDER = 'gsup-run-';

/** Writes who we are into a new folder of ours. Without it no other run removes the folder. */
export function markOwner(folder: string): void {
  try {
    writeFileSync(join(folder, OWNER_FILE), `${process.pid} ${pidSpace()}`, { flag: 'wx', mode: 0o600 });
  } catch {
    // No room for it, or no /proc.
  }
}

/** A pid says something only in its own PID namespace, and until the machine starts again. */
export function pidSpace(): string {
  return `${readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim()} ${readlinkSync('/proc/self/ns/pid')}`;
}
