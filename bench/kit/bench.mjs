// What a probe gets: the supervisors, how often, and turns in which a peer that fails is left out and gsup's failure is the bench's.
const OWN = 'gsup';

/** `makers`: by kind and name, each gives an adapter or the reason why there is none; `slow`: the peers that `--quick` does without. */
export function createBench({ scratch, isQuick, rounds, note, makers, slow }) {
  const made = new Map();
  const versions = new Map();
  /** Those that are there, made once; the others are told once. */
  const present = (kind) => {
    if (!made.has(kind)) {
      const adapters = [];
      for (const [name, make] of Object.entries(makers[kind])) {
        const adapter = isQuick && slow.includes(name) ? '--quick does without it' : make(scratch);
        if (typeof adapter === 'string') note(`${name} is left out: ${adapter}`);
        else adapters.push(adapter);
      }
      for (const { name, version } of adapters) versions.set(name, version);
      made.set(kind, adapters);
    }
    return made.get(kind);
  };
  return {
    scratch,
    isQuick,
    note,
    versions,
    rounds: (whole, quick) => rounds ?? (isQuick ? quick : whole),
    daemons: () => present('daemon'),
    runners: () => present('run'),
    /** A B A B: each round asks each in turn; what it returns is gathered by key: `{ key: { name: samples } }`. */
    inTurn: async (adapters, count, ask) => {
      const found = {};
      const failed = new Set();
      for (let round = 0; round < count; round++) {
        for (const adapter of adapters.filter(({ name }) => !failed.has(name))) {
          const figures = await attempt({ adapter, failed, note, ask: () => ask(adapter, round) });
          gather(found, adapter.name, figures ?? {});
        }
      }
      return found;
    },
    /** Those of them with which it works. */
    each: async (adapters, act) => {
      const failed = new Set();
      for (const adapter of adapters) await attempt({ adapter, failed, note, ask: () => act(adapter) });
      return adapters.filter(({ name }) => !failed.has(name));
    },
  };
}

async function attempt({ adapter, failed, note, ask }) {
  try {
    return await ask();
  } catch (error) {
    if (adapter.name === OWN) throw error;
    failed.add(adapter.name);
    note(`${adapter.name} is left out of this probe: ${error.message}`);
    await adapter.down?.();
    return null;
  }
}

export function gather(found, name, figures) {
  for (const [key, value] of Object.entries(figures)) {
    found[key] ??= {};
    found[key][name] ??= [];
    found[key][name].push(...(Array.isArray(value) ? value : [value]));
  }
}
