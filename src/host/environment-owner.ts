/** Which user gave a process its environment: what stands in it is a claim of that user, and of nobody else. */
import { endianness } from 'node:os';
import { readProcFile } from './proc-file.ts';

/** getauxval(3): nonzero for a set-user-ID program, which keeps the environment of its caller. */
const AT_SECURE = 23;

/** `null`: not known, or not to be trusted. A process that has changed its user is its new user's. */
export function environmentOwner(pid: number): number | null {
  const uid = userOf(pid);
  return uid === null || isSecure(pid) ? null : uid;
}

/** The real and effective user of a process; `null` where they differ, or it is gone. */
export function userOf(pid: number): number | null {
  const [, real, effective] = /^Uid:\t(\d+)\t(\d+)/m.exec(read(`/proc/${pid}/status`)) ?? [];
  return real === undefined || real !== effective ? null : Number(real);
}

/** Whether it was executed as a set-user-ID program: sudo, for one, is root with an environment of its caller. */
function isSecure(pid: number): boolean {
  const auxv = Buffer.from(read(`/proc/${pid}/auxv`), 'latin1');
  const isLittle = endianness() === 'LE';
  // A program of 32 bits has a vector of 32 bits. Types are small numbers, values behind the first of them are not.
  const width = auxv.length < 8 || auxv.readUInt32LE(isLittle ? 4 : 0) === 0 ? 8 : 4;
  const wordAt = (at: number): number => {
    if (width === 4) return isLittle ? auxv.readUInt32LE(at) : auxv.readUInt32BE(at);
    return Number(isLittle ? auxv.readBigUInt64LE(at) : auxv.readBigUInt64BE(at));
  };
  for (let at = 0; at + 2 * width <= auxv.length; at += 2 * width)
    if (wordAt(at) === AT_SECURE) return wordAt(at + width) !== 0;
  return false;
}

function read(file: string): string {
  try {
    return readProcFile(file);
  } catch {
    return '';
  }
}
