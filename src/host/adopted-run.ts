/** A run that an earlier supervisor has spawned: no child of ours, so its exit comes by pidfd, or by looking. */
import { findCgroup } from './cgroup.ts';
import { type Channel, retakeChannel } from './channel.ts';
import { type ExitWatch, watchExit } from './exit-watch.ts';
import type { HostRun, RunIdentity, RunListener, SpawnRequest } from './host.ts';
import { uidOf } from './identity.ts';
import { ProcessTree } from './process-tree.ts';
import { isGroupOf, isLeader, readStat } from './processes.ts';

export class AdoptedRun implements HostRun {
  readonly #request: SpawnRequest;
  readonly #identity: RunIdentity;
  readonly #tree: ProcessTree | null;
  readonly #watch: ExitWatch | null = null;
  readonly #channel: Channel | null = null;
  readonly #given: { close(): void };

  /** `takeUp`: what it was given is held from now on; `null`: it is gone. */
  constructor(request: SpawnRequest, identity: RunIdentity, listener: RunListener, takeUp: TakeUp) {
    this.#request = request;
    const found = foundIdentity(request, identity);
    this.#identity = found ?? identity;
    const { pid, token } = this.#identity;
    const { output } = request.streams;
    if (typeof output !== 'string') output.read();
    const uid = uidOf(request.spec);
    const hasGroup = found !== null || hasGroupLeft(this.#identity, filesOf(request), uid);
    const { startTicks } = this.#identity;
    this.#tree =
      pid === null
        ? null
        : new ProcessTree(
            { ...this.#identity, pid },
            { hasGroup, cgroup: findCgroup({ pid, startTicks }, token), forks: null, uid },
          );
    this.#given = takeUp(found);
    if (found === null) this.#tree?.leaderEnded();
    else {
      const { channel } = identity;
      if (channel !== null) this.#channel = retakeChannel(found.pid, channel, (message) => listener.message(message));
      this.#watch = watchExit(found, (code, signal) => {
        this.#tree?.leaderEnded();
        listener.exited(code, signal);
      });
    }
  }

  get pid(): number | null {
    return this.#identity.pid;
  }

  get identity(): RunIdentity {
    return this.#identity;
  }

  get isAlive(): boolean {
    return this.#tree?.isAlive === true;
  }

  get processes(): ProcessTree | null {
    return this.#tree;
  }

  /** By signal where the channel ended with the supervisor that had it. */
  sendShutdown(): void {
    if (this.#channel !== null) this.#channel.send('shutdown');
    else this.#tree?.signal('SIGTERM', 'leader');
  }

  async drained(): Promise<void> {
    const { output } = this.#request.streams;
    if (typeof output !== 'string') await output.drained();
  }

  resume(): void {}

  release(): void {
    this.#watch?.end();
    this.#channel?.close();
    this.#given.close();
    this.#tree?.release();
  }
}

type TakeUp = (found: (RunIdentity & { readonly pid: number }) | null) => { close(): void };

/** The leader that lives, or `null`: the same pid with another start time or token is another process. */
function foundIdentity(request: SpawnRequest, identity: RunIdentity): (RunIdentity & { pid: number }) | null {
  const { pid, token, startTicks } = identity;
  return pid !== null && isLeader({ pid, token, startTicks }, filesOf(request)) ? { ...identity, pid } : null;
}

/** Without its leader a run may still have survivors in its group. */
function hasGroupLeft({ pid, token, startTicks }: RunIdentity, files: readonly string[], uid: number | null): boolean {
  if (pid === null) return false;
  const stat = readStat(pid);
  // A zombie that its parent has not waited for yet: the number is not free.
  if (stat !== null) return stat.startTicks === startTicks;
  return hasMembers(pid) && isGroupOf({ pid, token, startTicks, uid }, files);
}

function hasMembers(group: number): boolean {
  try {
    return process.kill(-group, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

function filesOf({ streams }: SpawnRequest): readonly string[] {
  return typeof streams.output === 'string' ? [] : streams.output.files;
}
