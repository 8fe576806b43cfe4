/** Memory of processes, read only when a limit asks for it. */

/** Resident bytes of all of them together; one that is gone counts nothing. */
export async function memoryOf(pids: readonly number[]): Promise<number> {
  const { default: pidusage } = await import('pidusage');
  const usages = await Promise.all(pids.map((pid) => pidusage(pid).catch(() => null)));
  return usages.reduce((sum, usage) => sum + (usage?.memory ?? 0), 0);
}
