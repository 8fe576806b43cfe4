/** What Node can't ask of the kernel, by koffi: an optional dependency, `null` where it is missing. */
import type { LibraryHandle } from 'koffi';

/** linux/pidfd.h: _IOWR(0xFF, 11, 64 bytes of struct pidfd_info). */
const PIDFD_GET_INFO = 0xc040ff0b;
const INFO_BYTES = 64;
const INFO_EXIT = 8n;
const EXIT_CODE_AT = 60;
/** The same number on every architecture since Linux 5.3. */
const SYS_PIDFD_OPEN = 434;

export type Native = {
  /** A descriptor that becomes readable when the process ends; -1 when there is none or the kernel is older than 5.3. */
  openPidfd(pid: number): number;
  /** wait(2)'s status of a process that has ended, or `null` where the kernel doesn't tell (before 6.15). */
  exitStatus(pidfd: number): number | null;
};

let loaded: Promise<Native | null> | null = null;

/** Loads it once; every later call answers the same. */
export function loadNative(): Promise<Native | null> {
  loaded ??= import('koffi').then(
    (module) => bind(module.default.load(null as unknown as string)),
    () => null,
  );
  return loaded;
}

function bind(libc: LibraryHandle): Native {
  const syscall = libc.func('long syscall(long number, int pid, unsigned int flags)');
  const ioctl = libc.func('int ioctl(int fd, unsigned long request, void *info)');
  return {
    openPidfd: (pid) => Number(syscall(SYS_PIDFD_OPEN, pid, 0)),
    exitStatus: (pidfd) => {
      const info = Buffer.alloc(INFO_BYTES);
      info.writeBigUInt64LE(INFO_EXIT);
      const isTold = Number(ioctl(pidfd, PIDFD_GET_INFO, info)) === 0 && (info.readBigUInt64LE() & INFO_EXIT) !== 0n;
      return isTold ? info.readInt32LE(EXIT_CODE_AT) : null;
    },
  };
}
