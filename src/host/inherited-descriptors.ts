/** Unknown descriptors that this process inherited: without this, every child would inherit them in turn. */
import { closeSync, readdirSync, readFileSync } from 'node:fs';

/** asm-generic/fcntl.h; alpha, parisc and sparc have others. */
const O_CLOEXEC = 0o2000000;
const FIRST = 3;

/**
 * Closes them. Node sets close-on-exec on the descriptors it was started with, but stops at the first unused number
 * above 15 (uv_disable_stdio_inheritance); all descriptors that Node opens itself are closed on exec.
 */
export function closeInherited(): void {
  const numbers = readdirSync('/proc/self/fd').map(Number);
  for (const fd of numbers.filter((one) => one >= FIRST && isInheritable(one))) closeSync(fd);
}

/** False for the descriptor of the listing itself, which is closed by now. */
function isInheritable(fd: number): boolean {
  try {
    const flags = /^flags:\s*([0-7]+)$/m.exec(readFileSync(`/proc/self/fdinfo/${fd}`, 'latin1'))?.[1];
    return flags !== undefined && (Number.parseInt(flags, 8) & O_CLOEXEC) === 0;
  } catch {
    return false;
  }
}
