/** Memory of processes, loaded only when a limit asks for it. */
import pidusage from 'pidusage';

/** Resident bytes of all of them together; one that is gone counts nothing. */
export async function memoryOf(pids: readonly number[]): Promise<number> {
  const usages = await Promise.all(pids.map((pid) => pidusage(pid).catch(() => null)));
  return usages.reduce((sum, usage) => sum + (usage?.memory ?? 0), 0);
}
