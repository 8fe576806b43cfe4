/** This machine as a host: each run in a session and group of its own, its streams, its signals, its survivors. */
import { readFileSync } from 'node:fs';
import { AdoptedRun } from './adopted-run.ts';
import type { Host, HostRun, RunIdentity, RunListener, SpawnRequest } from './host.ts';
import { LocalRun } from './local-run.ts';
import { ProcessTree } from './process-tree.ts';
import { findProcesses } from './processes.ts';

/** A host that starts real processes here. */
export class LocalHost implements Host {
  spawn(request: SpawnRequest, listener: RunListener): HostRun {
    return new LocalRun(request, listener);
  }

  adopt(request: SpawnRequest, identity: RunIdentity, listener: RunListener): HostRun {
    return new AdoptedRun(request, identity, listener);
  }

  /** The kernel's uuid: no crypto library needs to be loaded for it. */
  newToken(): string {
    return readFileSync('/proc/sys/kernel/random/uuid', 'latin1').trim();
  }

  processesOf(runs: readonly HostRun[]): readonly (readonly number[])[] {
    const trees = runs.map(({ processes }) => (processes instanceof ProcessTree ? processes : null));
    const found = findProcesses(trees.flatMap((tree) => (tree === null ? [] : [tree.belongings()])));
    let next = 0;
    return trees.map((tree) => {
      if (tree === null) return [];
      const others = (found[next++]?.alive ?? []).map(({ pid }) => pid);
      return tree.isAlive ? [tree.identity.pid, ...others] : others;
    });
  }
}
