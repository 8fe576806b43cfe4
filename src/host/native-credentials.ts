/**
 * The rights of another user for the length of one call. Linux keeps credentials per thread but libc changes them for all
 * threads, so this uses system calls directly. The real uid never changes, so no other user may signal this process.
 */
import type { LibraryHandle } from 'koffi';

/** Numbers of setgroups and setresgid; other architectures use the portable fallback. */
const CALLS: Readonly<Partial<Record<string, readonly [number, number]>>> = {
  x64: [116, 119],
  arm64: [159, 149],
  riscv64: [159, 149],
  loong64: [159, 149],
};
/** The same number on every architecture since Linux 5.8. */
const SYS_FACCESSAT2 = 439;
const AT_FDCWD = -100;
const AT_EACCESS = 0x200;
const X_OK = 1;
/** linux/capability.h */
const CAPABILITY_VERSION_3 = 0x2008_0522;
const CAP_SETGID = 6;
/** linux/prctl.h */
const PR_GET_DUMPABLE = 3;
const PR_SET_DUMPABLE = 4;

type Ids = { readonly uid: number; readonly gid: number; readonly groups: readonly number[] };

export type Credentials = {
  /**
   * Runs `work`, which must be synchronous, with the groups of a user, which a child started by it keeps, and, unless
   * `fileRights` is `own`, with the file rights of that user. `null` where this process may not switch.
   */
  during<T>(ids: Ids, work: () => T, fileRights?: 'user' | 'own'): { readonly result: T } | null;
  /** Whether the current rights allow executing a file; `null` where the kernel lacks faccessat2(2). */
  mayExecute(path: string): boolean | null;
};

/** `null` on an architecture that is not listed. */
export function bindCredentials(libc: LibraryHandle): Credentials | null {
  const [setgroupsCall, setresgidCall] = CALLS[process.arch] ?? [];
  if (setgroupsCall === undefined || setresgidCall === undefined) return null;
  const setgroups = libc.func('long syscall(long number, size_t count, void *groups)');
  const setresgid = libc.func('long syscall(long number, int real, int effective, int saved)');
  const faccessat = libc.func('long syscall(long number, int folder, const char *path, int mode, int flags)');
  const getgroups = libc.func('int getgroups(int count, void *groups)');
  const setfsuid = libc.func('int setfsuid(unsigned int uid)');
  const capget = libc.func('int capget(void *header, void *sets)');
  const capset = libc.func('int capset(void *header, void *sets)');
  const prctl = libc.func(
    'int prctl(int option, unsigned long two, unsigned long three, unsigned long four, unsigned long five)',
  );
  const header = Buffer.from(Uint32Array.of(CAPABILITY_VERSION_3, 0).buffer);
  const getGroups = (): Uint32Array | null => {
    const list = new Uint32Array(Math.max(0, Number(getgroups(0, null))));
    return Number(getgroups(list.length, list)) === list.length ? list : null;
  };
  const putGroups = (groups: Uint32Array): boolean => Number(setgroups(setgroupsCall, groups.length, groups)) === 0;
  const putGid = (gid: number): boolean => Number(setresgid(setresgidCall, gid, gid, gid)) === 0;
  const putFsUid = (uid: number): boolean => {
    setfsuid(uid);
    // It returns the previous value, whether or not it changed it.
    return Number(setfsuid(uid)) === uid;
  };
  return {
    during: ({ uid, gid, groups }, work, fileRights = 'user') => {
      const own = { uid: process.geteuid?.() ?? 0, gid: process.getegid?.() ?? 0, groups: getGroups() };
      const capabilities = Buffer.alloc(24);
      if (own.groups === null || process.getgid?.() !== own.gid || Number(capget(header, capabilities)) !== 0)
        return null;
      const ownGroups = own.groups;
      // libuv calls setgroups(0) in the child and ignores its failure: without CAP_SETGID the groups stay.
      const fewer = Buffer.from(capabilities);
      fewer.writeUInt32LE((fewer.readUInt32LE(0) & ~(1 << CAP_SETGID)) >>> 0, 0);
      const isDumpable = Number(prctl(PR_GET_DUMPABLE, 0, 0, 0, 0)) === 1;
      type Step = readonly [enter: () => boolean, leave: () => boolean];
      const asUser: Step = [() => putFsUid(uid), () => putFsUid(own.uid)];
      const steps: readonly Step[] = [
        [() => putGroups(Uint32Array.from(groups)), () => putGroups(ownGroups)],
        [() => putGid(gid), () => putGid(own.gid)],
        [() => Number(capset(header, fewer)) === 0, () => Number(capset(header, capabilities)) === 0],
        ...(fileRights === 'user' ? [asUser] : []),
      ];
      let entered = 0;
      try {
        while (entered < steps.length && steps[entered]?.[0]() === true) entered++;
        return entered === steps.length ? { result: work() } : null;
      } finally {
        const isBack = steps
          .slice(0, entered)
          .reverse()
          .every(([, leave]) => leave());
        if (isDumpable) prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
        // To continue with the rights of another user would be worse than to crash.
        if (!isBack) process.abort();
      }
    },
    mayExecute: (path) => {
      if (Number(faccessat(SYS_FACCESSAT2, AT_FDCWD, path, X_OK, AT_EACCESS)) === 0) return true;
      return Number(faccessat(SYS_FACCESSAT2, AT_FDCWD, '/', X_OK, AT_EACCESS)) === 0 ? false : null;
    },
  };
}
