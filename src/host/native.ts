/** What Node can't ask of the kernel, by koffi: an optional dependency, `null` where it is missing. */
import type Koffi from 'koffi';
import type { LibraryHandle } from 'koffi';
import { bindCredentials, type Credentials } from './native-credentials.ts';
import { bindSpawner, type Spawner } from './native-spawn.ts';

/** linux/pidfd.h: _IOWR(0xFF, 11, 64 bytes of struct pidfd_info). */
const PIDFD_GET_INFO = 0xc040ff0b;
const INFO_BYTES = 64;
const INFO_EXIT = 8n;
const EXIT_CODE_AT = 60;
/** asm-generic/ioctls.h, sys/mman.h. */
const F_SETPIPE_SZ = 1031;
const FIONREAD = 0x541b;
const PROT_READ_WRITE = 3;
const MAP_SHARED = 1;
const MADV_DONTNEED = 4;
const MAP_FAILED = 0xffff_ffff_ffff_ffffn;
/** linux/prctl.h, sys/wait.h. */
const PR_SET_CHILD_SUBREAPER = 36;
const WNOHANG = 1;
/** The same number on every architecture since Linux 5.3. */
const SYS_PIDFD_OPEN = 434;
const SYS_PIDFD_GETFD = 438;
/** asm-generic/socket.h, and struct ucred: pid, uid and gid of 4 bytes each. */
const SOL_SOCKET = 1;
const SO_PEERCRED = 17;
/** Since Linux 6.16; earlier ones know no such option. */
const SO_PASSRIGHTS = 83;
const CREDENTIALS_BYTES = 12;
const UID_AT = 4;
/** sys/socket.h: AF_UNIX, and SOCK_STREAM with SOCK_CLOEXEC. */
const UNIX = 1;
const STREAM_CLOSED_ON_EXEC = 0x80001;

export type Native = {
  /** A descriptor that becomes readable when the process ends; -1 when there is none or the kernel is older than 5.3. */
  openPidfd(pid: number): number;
  /** wait(2)'s status of a process that has ended, or `null` where the kernel doesn't tell (before 6.15). */
  exitStatus(pidfd: number): number | null;
  /** What becomes an orphan below us becomes a child of ours: PR_SET_CHILD_SUBREAPER of prctl(2). */
  becomeSubreaper(): void;
  /** Takes the end of a child that Node does not know; it must be a zombie. */
  reap(pid: number): void;
  /** Makes a FIFO of mode 0600; false when that was refused. */
  makeFifo(path: string): boolean;
  /** Lets a pipe hold so much, where the user's limit (pipe-user-pages-soft) allows it. */
  widenPipe(fd: number, bytes: number): void;
  /** Two connected sockets, or `null` when there are no descriptors left. */
  socketPair(): readonly [number, number] | null;
  /** A descriptor of another process as one of ours (Linux 5.6, with the right to trace it); -1 when refused. */
  takeDescriptor(pidfd: number, fd: number): number;
  /** Maps a file of that size, shared: what stands in it survives this process, whatever ends it. `null` when refused. */
  mapFile(fd: number, size: number): Mapping | null;
  /** What malloc keeps of what was freed goes back to the kernel; nothing where libc has no such call. */
  trimHeap(): void;
  /** Pages of a file leave this process until they are used again: MADV_DONTNEED of madvise(2). None may have been written to. */
  forgetPages(from: bigint, length: number): void;
  /** Makes a Unix socket refuse messages with descriptors; nothing where the kernel can't. */
  refuseDescriptors(fd: number): void;
  /** The process at the other end of a Unix socket and its user (SO_PEERCRED of unix(7)); `null` where it isn't known. */
  peerOf(fd: number): { readonly pid: number; readonly uid: number } | null;
  /** Children without a copy of our memory; `null` where libc can't. */
  readonly spawner: Spawner | null;
  /** Switches to the file rights of another user; `null` where that is not supported. */
  readonly credentials: Credentials | null;
};

/** A file in memory. */
export type Mapping = {
  readonly bytes: Buffer;
  /** How many bytes can be read from a pipe now. */
  available(fd: number): number;
  /** Reads into the mapping, at `offset`; the number of bytes, or -1. */
  read(fd: number, offset: number, length: number): number;
};

let loaded: Promise<Native | null> | null = null;
let present: Native | null = null;

/** It, where it has been loaded already. */
export function nativeNow(): Native | null {
  return present;
}

/** Loads it once; every later call answers the same. */
export function loadNative(): Promise<Native | null> {
  loaded ??= import('koffi').then(
    ({ default: koffi }) => {
      present = bind(koffi.load(null as unknown as string), koffi.view);
      return present;
    },
    () => null,
  );
  return loaded;
}

function bind(libc: LibraryHandle, view: typeof Koffi.view): Native {
  const syscall = libc.func('long syscall(long number, int pid, unsigned int flags)');
  const mmap = libc.func('void *mmap(void *where, size_t length, int protection, int flags, int fd, int64_t offset)');
  const read = libc.func('long read(int fd, void *buffer, size_t count)');
  const getfd = libc.func('long syscall(long number, int pidfd, int fd, unsigned int flags)');
  const socketpair = libc.func('int socketpair(int domain, int type, int protocol, void *pair)');
  const fcntl = libc.func('int fcntl(int fd, int command, int argument)');
  const mkfifo = libc.func('int mkfifo(const char *path, unsigned int mode)');
  const prctl = libc.func(
    'int prctl(int option, unsigned long two, unsigned long three, unsigned long four, unsigned long five)',
  );
  const waitpid = libc.func('int waitpid(int pid, void *status, int options)');
  const madvise = libc.func('int madvise(uint64_t from, size_t length, int advice)');
  const mallocTrim = optional(() => libc.func('int malloc_trim(size_t keep)'));
  const getsockopt = libc.func('int getsockopt(int fd, int level, int name, void *value, void *length)');
  const setsockopt = libc.func('int setsockopt(int fd, int level, int name, void *value, unsigned int length)');
  const ioctl = libc.func('int ioctl(int fd, unsigned long request, void *info)');
  return {
    openPidfd: (pid) => Number(syscall(SYS_PIDFD_OPEN, pid, 0)),
    exitStatus: (pidfd) => {
      const info = Buffer.alloc(INFO_BYTES);
      info.writeBigUInt64LE(INFO_EXIT);
      const isTold = Number(ioctl(pidfd, PIDFD_GET_INFO, info)) === 0 && (info.readBigUInt64LE() & INFO_EXIT) !== 0n;
      return isTold ? info.readInt32LE(EXIT_CODE_AT) : null;
    },
    becomeSubreaper: () => void prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0),
    reap: (pid) => void waitpid(pid, null, WNOHANG),
    makeFifo: (path) => Number(mkfifo(path, 0o600)) === 0,
    widenPipe: (fd, bytes) => void fcntl(fd, F_SETPIPE_SZ, bytes),
    socketPair: () => {
      const pair = Buffer.alloc(8);
      if (Number(socketpair(UNIX, STREAM_CLOSED_ON_EXEC, 0, pair)) !== 0) return null;
      return [pair.readInt32LE(0), pair.readInt32LE(4)];
    },
    takeDescriptor: (pidfd, fd) => Number(getfd(SYS_PIDFD_GETFD, pidfd, fd, 0)),
    trimHeap: () => void mallocTrim?.(0),
    refuseDescriptors: (fd) => void setsockopt(fd, SOL_SOCKET, SO_PASSRIGHTS, Buffer.alloc(4), 4),
    peerOf: (fd) => {
      const [value, length] = [Buffer.alloc(CREDENTIALS_BYTES), Buffer.alloc(4)];
      length.writeUInt32LE(CREDENTIALS_BYTES);
      const failure = Number(getsockopt(fd, SOL_SOCKET, SO_PEERCRED, value, length));
      // On other architectures the number may be that of a shorter option.
      if (failure !== 0 || length.readUInt32LE() !== CREDENTIALS_BYTES) return null;
      return { pid: value.readInt32LE(0), uid: value.readUInt32LE(UID_AT) };
    },
    spawner: bindSpawner(libc),
    credentials: optional(() => bindCredentials(libc)),
    forgetPages: (from, length) => void madvise(from, length, MADV_DONTNEED),
    mapFile: (fd, size) => {
      const address: unknown = mmap(null, size, PROT_READ_WRITE, MAP_SHARED, fd, 0);
      if (typeof address !== 'bigint' || address === MAP_FAILED) return null;
      const count = Buffer.alloc(4);
      return {
        bytes: Buffer.from(view(address, size)),
        available: (pipe) => (Number(ioctl(pipe, FIONREAD, count)) === 0 ? count.readInt32LE() : 0),
        read: (pipe, offset, length) => Number(read(pipe, address + BigInt(offset), length)),
      };
    },
  };
}

/** glibc's alone: musl does without. */
function optional<T>(find: () => T): T | null {
  try {
    return find();
  } catch {
    return null;
  }
}
