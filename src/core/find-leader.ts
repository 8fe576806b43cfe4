/** Which process is the leader of a run that the saved state has lost; pure. */

/** A saved run, and what the machine says of it now. */
export type SavedRun = {
  /** Where it runs: `api:0`, or `api:0+` beside it. */
  readonly slot: string;
  readonly instance: string;
  readonly token: string;
  /** `null`: it was about to be spawned. */
  readonly pid: number | null;
  /** Clock ticks from boot to its start; of one that was about to be spawned, to that moment. */
  readonly startTicks: number;
  /** Whether the process with this pid and start time lives; a zombie does not. */
  readonly isAlive: boolean;
  /** Whether its state expects a leader. */
  readonly isExpected: boolean;
  /** The user that its service runs as; `null`: unknown, so that no process is trusted. */
  readonly uid: number | null;
};

/** A process that claims by its environment to belong to an instance. */
export type Claimant = {
  readonly instance: string;
  readonly pid: number;
  readonly startTicks: number;
  readonly token: string;
  /** The user that gave it its environment; `null`: a set-user-ID program, whose environment may be that of anybody. */
  readonly uid: number | null;
  readonly isSessionLeader: boolean;
};

/** The leaders found, by slot. */
export type FoundLeaders = ReadonlyMap<string, Claimant>;

/**
 * Finds leaders for the runs whose own are gone, and for no others: a leader that lives is never replaced. A claimant
 * counts if it has the user of the service, and if no process with its token started before the leader that is gone:
 * the others are leftovers of earlier runs. The newest run comes first.
 */
export function findLeaders(saved: readonly SavedRun[], claimants: readonly Claimant[]): FoundLeaders {
  const found = new Map<string, Claimant>();
  const knownTokens = new Set(saved.map(({ token }) => token));
  const missing = saved.filter(({ isAlive, isExpected }) => isExpected && !isAlive);
  for (const run of missing.toSorted((a, b) => b.startTicks - a.startTicks)) {
    const trusted = claimants.filter(
      ({ instance, uid }) => uid !== null && uid === run.uid && instance === run.instance,
    );
    const leader = ownLeader(run, trusted) ?? newestLeader(run, trusted, new Set([...knownTokens, ...tokensIn(found)]));
    if (leader !== null) found.set(run.slot, leader);
  }
  return found;
}

/** One that was about to be spawned has kept its token. Where the leader is known to be gone, others with its token are its leftovers. */
function ownLeader({ pid, token }: SavedRun, trusted: readonly Claimant[]): Claimant | null {
  return pid === null ? firstLeader(trusted.filter((one) => one.token === token)) : null;
}

function newestLeader(run: SavedRun, trusted: readonly Claimant[], taken: ReadonlySet<string>): Claimant | null {
  const tokens = new Set(trusted.map(({ token }) => token).filter((token) => !taken.has(token)));
  const leaders = [...tokens]
    .map((token) => trusted.filter((one) => one.token === token))
    .filter((processes) => startOf(processes) >= run.startTicks)
    .toSorted((a, b) => startOf(b) - startOf(a))
    .map(firstLeader);
  return leaders.find((leader) => leader !== null) ?? null;
}

/** A run's leader starts a session before anything else of the run does. */
function firstLeader(processes: readonly Claimant[]): Claimant | null {
  const leaders = processes.filter(({ isSessionLeader }) => isSessionLeader);
  return leaders.toSorted((a, b) => a.startTicks - b.startTicks || a.pid - b.pid)[0] ?? null;
}

function startOf(processes: readonly Claimant[]): number {
  return Math.min(...processes.map(({ startTicks }) => startTicks));
}

function tokensIn(found: FoundLeaders): readonly string[] {
  return [...found.values()].map(({ token }) => token);
}
