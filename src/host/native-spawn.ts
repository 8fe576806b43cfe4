/**
 * A child by posix_spawn(3): the kernel shares our memory with it until exec instead of copying the page tables of a
 * whole Node, and we write to no page anew afterwards. Node, which does copy, knows nothing of such a child.
 */
import { constants } from 'node:fs';
import type { LibraryHandle } from 'koffi';

/** spawn.h, the same in glibc and musl. */
const SETSIGDEF = 0x04;
const SETSIGMASK = 0x08;
const SETSID = 0x80;
/** Of posix_spawnattr_t (336 bytes), posix_spawn_file_actions_t (80) and sigset_t (128), with room for what may come. */
const STRUCT_BYTES = 512;
/** sys/wait.h */
const WNOHANG = 1;
const STDERR = 2;

type NativeSpawn = {
  readonly file: string;
  readonly args: readonly string[];
  readonly cwd: string;
  readonly env: Readonly<Record<string, string>>;
  /** From 0 on: a descriptor of ours, or nothing (/dev/null up to 2, and closed from 3 on, as Node does it). */
  readonly descriptors: readonly (number | 'ignore')[];
};

export type Spawner = {
  /** Its pid; `null` when it can't be done this way, for whatever reason: ask Node, which tells why. */
  spawn(request: NativeSpawn): number | null;
  /** wait(2)'s status when it has ended, which also takes it away; `null` as long as it runs, -1 when it is none of ours. */
  wait(pid: number): number | null;
};

/** `null` where libc lacks a call: before glibc 2.29, musl 1.1.24. */
export function bindSpawner(libc: LibraryHandle): Spawner | null {
  try {
    return bind(libc);
  } catch {
    return null;
  }
}

function bind(libc: LibraryHandle): Spawner {
  const posixSpawn = libc.func(
    'int posix_spawn(void *pid, const char *path, void *actions, void *attributes, const char **argv, const char **envp)',
  );
  const initActions = libc.func('int posix_spawn_file_actions_init(void *actions)');
  const destroyActions = libc.func('int posix_spawn_file_actions_destroy(void *actions)');
  const addDup = libc.func('int posix_spawn_file_actions_adddup2(void *actions, int from, int to)');
  const addOpen = libc.func(
    'int posix_spawn_file_actions_addopen(void *actions, int fd, const char *path, int flags, unsigned int mode)',
  );
  const addChdir = libc.func('int posix_spawn_file_actions_addchdir_np(void *actions, const char *path)');
  const waitpid = libc.func('int waitpid(int pid, void *status, int options)');
  const attributes = makeAttributes(libc);
  const actions = Buffer.alloc(STRUCT_BYTES);
  const number = Buffer.alloc(4);
  return {
    spawn: ({ file, args, cwd, env, descriptors }) => {
      const argv = [file, ...args];
      const envp = Object.entries(env).map(([name, value]) => `${name}=${value}`);
      if (!file.includes('/') || !isLaidOut(descriptors) || [cwd, ...argv, ...envp].some(hasNul)) return null;
      if (Number(initActions(actions)) !== 0) return null;
      try {
        const lay = (from: number | 'ignore', to: number): unknown => {
          if (from !== 'ignore') return addDup(actions, from, to);
          const flags = to === 0 ? constants.O_RDONLY : constants.O_RDWR;
          return to <= STDERR ? addOpen(actions, to, '/dev/null', flags, 0) : 0;
        };
        const laid = [...descriptors.map(lay), addChdir(actions, cwd)];
        if (laid.some((failure) => Number(failure) !== 0)) return null;
        const failure = Number(posixSpawn(number, file, actions, attributes, [...argv, null], [...envp, null]));
        return failure === 0 ? number.readInt32LE(0) : null;
      } finally {
        destroyActions(actions);
      }
    },
    wait: (pid) => {
      const found = Number(waitpid(pid, number, WNOHANG));
      if (found === 0) return null;
      return found === pid ? number.readInt32LE(0) : -1;
    },
  };
}

/** A session of its own; no signal is ignored or held back, as Node leaves it to its children too. */
function makeAttributes(libc: LibraryHandle): Buffer {
  const attributes = Buffer.alloc(STRUCT_BYTES);
  const everySignal = Buffer.alloc(STRUCT_BYTES, 0xff);
  const noSignal = Buffer.alloc(STRUCT_BYTES);
  libc.func('int posix_spawnattr_init(void *attributes)')(attributes);
  libc.func('int posix_spawnattr_setsigdefault(void *attributes, void *signals)')(attributes, everySignal);
  libc.func('int posix_spawnattr_setsigmask(void *attributes, void *signals)')(attributes, noSignal);
  libc.func('int posix_spawnattr_setflags(void *attributes, short flags)')(attributes, SETSIGDEF | SETSIGMASK | SETSID);
  return attributes;
}

/** They are laid one after the other: none may lie where another comes to before its turn. */
function isLaidOut(descriptors: readonly (number | 'ignore')[]): boolean {
  return descriptors.every((from, to) => from === 'ignore' || from === to || from >= descriptors.length);
}

/** C would end the text there; Node refuses it with a reason. */
function hasNul(text: string): boolean {
  return text.includes('\0');
}
