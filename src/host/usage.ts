/** CPU and memory of processes, loaded only when somebody looks or a limit asks for it. */
import pidusage from 'pidusage';

export type Usage = {
  /** Of one processor, since the last look. */
  readonly cpuPercent: number;
  /** Resident. */
  readonly memoryBytes: number;
};

/** Resident bytes of all of them together; one that is gone counts nothing. */
export async function memoryOf(pids: readonly number[]): Promise<number> {
  const usages = await Promise.all(pids.map((pid) => pidusage(pid).catch(() => null)));
  return usages.reduce((sum, usage) => sum + (usage?.memory ?? 0), 0);
}

/** The usage of each group of processes, by name, in one look. */
export async function usageOf(groups: ReadonlyMap<string, readonly number[]>): Promise<ReadonlyMap<string, Usage>> {
  const pids = [...groups.values()].flat();
  const found: Readonly<Record<string, pidusage.Status | null>> =
    pids.length === 0 ? {} : await pidusage(pids).catch(() => ({}));
  return new Map(
    [...groups].map(([name, members]) => {
      const usages = members.map((pid) => found[pid]);
      const cpuPercent = usages.reduce((sum, usage) => sum + (usage?.cpu ?? 0), 0);
      const memoryBytes = usages.reduce((sum, usage) => sum + (usage?.memory ?? 0), 0);
      return [name, { cpuPercent: Math.round(cpuPercent * 10) / 10, memoryBytes }];
    }),
  );
}
