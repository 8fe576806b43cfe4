/** A cgroup v2 of an instance's own, where one can be made: it holds what leaves its group and forgets its token. */
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  statSync,
  writeFile,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { killsOf } from './oom-counts.ts';
import { readProcFile } from './proc-file.ts';
import { readDescendants } from './processes.ts';

type Parent = { readonly folder: string; readonly path: string };
/** Where ours are made: below the group that we are in; `null` when none can be made. Found once. */
let parent: Parent | null | undefined;
/** Whether ours count OOM kills. Found once. */
let isCounting: boolean | undefined;

/** A program that is over sooner gets none: to be moved may take the kernel 10 ms (it waits for RCU), and an exit waits with it. */
const SETTLED_MS = 10;

const LEFTOVER_AGE_MS = 60_000;

/** One instance's cgroup; every call is harmless when it is gone. */
export type Cgroup = {
  /** False before it is made, and where the machine or our rights don't allow it: the token has to do. */
  readonly isThere: boolean;
  /** As /proc/PID/cgroup names it; `null` before it is made. */
  readonly path: string | null;
  /** The processes in it. */
  pids(): readonly number[];
  /** SIGKILL to all of it at once, however fast it forks (Linux 5.14). */
  kill(): void;
  remove(): void;
  /** How many of its processes the kernel's OOM killer has ended; `null`: it does not count them. */
  oomKills(): { readonly folder: string; readonly kills: number } | null;
};

type Leader = { readonly pid: number; readonly startTicks: number };

/** Makes one and puts a process in, soon: what it starts from then on is in it, too. */
export function makeCgroup(leader: Leader): Cgroup {
  const { pid } = leader;
  let made: Cgroup | null = null;
  const make = (): void => {
    const place = newPlace(nameOf(leader));
    if (place === null) return;
    const { folder } = place;
    made = handleOf(place);
    for (const one of [pid, ...readDescendants(pid)]) writeFile(join(folder, 'cgroup.procs'), String(one), () => {});
  };
  const timer = setTimeout(make, SETTLED_MS);
  return {
    get isThere() {
      return made !== null;
    },
    get path() {
      return made?.path ?? null;
    },
    pids: () => made?.pids() ?? [],
    oomKills: () => made?.oomKills() ?? null,
    kill: () => made?.kill(),
    remove: () => {
      clearTimeout(timer);
      made?.remove();
    },
  };
}

/** Every user can list cgroups: a name must not give the token of the run away, which speaks for it on the link. */
function nameOf({ pid, startTicks }: Leader): string {
  return `gsup-${pid}-${startTicks}`;
}

function newPlace(name: string): Parent | null {
  parent ??= findParent();
  if (parent === null) return null;
  const place = placeIn(parent, name);
  try {
    mkdirSync(place.folder);
    return place;
  } catch (error) {
    // Of another PID namespace, which has the same numbers.
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') parent = null;
    return null;
  }
}

/** The one that an earlier supervisor made for this run, if it is there; older versions named it by the token. */
export function findCgroup(leader: Leader, token: string): Cgroup | null {
  parent ??= findParent();
  if (parent === null) return null;
  for (const name of [nameOf(leader), `gsup-${token}`]) {
    const place = placeIn(parent, name);
    if (existsSync(place.folder)) return handleOf(place);
  }
  return null;
}

function placeIn({ folder, path }: Parent, name: string): Parent {
  return { folder: join(folder, name), path: `${path === '/' ? '' : path}/${name}` };
}

function handleOf({ folder, path }: Parent): Cgroup {
  return {
    isThere: true,
    path,
    pids: () => readPids(join(folder, 'cgroup.procs')),
    oomKills: () => {
      // Of all or of none: it is as the group above them says.
      isCounting ??= killsOf(folder) !== null;
      const kills = isCounting ? killsOf(folder) : null;
      return kills === null ? null : { folder, kills };
    },
    kill: () => quietly(() => writeFileSync(join(folder, 'cgroup.kill'), '1')),
    remove: () => quietly(() => rmdirSync(folder)),
  };
}

/** cgroups(7): the mount is not always /sys/fs/cgroup, and /proc/self/cgroup names our group below it. */
function findParent(): Parent | null {
  try {
    const mount = readFileSync('/proc/mounts', 'latin1')
      .split('\n')
      .map((line) => line.split(' '))
      .find(([, , type]) => type === 'cgroup2')?.[1];
    const own = /^0::(.*)$/m.exec(readFileSync('/proc/self/cgroup', 'latin1'))?.[1];
    if (mount === undefined || own === undefined || own.includes('..')) return null;
    const folder = join(mount, own);
    removeLeftovers(folder);
    return existsSync(join(folder, 'cgroup.procs')) ? { folder, path: own } : null;
  } catch {
    return null;
  }
}

/** Those of a supervisor that was killed with -9; one with processes in it can't be removed, a young one may be about to get some. */
function removeLeftovers(folder: string): void {
  for (const name of readdirSync(folder)) {
    if (!/^gsup-([0-9a-f-]{36}|\d+-\d+)$/.test(name)) continue;
    const age = Date.now() - (statSync(join(folder, name), { throwIfNoEntry: false })?.mtimeMs ?? Date.now());
    if (age > LEFTOVER_AGE_MS) quietly(() => rmdirSync(join(folder, name)));
  }
}

function readPids(file: string): readonly number[] {
  try {
    return readProcFile(file).split('\n').filter(Boolean).map(Number);
  } catch {
    return [];
  }
}

function quietly(act: () => void): boolean {
  try {
    act();
    return true;
  } catch {
    return false;
  }
}
