/** Services and what they depend on: cycles by name, stop waves, closures. */

/** Service → the services it depends on. */
export type Dependencies = Readonly<Record<string, readonly string[]>>;

/** A cycle with its path (`['a', 'b', 'a']`), or `null`. */
export function findCycle(dependencies: Dependencies): readonly string[] | null {
  const done = new Set<string>();
  const visit = (name: string, path: readonly string[]): readonly string[] | null => {
    const seenAt = path.indexOf(name);
    if (seenAt >= 0) return [...path.slice(seenAt), name];
    if (done.has(name)) return null;
    const needed = Object.hasOwn(dependencies, name) ? dependencies[name] : undefined;
    for (const next of needed ?? []) {
      const cycle = visit(next, [...path, name]);
      if (cycle) return cycle;
    }
    done.add(name);
    return null;
  };
  for (const name of Object.keys(dependencies)) {
    const cycle = visit(name, []);
    if (cycle) return cycle;
  }
  return null;
}

/** Who stops together, in reverse dependency order: the first wave holds what nothing depends on. Wants no cycle. */
export function stopWaves(dependencies: Dependencies): readonly (readonly string[])[] {
  const dependents = new Map<string, string[]>();
  for (const [name, needed] of Object.entries(dependencies)) {
    for (const other of needed) dependents.set(other, [...(dependents.get(other) ?? []), name]);
  }
  const levels = new Map<string, number>();
  const levelOf = (name: string): number => {
    const known = levels.get(name);
    if (known !== undefined) return known;
    const level = Math.max(-1, ...(dependents.get(name) ?? []).map(levelOf)) + 1;
    levels.set(name, level);
    return level;
  };
  const waves: string[][] = [];
  for (const name of Object.keys(dependencies)) {
    const level = levelOf(name);
    while (waves.length <= level) waves.push([]);
    waves[level]?.push(name);
  }
  return waves;
}

/** What others depend on comes first. Wants no cycle. */
export function startOrder(dependencies: Dependencies): readonly string[] {
  return stopWaves(dependencies).toReversed().flat();
}

/** `names` and everything that they depend on, in the order of the keys. */
export function withDependencies(names: readonly string[], dependencies: Dependencies): readonly string[] {
  const wanted = new Set<string>();
  const add = (name: string): void => {
    if (wanted.has(name)) return;
    wanted.add(name);
    for (const other of dependencies[name] ?? []) add(other);
  };
  for (const name of names) add(name);
  return Object.keys(dependencies).filter((name) => wanted.has(name));
}
