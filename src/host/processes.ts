/** What the kernel tells of processes under /proc: identity, group, state, environment, command line. */
import { readlinkSync } from 'node:fs';
import { plainLine } from '../core/plain-text.ts';
import type { Survivor } from '../core/record.ts';
import { maskedCommand } from '../core/secrets.ts';
import { lowestPid } from './pid-order.ts';
import { listProc, readProcFile, readProcRecord } from './proc-file.ts';

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
    startTicks: Number(fields[19]),
    cpuTicks: Number(fields[11]) + Number(fields[12]),
    waitedTicks: Number(fields[13]) + Number(fields[14]),
    residentPages: Number(fields[21]),
    exitStatus: Number(fields[49]),
  };
}

/** Children, their children and so on, as far as the kernel tells (CONFIG_PROC_CHILDREN). */
export function readDescendants(pid: number): readonly number[] {
  let text: string;
  try {
    text = readProcFile(`/proc/${pid}/task/${pid}/children`);
  } catch {
    return [];
  }
  const children = text.split(' ').filter(Boolean).map(Number);
  return children.flatMap((child) => [child, ...readDescendants(child)]);
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

/** Whether `survivor` still is the process that it was. */
export function isSame({ pid, startTicks }: { readonly pid: number; readonly startTicks: number }): boolean {
  return readStat(pid)?.startTicks === startTicks;
}

/** Whether the leader of a run lives under its pid: the same start time, and the token, cgroup or streams that are ours. */
export function isLeader(
  { pid, token, startTicks }: { readonly pid: number; readonly token: string; readonly startTicks: number },
  files: readonly string[],
): boolean {
  const stat = readStat(pid);
  if (stat === null || stat.startTicks !== startTicks || isDead(stat)) return false;
  const its = tokenOf(pid);
  if (its !== null) return its === token;
  // Some programs write their title over their environment (setproctitle): nginx, redis, PostgreSQL.
  return read(`/proc/${pid}/cgroup`).includes(`gsup-${token}`) || [1, 2].some((fd) => files.includes(target(pid, fd)));
}

/** The session leader with this token in its environment, or `null`. */
export function findLeader(token: string): { pid: number; startTicks: number; token: string } | null {
  for (const entry of listProc()) {
    const pid = Number(entry);
    const stat = Number.isInteger(pid) ? readStat(pid) : null;
    if (stat === null || stat.session !== pid || isDead(stat) || tokenOf(pid) !== token) continue;
    return { pid, startTicks: stat.startTicks, token };
  }
  return null;
}

/** A leader that says itself, by its environment, of which instance it is. */
export type Foundling = {
  readonly instance: string;
  readonly pid: number;
  readonly startTicks: number;
  readonly token: string;
};

/** Session leaders whose GSUP_LINK is `linkPath`: what runs for one home, whatever is known of it. */
export function findByLink(linkPath: string): readonly Foundling[] {
  return listProc().flatMap((entry): Foundling[] => {
    const pid = Number(entry);
    const stat = Number.isInteger(pid) ? readStat(pid) : null;
    if (stat === null || stat.session !== pid || isDead(stat)) return [];
    const environment = new Map(
      read(`/proc/${pid}/environ`)
        .split('\0')
        .map((line) => [line.split('=', 1)[0], line.slice(line.indexOf('=') + 1)]),
    );
    const [service, index, token] = ['GSUP_SERVICE', 'GSUP_INSTANCE', 'GSUP_ID'].map((name) => environment.get(name));
    if (environment.get('GSUP_LINK') !== linkPath || !service || !index || !token) return [];
    return [{ instance: `${service}:${index}`, pid, startTicks: stat.startTicks, token }];
  });
}

function isDead({ state }: ProcessStat): boolean {
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

/** A process → the index of its run. The token is asked last: reading an environment costs most. */
function ownersOf(runs: readonly Belongings[]): (stat: ProcessStat) => number | undefined {
  const byGroup = new Map<number, number>();
  const byPid = new Map<number, number>();
  const byToken = new Map<string, number>();
  for (const [index, run] of runs.entries()) {
    if (run.hasGroup) byGroup.set(run.leader, index);
    byPid.set(run.leader, index);
    for (const pid of run.known) byPid.set(pid, index);
    byToken.set(run.token, index);
  }
  const byCgroup = runs.some(({ isAskedByCgroup }) => isAskedByCgroup === true)
    ? (pid: number) => byToken.get(/gsup-([0-9a-f-]{36})/.exec(read(`/proc/${pid}/cgroup`))?.[1] ?? '')
    : () => undefined;
  return ({ pid, pgrp }) => byGroup.get(pgrp) ?? byPid.get(pid) ?? byToken.get(tokenOf(pid) ?? '') ?? byCgroup(pid);
}

function tokenOf(pid: number): string | null {
  try {
    const environment = readProcRecord(`/proc/${pid}/environ`);
    const from = environment.startsWith('GSUP_ID=') ? 0 : environment.indexOf('\0GSUP_ID=') + 1;
    if (from === 0 && !environment.startsWith('GSUP_ID=')) return null;
    return environment.slice(from + 'GSUP_ID='.length, environment.indexOf('\0', from));
  } catch {
    return null;
  }
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
