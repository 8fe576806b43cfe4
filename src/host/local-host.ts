/** This machine as a host: each run in a session and group of its own, its streams, its signals, its survivors. */
import type { HandedIn } from '../core/activation.ts';
import { isGsupError, isShortage } from '../core/error.ts';
import type { ServiceSpec, SocketSpec } from '../core/service.ts';
import { AdoptedRun } from './adopted-run.ts';
import { instanceEnvironment } from './environment.ts';
import type { Handover } from './handover.ts';
import type { Host, HostRun, ProgramPlace, RunIdentity, RunListener, SpawnRequest } from './host.ts';
import { LocalRun } from './local-run.ts';
import { readProcFile } from './proc-file.ts';
import { ProcessTree } from './process-tree.ts';
import { type ProcessStat, statsOf } from './processes.ts';
import { hasAllGroups, startAs } from './start-as.ts';

/** A host that starts real processes here. */
export class LocalHost implements Host {
  #handover: Handover | null = null;
  readonly #notice: (text: string) => void;
  /** Services whose missing groups have been reported. */
  readonly #lackGroups = new Set<string>();

  /** `notice`: for what people should know, and nobody asked for. */
  constructor(notice: (text: string) => void = () => {}) {
    this.#notice = notice;
  }

  /**
   * Loads what services may need beside streams: sockets, systemd's protocol, another user. Before any of them is spawned or adopted.
   * `handedIn`: the sockets that this process was started with, the first time.
   */
  async prepare(handedIn: readonly HandedIn[] = []): Promise<void> {
    const { Handover: Loaded } = await import('./handover.ts');
    this.#handover ??= await Loaded.load(handedIn);
  }

  spawn(request: SpawnRequest, listener: RunListener): HostRun {
    this.#reportLostGroups(request.spec);
    return new LocalRun(request, listener, wantsHandover(request.spec) ? this.#handover : null);
  }

  adopt(request: SpawnRequest, known: RunIdentity, listener: RunListener): HostRun {
    return new AdoptedRun(request, known, listener, (found) => {
      if (found === null) {
        this.#handover?.discard(request);
        return { close: () => {} };
      }
      const given = this.#handover?.takeUp(request, found, listener);
      this.#tellMissing(request.spec, found.pid, given?.missing ?? []);
      return { close: () => given?.close() };
    });
  }

  placeOf({ spec, of, token, linkPath, environment }: SpawnRequest): ProgramPlace {
    // The user is looked up at each start of a program: if it has been deleted by then, that start fails.
    const place = {
      cwd: spec.cwd,
      startAs: <T>(start: (ids: { readonly uid?: number; readonly gid?: number }) => T): T => startAs(spec, start),
    };
    const environmentOf = (one: ServiceSpec) => instanceEnvironment(one, of.index, { token, linkPath }, environment);
    try {
      return { ...place, environment: environmentOf(spec) };
    } catch (error) {
      if (!isGsupError(error)) throw error;
      return { ...place, environment: withoutFiles(spec, environmentOf) };
    }
  }

  openSockets(spec: ServiceSpec): void {
    try {
      this.#handover?.open(spec);
    } catch (error) {
      // The spawn tries again, and says why it fails.
      if (!isGsupError(error) && !isShortage(error)) throw error;
    }
  }

  keepSockets(service: string, sockets: readonly SocketSpec[]): void {
    this.#handover?.keep(service, sockets);
  }

  /** `isForGood`: nobody will take the sockets up. */
  close(isForGood: boolean): void {
    this.#handover?.close(isForGood);
  }

  /** The kernel's uuid: no crypto library needs to be loaded for it. */
  newToken(): string {
    try {
      return readProcFile('/proc/sys/kernel/random/uuid').trim();
    } catch {
      // No descriptor is left for it.
      return crypto.randomUUID();
    }
  }

  statsOf(runs: readonly HostRun[]): readonly (readonly ProcessStat[])[] {
    const trees = runs.map(({ processes }) => (processes instanceof ProcessTree ? processes : null));
    const found = statsOf(trees.flatMap((tree) => (tree === null ? [] : [tree.sharedBelongings()])));
    let next = 0;
    return trees.map((tree) => (tree === null ? [] : (found[next++] ?? [])));
  }

  /** Reported once for each service. */
  #reportLostGroups(spec: ServiceSpec): void {
    if ((spec.user === null && spec.group === null) || this.#lackGroups.has(spec.name)) return;
    if (hasAllGroups(spec)) return;
    this.#lackGroups.add(spec.name);
    this.#notice(
      `${spec.name} runs without the supplementary groups of the user ${spec.user}: to set them needs koffi, which is not installed or can't be loaded`,
    );
  }

  #tellMissing({ name }: ServiceSpec, pid: number, missing: readonly string[]): void {
    if (missing.length === 0) return;
    const which = missing.length === 1 ? `socket ${missing[0]}` : `sockets ${missing.join(', ')}`;
    this.#notice(
      `the ${which} of ${name} can't be taken back from ${pid}: what runs goes on, a new run can't listen before "gsup restart ${name}"`,
    );
  }
}

/** For an instance whose env file has disappeared: never more than its user would get with the file. */
function withoutFiles(
  spec: ServiceSpec,
  environmentOf: (spec: ServiceSpec) => Readonly<Record<string, string>>,
): Readonly<Record<string, string>> {
  try {
    return environmentOf({ ...spec, envFiles: [] });
  } catch (error) {
    if (!isGsupError(error)) throw error;
    // The user has been deleted: no program can be started for it.
    return {};
  }
}

/** Whether a service needs what `prepare` loads. */
export function needsPreparing(spec: ServiceSpec): boolean {
  return wantsHandover(spec) || spec.user !== null || spec.group !== null;
}

function wantsHandover({ sockets, ready, live }: ServiceSpec): boolean {
  const kind = ready?.check.kind;
  return sockets.length > 0 || kind === 'notify' || kind === 'fd' || live?.check.kind === 'notify';
}
