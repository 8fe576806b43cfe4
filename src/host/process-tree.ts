/** A run's leader and all that belongs to it: whom signals reach, what survives, what it weighs. */
import { isShortage } from '../core/error.ts';
import type { OomFinding } from '../core/oom.ts';
import type { Survivor } from '../core/record.ts';
import type { SignalName } from '../core/signal.ts';
import type { Cgroup } from './cgroup.ts';
import { userOf } from './environment-owner.ts';
import type { Connection, RunIdentity, RunProcesses } from './host.ts';
import { countsBefore, look, lookLater, lookSoon } from './oom-counts.ts';
import { heldBy } from './peer.ts';
import { isPolling } from './polling.ts';
import { type Belongings, findProcesses, isSame, readDescendants, readStat } from './processes.ts';
import { forwardSignal, sendSignal } from './signal.ts';
import { inodeOf } from './socket-table.ts';
import { findSurvivors, killSurvivors, signalSurvivors } from './survivors.ts';

/** From the end of a process to the question who ended it: a restart comes first, and the kernel's log is written by then. */
const KILLER_WAIT_MS = 30;

/** From the spawn to a look at the user that a leader has made itself by then (gosu, su-exec). */
const USER_WAIT_MS = 1_000;

type TreeOptions = {
  readonly hasGroup: boolean;
  readonly cgroup: Cgroup | null;
  readonly forks: number | null;
  /** The user that the service runs as; `null`: unknown. */
  readonly uid: number | null;
};

export class ProcessTree implements RunProcesses {
  readonly identity: RunIdentity & { readonly pid: number };
  /** Whether it has a process group and session of its own. */
  readonly #hasGroup: boolean;
  readonly #cgroup: Cgroup | null;
  readonly #forksBefore: number | null;
  readonly #released = new AbortController();
  /** The user of the service, and those that its leader has made itself. */
  readonly #uids = new Set<number>();
  readonly #userTimer: NodeJS.Timeout;
  #isAlive = true;
  #isGroupKilled = false;
  /** As they were when the leader was first signalled: afterwards they may have another parent. */
  #descendants: readonly { readonly pid: number; readonly startTicks: number }[] = [];

  /** `forks`: how many the machine had made when it began, where that is known. */
  constructor(identity: ProcessTree['identity'], { hasGroup, cgroup, forks, uid }: TreeOptions) {
    this.identity = identity;
    this.#hasGroup = hasGroup;
    this.#cgroup = cgroup;
    this.#forksBefore = forks;
    if (uid !== null) this.#uids.add(uid);
    this.#userTimer = setTimeout(() => this.#noteUser(), USER_WAIT_MS).unref();
    lookSoon();
  }

  get isAlive(): boolean {
    return this.#isAlive;
  }

  /** The leader has ended: its pid may be another's from now on. */
  leaderEnded(): void {
    this.#isAlive = false;
  }

  signal(signal: SignalName | null, target: 'leader' | 'group'): void {
    const { pid } = this.identity;
    if (signal !== null && this.#isAlive) {
      this.#noteUser();
      this.#descendants = readDescendants(pid).map((one) => ({ pid: one, startTicks: readStat(one)?.startTicks ?? 0 }));
    }
    // A reaped leader's pid may be another's by now; its group's number can't, as long as the group has members.
    if (target === 'group' && this.#hasGroup) {
      sendSignal(-pid, signal);
      if (signal === 'SIGKILL') this.#isGroupKilled = true;
    } else if (this.#isAlive) sendSignal(pid, signal);
  }

  forward(signal: SignalName): void {
    if (this.#isAlive) forwardSignal(this.identity.pid, signal);
  }

  async findKiller(): Promise<OomFinding | null> {
    // Its own cgroup goes with the run: it is asked now, everything else when the next run is there.
    const own = this.#cgroup?.oomKills() ?? null;
    await new Promise((resolve) => setTimeout(resolve, KILLER_WAIT_MS).unref());
    // Here, for a file that is loaded later has no look of before.
    const [before, now] = [countsBefore(), look()];
    lookLater();
    try {
      const { findKiller } = await import('./oom.ts');
      return await findKiller(this.identity.pid, { own, before, now });
    } catch (error) {
      if (!isShortage(error)) throw error;
      return null;
    }
  }

  findSurvivors(): Promise<readonly Survivor[]> {
    return findSurvivors(() => this.belongings(), this.#released.signal);
  }

  signalSurvivors(signal: SignalName, skipGroup: boolean): Promise<void> {
    const wants = ({ isInGroup }: Survivor) => !(skipGroup && isInGroup);
    return signalSurvivors(() => this.belongings(), signal, wants, this.#released.signal);
  }

  killSurvivors(): Promise<void> {
    const killAll = () => this.#cgroup?.kill();
    return killSurvivors(() => this.belongings(), killAll, this.#released.signal);
  }

  isListening(): boolean | null {
    const { pid, sockets } = this.identity;
    const inodes = Object.values(sockets).flatMap((name) => inodeOf(name) ?? []);
    const [found] = findProcesses([this.belongings()]);
    const told = [pid, ...(found?.alive ?? []).map((one) => one.pid)].map((one) => isPolling(one, inodes.map(Number)));
    return told.includes(true) ? true : told.includes(null) ? null : false;
  }

  answers({ localAddress, localPort, remoteAddress, remotePort }: Connection, who: 'leader' | 'all'): boolean | null {
    if (localAddress === undefined || localPort === undefined) return null;
    if (remoteAddress === undefined || remotePort === undefined) return null;
    const others = who === 'all' ? (findProcesses([this.belongings()])[0]?.alive ?? []) : [];
    const pids = [this.identity.pid, ...others.map(({ pid }) => pid)];
    return heldBy({ localAddress, localPort, remoteAddress, remotePort }, pids);
  }

  async memory(): Promise<number> {
    if (!this.#isAlive) return 0;
    const { memoryOf } = await import('./usage.ts');
    const [found] = findProcesses([this.belongings()]);
    return memoryOf([this.identity.pid, ...(found?.alive ?? []).map(({ pid }) => pid)]);
  }

  release(): void {
    this.#released.abort();
    clearTimeout(this.#userTimer);
    this.#cgroup?.remove();
  }

  /** The kernel says of the leader who it is: its children are its user's too. */
  #noteUser(): void {
    const uid = this.#isAlive && isSame(this.identity) ? userOf(this.identity.pid) : null;
    if (uid !== null) this.#uids.add(uid);
  }

  /** The same without a list of its cgroup, for a sweep that many share. */
  sharedBelongings(): Belongings {
    return { ...this.#belongings([]), isAskedByCgroup: this.#cgroup?.isThere === true };
  }

  belongings(): Belongings {
    return this.#belongings(this.#cgroup?.pids() ?? []);
  }

  #belongings(inCgroup: readonly number[]): Belongings {
    const { pid, startTicks, token } = this.identity;
    return {
      leader: pid,
      startTicks,
      token,
      uids: this.#uids,
      cgroup: this.#cgroup?.path ?? null,
      hasGroup: this.#hasGroup,
      isGroupKilled: this.#isGroupKilled,
      forksBefore: this.#forksBefore,
      known: [...this.#descendants.filter(isSame).map((one) => one.pid), ...inCgroup],
    };
  }
}
