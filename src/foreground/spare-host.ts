/** A host for one spare instance: it gets its sockets as those of the service, and is let go of only when it was looked over. */
import type { HandedIn } from '../core/activation.ts';
import type { Survivor } from '../core/record.ts';
import type { SocketSpec } from '../core/service.ts';
import type {
  Host,
  HostRun,
  ProgramPlace,
  RunIdentity,
  RunListener,
  RunProcesses,
  SpawnRequest,
} from '../host/host.ts';
import { LocalHost, needsPreparing } from '../host/local-host.ts';
import type { ProcessStat } from '../host/processes.ts';

/** For those that are dying already, and for SIGKILL. */
const LOOK_WAIT_MS = 5_000;

export class SpareHost implements Host {
  readonly #inner = new LocalHost();
  /** With the addresses that the instance knows. */
  readonly #sockets: readonly SocketSpec[];
  readonly #runs: HostRun[] = [];

  constructor(sockets: readonly SocketSpec[]) {
    this.#sockets = sockets;
  }

  async prepare(spec: SpawnRequest['spec'], handedIn: readonly HandedIn[]): Promise<void> {
    if (needsPreparing(spec)) await this.#inner.prepare(handedIn);
  }

  spawn(request: SpawnRequest, listener: RunListener): HostRun {
    const spec = { ...request.spec, sockets: this.#sockets };
    const run = this.#inner.spawn({ ...request, spec }, listener);
    this.#runs.push(run);
    return new KeptRun(run);
  }

  adopt(request: SpawnRequest, identity: RunIdentity, listener: RunListener): HostRun {
    return this.#inner.adopt(request, identity, listener);
  }

  placeOf(request: SpawnRequest): ProgramPlace {
    return this.#inner.placeOf(request);
  }

  openSockets(spec: SpawnRequest['spec']): void {
    this.#inner.openSockets({ ...spec, sockets: this.#sockets });
  }

  keepSockets(): void {
    // They are the drill's own.
  }

  newToken(): string {
    return this.#inner.newToken();
  }

  statsOf(runs: readonly HostRun[]): readonly (readonly ProcessStat[])[] {
    return this.#inner.statsOf(runs);
  }

  /** All that still lives of it: the ladder leaves some in kill mode `leader`, or may have missed one. */
  async findLeft(): Promise<readonly Survivor[]> {
    const found = await Promise.all(this.#runs.map((run) => within(run.processes?.findSurvivors(), [])));
    return found.flat();
  }

  /** Nothing of it is left afterwards. */
  async clear(): Promise<void> {
    for (const run of this.#runs) {
      await within(run.processes?.killSurvivors(), undefined);
      run.release();
    }
    this.#inner.close(true);
  }
}

/** Not released before the drill has looked it over. */
class KeptRun implements HostRun {
  readonly #run: HostRun;

  constructor(run: HostRun) {
    this.#run = run;
  }

  get pid(): number | null {
    return this.#run.pid;
  }

  get identity(): RunIdentity {
    return this.#run.identity;
  }

  get isAlive(): boolean {
    return this.#run.isAlive;
  }

  get processes(): RunProcesses | null {
    return this.#run.processes;
  }

  sendShutdown(): void {
    this.#run.sendShutdown();
  }

  drained(): Promise<void> {
    return this.#run.drained();
  }

  resume(): void {
    this.#run.resume();
  }

  release(): void {
    // By `clear`.
  }
}

function within<T>(promise: Promise<T> | undefined, otherwise: T): Promise<T> {
  if (promise === undefined) return Promise.resolve(otherwise);
  return new Promise((resolve) => {
    const timer = setTimeout(() => resolve(otherwise), LOOK_WAIT_MS);
    void promise.then((result) => {
      clearTimeout(timer);
      resolve(result);
    });
  });
}
