/** What the kernel tells of processes under /proc: identity, group, state, environment, command line. */
import { readdirSync, readlinkSync } from 'node:fs';
import type { Claimant } from '../core/find-leader.ts';
import { isServiceName } from '../core/name.ts';
import { plainLine } from '../core/plain-text.ts';
import type { Survivor } from '../core/record.ts';
import { maskedCommand } from '../core/secrets.ts';
import { environmentOwner } from './environment-owner.ts';
import { lowestPid } from './pid-order.ts';
import { listProc, readProcFile, readProcRecord } from './proc-file.ts';

/** USER_HZ of proc_pid_stat(5): 100 on every machine that Node runs on. */
export const TICK_MS = 10;
/** PF_EXITING of linux/sched.h: it is on its way out and needs no signal. */
const EXITING = 0x4;
const LONGEST_COMMAND = 200;
/** Of a command line, which may have 2 MiB. */
const MOST_LOOKED_AT = 4_096;

export type ProcessStat = {
  readonly pid: number;
  readonly state: string;
  readonly ppid: number;
  readonly pgrp: number;
  readonly session: number;
  /** Foreground group of its terminal, -1 without one. */
  readonly foreground: number;
  readonly isExiting: boolean;
  readonly threads: number;
  /** Clock ticks since boot: pid and this together name one process for ever. */
  readonly startTicks: number;
  /** Of all its threads, in user and kernel mode. */
  readonly cpuTicks: number;
  /** Of children that have ended and that it has waited for. */
  readonly waitedTicks: number;
  readonly residentPages: number;
  /** wait(2)'s status, once it is a zombie. */
  readonly exitStatus: number;
};

/** What a run is recognised by: its group, its cgroup, the token in its environment. */
export type Belongings = {
  readonly leader: number;
  readonly startTicks: number;
  readonly token: string;
  /** The users whose processes may show the token: that of the service, and that of its leader. */
  readonly uids: ReadonlySet<number>;
  /** Its cgroup as /proc/PID/cgroup names it; `null`: it has none. */
  readonly cgroup: string | null;
  /** Whether it has a process group of its own. */
  readonly hasGroup: boolean;
  /** Its whole group has had SIGKILL: what is left of it is dying, whether it knows yet or not. */
  readonly isGroupKilled: boolean;
  /** Pids known otherwise: in its cgroup, or descended from its leader when it was asked to stop. */
  readonly known: readonly number[];
  /** Of the machine when the run began; `null`: not known. */
  readonly forksBefore: number | null;
  /** Whether a process that nobody else claims is asked for its cgroup: for many runs that is less than to list each. */
  readonly isAskedByCgroup?: boolean;
};
export type Found = { readonly alive: readonly Survivor[]; readonly dying: number };

/** /proc/PID/stat, or `null` when there is no such process. Fields: proc_pid_stat(5). */
export function readStat(pid: number): ProcessStat | null {
  let text: string;
  try {
    text = readProcRecord(`/proc/${pid}/stat`);
  } catch {
    return null;
  }
  // The name in parentheses may hold spaces and parentheses itself.
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  return {
    pid,
    state: fields[0] ?? '?',
    ppid: Number(fields[1]),
    pgrp: Number(fields[2]),
    session: Number(fields[3]),
    foreground: Number(fields[5]),
    isExiting: (Number(fields[6]) & EXITING) !== 0,
    threads: Number(fields[17]),
    startTicks: Number(fields[19]),
    cpuTicks: Number(fields[11]) + Number(fields[12]),
    waitedTicks: Number(fields[13]) + Number(fields[14]),
    residentPages: Number(fields[21]),
    exitStatus: Number(fields[49]),
  };
}

/** Clock ticks since boot, as in `startTicks`. */
export function ticksNow(): number {
  return (Number(readProcFile('/proc/uptime').split(' ')[0]) * 1000) / TICK_MS;
}

/** Children, their children and so on, as far as the kernel lists them (CONFIG_PROC_CHILDREN). */
export function readDescendants(pid: number): readonly number[] {
  return threadsOf(pid)
    .flatMap((thread) => read(`/proc/${pid}/task/${thread}/children`).split(' ').filter(Boolean).map(Number))
    .flatMap((child) => [child, ...readDescendants(child)]);
}

/** Whether a process is in the session of a leader, or descends from it. */
export function isWithin(pid: number, leader: number | null): boolean {
  if (leader === null) return false;
  for (let stat = readStat(pid); stat !== null && stat.pid > 1; stat = readStat(stat.ppid))
    if (stat.session === leader || stat.pid === leader) return true;
  return false;
}

/** A child is listed under the thread that made it: programs in Go or Java start theirs from any. */
function threadsOf(pid: number): readonly string[] {
  try {
    return readdirSync(`/proc/${pid}/task`);
  } catch {
    return [];
  }
}

/** Every living process of each run beside its leader, in one sweep over /proc. */
export function findProcesses(runs: readonly Belongings[]): readonly Found[] {
  const found = runs.map(() => ({ alive: [] as Survivor[], dying: 0 }));
  sweep(runs, (stat, run, index) => {
    const owner = found[index];
    if (owner === undefined || run.leader === stat.pid) return;
    const { pid, startTicks } = stat;
    const isInGroup = run.hasGroup && stat.pgrp === run.leader;
    if (stat.isExiting || (isInGroup && run.isGroupKilled)) owner.dying++;
    else owner.alive.push({ pid, startTicks, command: commandLine(pid), isInGroup });
  });
  return found;
}

/** The leader and all else that lives of each run, in one sweep over /proc. */
export function statsOf(runs: readonly Belongings[]): readonly (readonly ProcessStat[])[] {
  const stats = runs.map((): ProcessStat[] => []);
  sweep(runs, (stat, _, index) => {
    if (!stat.isExiting) stats[index]?.push(stat);
  });
  return stats;
}

/** Visits every living process of these runs, their leaders among them. */
function sweep(runs: readonly Belongings[], visit: (stat: ProcessStat, run: Belongings, index: number) => void): void {
  const ownerOf = ownersOf(runs);
  const earliest = Math.min(...runs.map(({ startTicks }) => startTicks));
  const lowest = lowestPid(runs);
  for (const entry of listProc()) {
    const pid = Number(entry);
    // NaN for what is no process.
    if (!(pid >= lowest) || pid === process.pid) continue;
    const stat = readStat(pid);
    // What began before the first leader can't come from one; a zombie holds nothing.
    if (!stat || isDead(stat) || stat.startTicks < earliest) continue;
    const index = ownerOf(stat);
    const run = index === undefined ? undefined : runs[index];
    if (index !== undefined && run !== undefined) visit(stat, run, index);
  }
}

/** One process for ever: no other of this boot has the same pid and start time. */
type ProcessId = { readonly pid: number; readonly startTicks: number };

/** Whether `survivor` still is the process that it was. */
export function isSame({ pid, startTicks }: ProcessId): boolean {
  return readStat(pid)?.startTicks === startTicks;
}

/** Whether that process lives; a zombie does not. */
export function isRunning({ pid, startTicks }: ProcessId): boolean {
  const stat = readStat(pid);
  return stat !== null && stat.startTicks === startTicks && !isDead(stat);
}

/** Whether the leader of a run lives under its pid: the same start time, and the token, cgroup or streams that are ours. */
export function isLeader(
  { pid, token, startTicks }: ProcessId & { readonly token: string },
  files: readonly string[],
): boolean {
  const stat = readStat(pid);
  if (stat === null || stat.startTicks !== startTicks || isDead(stat)) return false;
  // The kernel shows nothing else of a process whose main thread has ended.
  if (stat.state === 'Z') return true;
  const shown = tokenOf(pid);
  // Some programs write their title over their environment (setproctitle): nginx, redis, PostgreSQL.
  return shown === null ? isPlacedIn(pid, { pid, token, startTicks }, files) : shown === token;
}

/**
 * Whether the group of a leader that is gone is its group still. The kernel gives a pid away once no group has its
 * number, so a later process of any user may have led a group of this number and ended: a member has to show whose it is.
 */
export function isGroupOf(
  run: ProcessId & { readonly token: string; readonly uid: number | null },
  files: readonly string[],
): boolean {
  return listProc().some((entry) => {
    const pid = Number(entry);
    const stat = Number.isInteger(pid) ? readStat(pid) : null;
    if (stat === null || stat.pgrp !== run.pid || stat.session !== run.pid || isDead(stat)) return false;
    if (isPlacedIn(pid, run, files)) return true;
    return run.uid !== null && tokenOf(pid) === run.token && environmentOwner(pid) === run.uid;
  });
}

/** Whether a process is in the cgroup of a run, or writes to its streams. */
function isPlacedIn(pid: number, run: ProcessId & { readonly token: string }, files: readonly string[]): boolean {
  const cgroup = cgroupOf(pid) ?? '';
  const names = [`/gsup-${run.pid}-${run.startTicks}`, `/gsup-${run.token}`];
  return names.some((name) => cgroup.endsWith(name)) || [1, 2].some((fd) => files.includes(target(pid, fd)));
}

/** Every process whose environment names `linkPath`: each claims to be of an instance, and whether that is true is decided elsewhere. */
export function findClaimants(linkPath: string): readonly Claimant[] {
  return listProc().flatMap((entry): Claimant[] => {
    const pid = Number(entry);
    if (!Number.isInteger(pid) || pid === process.pid) return [];
    const environment = read(`/proc/${pid}/environ`);
    if (variable(environment, 'GSUP_LINK') !== linkPath) return [];
    const stat = readStat(pid);
    const [service, index, token] = ['GSUP_SERVICE', 'GSUP_INSTANCE', 'GSUP_ID'].map((name) =>
      variable(environment, name),
    );
    if (stat === null || isDead(stat) || !token || !isServiceName(service ?? '') || !/^\d{1,6}$/.test(index ?? ''))
      return [];
    const { startTicks } = stat;
    return [
      {
        instance: `${service}:${index}`,
        pid,
        startTicks,
        token,
        uid: environmentOwner(pid),
        isSessionLeader: stat.session === pid,
      },
    ];
  });
}

/** A process whose main thread alone has ended is a zombie by its state, and lives. */
function isDead({ state, threads }: ProcessStat): boolean {
  if (threads > 1) return false;
  return state === 'Z' || state === 'X';
}

function read(file: string): string {
  try {
    return readProcFile(file);
  } catch {
    return '';
  }
}

function target(pid: number, fd: number): string {
  try {
    return readlinkSync(`/proc/${pid}/fd/${fd}`);
  } catch {
    return '';
  }
}

/** A process → the index of its run. The token comes last: reading an environment costs most. */
function ownersOf(runs: readonly Belongings[]): (stat: ProcessStat) => number | undefined {
  const byGroup = new Map<number, number>();
  const byPid = new Map<number, number>();
  const byToken = new Map<string, number>();
  const byCgroup = new Map<string, number>();
  for (const [index, run] of runs.entries()) {
    if (run.hasGroup) byGroup.set(run.leader, index);
    byPid.set(run.leader, index);
    for (const pid of run.known) byPid.set(pid, index);
    byToken.set(run.token, index);
    if (run.cgroup !== null && run.isAskedByCgroup === true) byCgroup.set(run.cgroup, index);
  }
  // Any user can copy a token that it has seen, and call a process or a cgroup as it likes.
  const ofToken = (pid: number): number | undefined => {
    const index = byToken.get(tokenOf(pid) ?? '');
    const owner = index === undefined ? null : environmentOwner(pid);
    return index !== undefined && owner !== null && runs[index]?.uids.has(owner) === true ? index : undefined;
  };
  const ofCgroup = (pid: number): number | undefined =>
    byCgroup.size === 0 ? undefined : byCgroup.get(cgroupOf(pid) ?? '');
  // Our groups are sessions too: a job of a shell may have the number of one that is gone.
  const ofGroup = ({ pgrp, session }: ProcessStat) => (pgrp === session ? byGroup.get(pgrp) : undefined);
  return (stat) => ofGroup(stat) ?? byPid.get(stat.pid) ?? ofToken(stat.pid) ?? ofCgroup(stat.pid);
}

/** Its cgroup of version 2, from the root that we see. */
function cgroupOf(pid: number): string | null {
  return /^0::(.*)$/m.exec(read(`/proc/${pid}/cgroup`))?.[1] ?? null;
}

function tokenOf(pid: number): string | null {
  try {
    return variable(readProcRecord(`/proc/${pid}/environ`), 'GSUP_ID');
  } catch {
    return null;
  }
}

/** A variable of an environment as /proc has it. */
function variable(environment: string, name: string): string | null {
  const from = environment.startsWith(`${name}=`) ? 0 : environment.indexOf(`\0${name}=`) + 1;
  if (from === 0 && !environment.startsWith(`${name}=`)) return null;
  const end = environment.indexOf('\0', from);
  return environment.slice(from + name.length + 1, end < 0 ? undefined : end);
}

/** The command line as people read it, without what is secret by its own words, at most 200 characters; the kernel's short name where it has none. */
export function commandLine(pid: number): string {
  try {
    const text = readProcFile(`/proc/${pid}/cmdline`, 'utf8').replace(/\0+$/, '').replaceAll('\0', ' ');
    if (text === '') return `[${plainLine(readProcFile(`/proc/${pid}/comm`, 'utf8').trim())}]`;
    const line = maskedCommand(plainLine(text.slice(0, MOST_LOOKED_AT).replace(/\s+/g, ' ')), []);
    return line.length > LONGEST_COMMAND ? `${line.slice(0, LONGEST_COMMAND - 1)}…` : line;
  } catch {
    return 'unknown';
  }
}
