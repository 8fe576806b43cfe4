/** What commands ask of services, one after the other for each service, waited for to their honest end. */
import type { Change, OperationLine, Outcome, Told } from '../api/types.ts';
import { EXIT, GsupError } from '../core/error.ts';
import type { InstanceRef, SupervisorEvent } from '../core/event.ts';
import { type Dependencies, stopWaves, withDependencies } from '../core/graph.ts';
import { instanceName } from '../core/name.ts';
import type { Verdict } from '../core/record.ts';
import type { SupervisorState } from '../core/root-state.ts';
import type { ServiceSpec } from '../core/service.ts';
import { refsOf } from './names.ts';
import { runOf, type StartStatus, startStatus, stopStatus } from './outcome.ts';
import { type Order, ServiceQueues } from './queues.ts';

/** How a started instance without a check has to live until its start counts as good. */
const SETTLED_MS = 1_000;
const STDERR_LINES = 15;

/** What operations need of the daemon. */
export type OperationsHost = {
  state(): SupervisorState;
  now(): number;
  dispatch(event: SupervisorEvent): void;
  /** What is dispatched in it is done together. */
  batch<T>(work: () => T): T;
  /** Calls back after every change; the result ends it. */
  onChange(callback: () => void): () => void;
  /** Calls back for every record; the result ends it. */
  onRecord(callback: (record: Told) => void): () => void;
  /** Makes streams and files ready for instances that will start. */
  prepare(refs: readonly InstanceRef[]): void;
  /** The last lines on stderr of an instance, written since a moment. */
  lastErrors(of: InstanceRef, since: number, count: number): Promise<readonly string[]>;
};

type Tell = (line: OperationLine) => void;
type Watch = { readonly of: InstanceRef; readonly begin: number; readonly runBefore: number };

/** Runs operations; each resolves with its last line when everything it began is over. */
export class Operations {
  readonly #host: OperationsHost;
  readonly #queues = new ServiceQueues();

  constructor(host: OperationsHost) {
    this.#host = host;
  }

  start(refs: readonly InstanceRef[], tell: Tell): Promise<OperationLine> {
    const state = this.#host.state();
    const wanted = [...new Set(refs.map(({ service }) => service))];
    const dependencies = this.#dependencies();
    // What they depend on comes along, as far as it doesn't run.
    const others = withDependencies(wanted, dependencies).filter((name) => !wanted.includes(name));
    const all = [...others.flatMap((name) => refsOf(state, name).filter((of) => isDownNow(state, of))), ...refs];
    const services = startOrder(dependencies).filter((name) => all.some(({ service }) => service === name));
    const behind = (service: string) => dependencies[service] ?? [];
    return this.#each(all, tell, (own) => this.#startNow(own), { services, behind });
  }

  /** What depends on others goes first, as in a shutdown. */
  stop(refs: readonly InstanceRef[], tell: Tell): Promise<OperationLine> {
    const services = this.#stopOrder(refs.map(({ service }) => service));
    const work = (own: readonly InstanceRef[]) => {
      this.#dispatch({ type: 'stop', instances: own, reason: 'gsup stop' });
      return this.#stopped(own);
    };
    return this.#each(refs, tell, work, { services, after: this.#dependents() });
  }

  restart(refs: readonly InstanceRef[], tell: Tell): Promise<OperationLine> {
    const dependencies = this.#dependencies();
    const services = startOrder(dependencies).filter((name) => refs.some(({ service }) => service === name));
    const behind = (service: string) => dependencies[service] ?? [];
    return this.#each(refs, tell, (own) => this.#restartNow(own), { services, behind });
  }

  /** What is down waits for what it depends on, as at any start. */
  async #restartNow(refs: readonly InstanceRef[]): Promise<readonly Outcome[]> {
    const down = refs.filter((of) => isDownNow(this.#host.state(), of));
    const live = refs.filter((of) => !down.includes(of));
    const watches = this.#watches(live);
    this.#host.prepare(live);
    this.#dispatch({ type: 'restart', instances: live, reason: 'gsup restart' });
    return (await Promise.all([this.#started(watches, true), this.#startNow(down)])).flat();
  }

  delete(services: readonly string[], tell: Tell): Promise<OperationLine> {
    const refs = services.flatMap((name) => refsOf(this.#host.state(), name));
    return this.#each(refs, tell, (own, name) => this.#remove(name, own), {
      services: this.#stopOrder(services),
      after: this.#dependents(),
    });
  }

  scale(service: string, instances: number, tell: Tell): Promise<OperationLine> {
    return this.#each([], tell, () => this.#scaleNow(service, instances), { services: [service] });
  }

  /** Makes the services match `changes`; `specs` holds what is added or changed. */
  async apply(changes: readonly Change[], specs: ReadonlyMap<string, ServiceSpec>, tell: Tell): Promise<OperationLine> {
    tell({ type: 'plan', changes });
    const gone = changes.filter(({ action }) => action === 'remove').map(({ service }) => service);
    const removed = gone.length === 0 ? null : await this.delete(gone, tell);
    const dependencies = Object.fromEntries(
      [...specs.values()].map(({ name, dependsOn }) => [name, Object.keys(dependsOn)]),
    );
    const order = startOrder(dependencies).filter((name) => specs.has(name));
    const applied = await this.#each([], tell, (_, service) => this.#applyOne(service, changes, specs), {
      services: order,
      behind: (service) => dependencies[service] ?? [],
    });
    return merged(removed, applied);
  }

  async #applyOne(
    service: string,
    changes: readonly Change[],
    specs: ReadonlyMap<string, ServiceSpec>,
  ): Promise<readonly Outcome[]> {
    const spec = specs.get(service);
    const action = changes.find((change) => change.service === service)?.action;
    if (spec === undefined || action === undefined) return [];
    const before = refsOf(this.#host.state(), service);
    const watches = this.#watches(before);
    const excess = before.filter(({ index }) => index >= spec.instances);
    const refs = Array.from({ length: spec.instances }, (_, index) => ({ service, index }));
    this.#host.prepare(refs);
    if (action !== 'none' && action !== 'start') {
      this.#dispatch({ type: 'define', spec, reason: 'gsup apply', replaces: action === 'replace' });
    }
    const replaced =
      action === 'replace'
        ? watches.filter(({ of }) => of.index < spec.instances && !isDownNow(this.#host.state(), of))
        : [];
    const rest = refs.filter(({ index }) => !replaced.some(({ of }) => of.index === index));
    const [again, started, stopped] = await Promise.all([
      this.#started(replaced, true),
      this.#startNow(rest),
      excess.length === 0 ? [] : this.#stopped(excess),
    ]);
    return [...again, ...started, ...stopped];
  }

  async #scaleNow(service: string, instances: number): Promise<readonly Outcome[]> {
    const state = this.#host.state();
    const present = state.services[service];
    if (present === undefined) return [];
    const before = refsOf(state, service);
    const refs = Array.from({ length: instances }, (_, index) => ({ service, index }));
    const added = refs.slice(present.spec.instances);
    this.#host.prepare(added);
    this.#dispatch({ type: 'define', spec: { ...present.spec, instances }, reason: 'gsup scale', replaces: false });
    const excess = before.slice(instances);
    const [started, stopped] = await Promise.all([
      added.length === 0 ? [] : this.#startNow(added),
      excess.length === 0 ? [] : this.#stopped(excess),
    ]);
    return [...started, ...stopped];
  }

  #startNow(refs: readonly InstanceRef[]): Promise<readonly Outcome[]> {
    const watches = this.#watches(refs);
    this.#host.prepare(refs);
    for (const service of new Set(refs.map((of) => of.service))) {
      const indexes = refs.filter((of) => of.service === service).map(({ index }) => index);
      this.#dispatch({ type: 'start', services: [service], indexes, reason: 'gsup start' });
    }
    return this.#started(watches, false);
  }

  async #remove(service: string, refs: readonly InstanceRef[]): Promise<readonly Outcome[]> {
    const collected = this.#collectVerdicts(refs);
    this.#dispatch({ type: 'remove', services: [service], reason: 'gsup delete' });
    // What SIGKILL does not end stays, and is told.
    const isStuck = ({ problem }: ReturnType<typeof stopStatus>) => problem !== null;
    const statuses = () => refsOf(this.#host.state(), service).map((of) => stopStatus(this.#host.state(), of));
    await this.#until(
      () => this.#host.state().services[service] === undefined || (statuses().length > 0 && statuses().every(isStuck)),
    );
    const problems = new Map(refs.map((of) => [of, stopStatus(this.#host.state(), of).problem]));
    return collected().map(({ of, verdict }) => ({
      instance: instanceName(of.service, of.index),
      isOk: verdict !== 'killed' && !problems.get(of),
      message: problems.get(of) ?? (verdict === 'killed' ? 'deleted, with SIGKILL' : 'deleted'),
      verdict,
      isTimeout: false,
      stderr: [],
    }));
  }

  async #stopped(refs: readonly InstanceRef[]): Promise<readonly Outcome[]> {
    const collected = this.#collectVerdicts(refs);
    await this.#until(() => refs.every((of) => stopStatus(this.#host.state(), of).isOver));
    return collected().map(({ of, verdict, message }) => {
      const { problem } = stopStatus(this.#host.state(), of);
      return {
        instance: instanceName(of.service, of.index),
        isOk: verdict !== 'killed' && problem === null,
        message: problem ?? message ?? 'is not running',
        verdict,
        isTimeout: false,
        stderr: [],
      };
    });
  }

  /** Waits until each has come up, or shown that it does not. */
  async #started(watches: readonly Watch[], isRestart: boolean): Promise<readonly Outcome[]> {
    const collected = this.#collectVerdicts(watches.map(({ of }) => of));
    const statuses = new Map<Watch, StartStatus>();
    const look = (): boolean => {
      const at = this.#host.now();
      for (const watch of watches) {
        if (statuses.get(watch)?.isOver !== true)
          statuses.set(watch, startStatus(this.#host.state(), watch, at, SETTLED_MS));
      }
      return watches.every((watch) => statuses.get(watch)?.isOver === true);
    };
    await this.#until(look, () => nextLook(statuses.values()));
    const verdicts = new Map(collected().map(({ of, verdict }) => [instanceName(of.service, of.index), verdict]));
    return Promise.all(
      watches.map(async (watch): Promise<Outcome> => {
        const { of, begin } = watch;
        const status = statuses.get(watch);
        const instance = instanceName(of.service, of.index);
        const verdict = isRestart ? (verdicts.get(instance) ?? null) : null;
        const isUp = status?.problem === null;
        const suffix = verdict === 'killed' ? '; the run before needed SIGKILL' : '';
        return {
          instance,
          isOk: isUp && verdict !== 'killed',
          message: `${status?.problem ?? status?.message ?? 'is gone'}${suffix}`,
          verdict,
          isTimeout: status?.isTimeout === true,
          stderr: isUp ? [] : await this.#host.lastErrors(of, begin, STDERR_LINES),
        };
      }),
    );
  }

  #watches(refs: readonly InstanceRef[]): readonly Watch[] {
    const begin = this.#host.now();
    return refs.map((of) => ({ of, begin, runBefore: runOf(this.#host.state(), of) }));
  }

  /** The verdict and words of each instance's stop, from now on until the result is called. */
  #collectVerdicts(refs: readonly InstanceRef[]): () => readonly {
    readonly of: InstanceRef;
    readonly verdict: Verdict | null;
    readonly message: string | null;
  }[] {
    const told = new Map<string, { verdict: Verdict; message: string }>();
    const end = this.#host.onRecord((record) => {
      if (record.phase !== 'stopped' || record.instance === undefined || record.verdict === undefined) return;
      // A later one is of another run.
      if (told.has(record.instance)) return;
      told.set(record.instance, { verdict: record.verdict, message: stopMessage(record) });
    });
    return () => {
      end();
      return refs.map((of) => {
        const found = told.get(instanceName(of.service, of.index));
        return { of, verdict: found?.verdict ?? null, message: found?.message ?? null };
      });
    };
  }

  /** Resolves when `isDone`; looked at after every change, and when `nextLookMs` is over. */
  #until(isDone: () => boolean, nextLookMs: () => number | null = () => null): Promise<void> {
    return new Promise((resolve) => {
      let timer: NodeJS.Timeout | undefined;
      const look = (): void => {
        clearTimeout(timer);
        if (isDone()) {
          end();
          resolve();
          return;
        }
        const ms = nextLookMs();
        if (ms !== null) timer = setTimeout(look, ms);
      };
      const end = this.#host.onChange(look);
      look();
    });
  }

  /** These services, each behind those that depend on it. */
  #stopOrder(services: readonly string[]): readonly string[] {
    return stopWaves(this.#dependencies())
      .flat()
      .filter((name) => services.includes(name));
  }

  #dependencies(): Dependencies {
    const { services } = this.#host.state();
    return Object.fromEntries(Object.values(services).map(({ spec }) => [spec.name, Object.keys(spec.dependsOn)]));
  }

  /** Service → those that depend on it. */
  #dependents(): (service: string) => readonly string[] {
    const dependencies = Object.entries(this.#dependencies());
    return (service) => dependencies.filter(([, needed]) => needed.includes(service)).map(([name]) => name);
  }

  /** `work` for each service in its turn; records of all of them are told meanwhile. */
  async #each(
    refs: readonly InstanceRef[],
    tell: Tell,
    work: (refs: readonly InstanceRef[], service: string) => Promise<readonly Outcome[]>,
    { services = [...new Set(refs.map(({ service }) => service))], ...order }: Partial<Order> = {},
  ): Promise<OperationLine> {
    const ours = new Set(services);
    const end = this.#host.onRecord((record) => {
      if (record.service !== undefined && ours.has(record.service)) tell({ type: 'record', record });
    });
    const workOn = (service: string) =>
      work(
        refs.filter((of) => of.service === service),
        service,
      );
    try {
      const all = this.#host.batch(() => this.#queues.each(workOn, { services, ...order }));
      return resultOf((await all).flat());
    } finally {
      end();
    }
  }

  #dispatch(event: WithoutTime<SupervisorEvent>): void {
    this.#host.dispatch({ ...event, at: this.#host.now() } as SupervisorEvent);
  }
}

type WithoutTime<E> = E extends { readonly at: number } ? Omit<E, 'at'> : never;

/** What others depend on comes first. */
function startOrder(dependencies: Dependencies): readonly string[] {
  return stopWaves(dependencies).toReversed().flat();
}

/** The last line of an operation that did not begin. */
export function refused(error: unknown): OperationLine {
  if (!(error instanceof GsupError)) {
    // A bug: loud in daemon.log, and no reason to take everybody's daemon away.
    console.error(error);
    const hint = 'this is a bug of gsup; daemon.log in its home has the details';
    return { type: 'result', exitStatus: EXIT.failed, outcomes: [], error: `internal error: ${String(error)}`, hint };
  }
  const { message, exitStatus, hint = null } = error;
  return { type: 'result', exitStatus, outcomes: [], error: message, hint };
}

function resultOf(outcomes: readonly Outcome[]): OperationLine {
  const failed = outcomes.filter(({ isOk }) => !isOk);
  const isTimeout = failed.every((outcome) => outcome.isTimeout);
  const exitStatus = failed.length === 0 ? EXIT.done : isTimeout ? EXIT.timedOut : EXIT.failed;
  return { type: 'result', exitStatus, outcomes, error: null, hint: null };
}

function merged(first: OperationLine | null, second: OperationLine): OperationLine {
  if (first?.type !== 'result' || second.type !== 'result') return second;
  return resultOf([...first.outcomes, ...second.outcomes]);
}

function isDownNow(state: SupervisorState, { service, index }: InstanceRef): boolean {
  const name = state.services[service]?.instances[index]?.name;
  return name === 'stopped' || name === 'exited' || name === 'failed';
}

function stopMessage({ verdict, graceUsed = 0 }: Told): string {
  const used = `${Math.round(graceUsed * 100)}% of the grace period used`;
  return verdict === 'killed' ? `stopped with SIGKILL, ${used}` : `stopped cleanly, ${used}`;
}

function nextLook(statuses: Iterable<StartStatus>): number | null {
  const lengths = [...statuses].flatMap(({ isOver, lookAgainMs }) =>
    isOver || lookAgainMs === null ? [] : [lookAgainMs],
  );
  return lengths.length === 0 ? null : Math.min(...lengths);
}
