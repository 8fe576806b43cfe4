/** What commands ask of services, one after the other for each service, waited for to their honest end. */
import type { Change, OperationLine, Outcome } from '../api/types.ts';
import { EXIT, isGsupError } from '../core/error.ts';
import type { InstanceRef, SupervisorEvent } from '../core/event.ts';
import { type Dependencies, startOrder, stopWaves, withDependencies } from '../core/graph.ts';
import { instanceName, parseSlotName } from '../core/name.ts';
import { differingKeys, planFor } from '../core/plan.ts';
import { type SupervisorState, stateAt } from '../core/root-state.ts';
import type { ServiceSpec } from '../core/service.ts';
import { refsOf } from './names.ts';
import { stopStatus, withOpenSockets } from './outcome.ts';
import { type Order, ServiceQueues } from './queues.ts';
import {
  deletedMeanwhile,
  isFree,
  isRolled,
  pidAt,
  type Roll,
  rolledOutcome,
  rollInTurn,
  stoppedMeanwhile,
} from './rolling.ts';
import { STDERR_LINES, Waiting, type WaitingHost } from './waiting.ts';

/** What operations need of the daemon. */
export type OperationsHost = WaitingHost & {
  dispatch(event: SupervisorEvent): void;
  /** What is dispatched in it is done together. */
  batch<T>(work: () => T): T;
  /** Makes streams and files ready for instances that will start. */
  prepare(refs: readonly InstanceRef[]): void;
  /** Keeps on disk what has changed. */
  flush(): void;
  /** What a service inherits from now on. */
  setEnvironment(service: string, environment: Environment): void;
  /** An outcome as it may go out. */
  shown(outcome: Outcome): Outcome;
  /** What it inherits once the rolling restart that follows has come to its end. */
  stageEnvironment(service: string, environment: Environment): void;
};

type Environment = Readonly<Record<string, string>>;
type Tell = (line: OperationLine) => void;
/** Runs operations; each resolves with its last line when everything it began is over. */
export class Operations {
  readonly #host: OperationsHost;
  readonly #queues = new ServiceQueues();
  readonly #waiting: Waiting;
  /** Number of stops requested of each instance, by its name. */
  readonly #stops = new Map<string, number>();

  constructor(host: OperationsHost) {
    this.#host = host;
    this.#waiting = new Waiting(host);
  }

  /** `environment`: what those that are named inherit from now on; each keeps its own without it. */
  start(refs: readonly InstanceRef[], tell: Tell, environment?: Environment): Promise<OperationLine> {
    const state = this.#host.state();
    const wanted = [...new Set(refs.map(({ service }) => service))];
    const dependencies = this.#dependencies();
    // What they depend on comes along, as far as it doesn't run.
    const others = withDependencies(wanted, dependencies).filter((name) => !wanted.includes(name));
    const all = [...others.flatMap((name) => refsOf(state, name).filter((of) => isDownNow(state, of))), ...refs];
    const services = startOrder(dependencies).filter((name) => all.some(({ service }) => service === name));
    const behind = (service: string) => dependencies[service] ?? [];
    const isStopped = this.#stopsSince();
    const work = (own: readonly InstanceRef[], service: string) =>
      unlessStopped(own, isStopped, (left) => {
        if (environment !== undefined && wanted.includes(service)) this.#host.setEnvironment(service, environment);
        return this.#startNow(left);
      });
    return this.#each(all, tell, work, { services, behind });
  }

  /** Dependents stop first, as in a shutdown. It waits for no earlier operation: those end or give way. */
  stop(refs: readonly InstanceRef[], tell: Tell): Promise<OperationLine> {
    const services = this.#stopOrder(refs.map(({ service }) => service));
    this.#giveWay(refs, 'gsup stop');
    const work = (own: readonly InstanceRef[]) => {
      this.#dispatch({ type: 'stop', instances: own, reason: 'gsup stop' });
      return this.#waiting.stopped(own).then((outcomes) => withOpenSockets(this.#host.state(), outcomes));
    };
    return this.#each(refs, tell, work, { services, after: this.#dependents(), isUrgent: true });
  }

  restart(refs: readonly InstanceRef[], tell: Tell, environment?: Environment): Promise<OperationLine> {
    const dependencies = this.#dependencies();
    const services = startOrder(dependencies).filter((name) => refs.some(({ service }) => service === name));
    const behind = (service: string) => dependencies[service] ?? [];
    const isStopped = this.#stopsSince();
    const work = (own: readonly InstanceRef[], service: string) =>
      unlessStopped(own, isStopped, (left) => {
        if (environment !== undefined) this.#host.setEnvironment(service, environment);
        return this.#restartNow(left);
      });
    return this.#each(refs, tell, work, { services, behind });
  }

  /** One service at a time, along the dependencies; after one that fails the others are left as they are. */
  reload(refs: readonly InstanceRef[], tell: Tell, environment?: Environment): Promise<OperationLine> {
    const services = startOrder(this.#dependencies()).filter((name) => refs.some(({ service }) => service === name));
    const isStopped = this.#stopsSince();
    const isChange = environment !== undefined;
    const roll = rollInTurn(async (own, service) =>
      own.some(isStopped)
        ? own.map((of) => stoppedMeanwhile(of, 'replaced'))
        : this.#rollNow(own, { service, spec: null, isChange, reason: 'gsup reload' }, environment),
    );
    return this.#each(refs, tell, roll, { services, after: (service) => services.slice(0, services.indexOf(service)) });
  }

  /** What runs is replaced one by one; what is down is started. */
  async #rollNow(
    refs: readonly InstanceRef[],
    roll: Roll,
    environment: Environment | undefined,
  ): Promise<readonly Outcome[]> {
    const { service, spec } = roll;
    const gone = refs.filter((of) => stateAt(this.#host.state(), of) === undefined);
    if (gone.length > 0) {
      const there = refs.filter((of) => !gone.includes(of));
      const others = there.length === 0 ? [] : await this.#rollNow(there, roll, environment);
      return [...others, ...gone.map(deletedMeanwhile)];
    }
    const byHand = this.#host.state().services[service]?.stoppedByHand ?? [];
    const live = refs.filter((of) => !byHand.includes(of.index) && !isWaiting(this.#host.state(), of));
    const isUp = live.some((of) => !isDownNow(this.#host.state(), of));
    if (environment !== undefined) {
      if (isUp) this.#host.stageEnvironment(service, environment);
      else this.#host.setEnvironment(service, environment);
    }
    if (!isUp && spec !== null) this.#dispatch({ type: 'define', spec, reason: roll.reason, replaces: false });
    if (!isUp) return this.#startNow(refs);
    const begin = this.#host.now();
    const isStopped = this.#stopsSince();
    const before = new Map(live.map((of) => [of.index, pidAt(this.#host.state(), of)]));
    const collected = this.#waiting.verdicts(live);
    const told = this.#waiting.aborts(service);
    const indexes = live.map(({ index }) => index);
    this.#dispatch({ ...roll, type: 'roll', indexes });
    // Given up for another command, which waits itself for what is on its way out.
    const isGivenUp = () => told.now() !== null && told.now()?.instance === undefined;
    await this.#waiting.until(
      () => isRolled(this.#host.state(), service) || (isGivenUp() && isFree(this.#host.state(), service)),
    );
    const aborted = told.end();
    const verdicts = new Map(collected().map(({ of, verdict }) => [of.index, verdict]));
    const failed = aborted?.instance === undefined ? null : parseSlotName(aborted.instance);
    const errors = failed === null ? [] : await this.#host.lastErrors(failed, begin, STDERR_LINES);
    const outcomes = live.map((of) =>
      rolledOutcome({
        of,
        spec: spec ?? this.#host.state().services[service]?.spec ?? { sockets: [] },
        aborted,
        errors,
        verdict: verdicts.get(of.index) ?? null,
        pidBefore: before.get(of.index) ?? null,
        pidNow: pidAt(this.#host.state(), of),
      }),
    );
    if (aborted !== null) return outcomes;
    const others = refs.filter((of) => !live.includes(of));
    const started = await unlessStopped(others, isStopped, (left) => this.#startNow(left));
    return [...outcomes, ...started];
  }

  /** Whether a stop of an instance was requested after this call: an operation that has not started gives way to it. */
  #stopsSince(): IsStopped {
    const before = new Map(this.#stops);
    return ({ service, index }) => {
      const name = instanceName(service, index);
      return this.#stops.get(name) !== before.get(name);
    };
  }

  /** Counts the stop, which waiting operations give way to, and aborts rolling restarts. */
  #giveWay(refs: readonly InstanceRef[], reason: string): void {
    for (const { service, index } of refs) {
      const name = instanceName(service, index);
      this.#stops.set(name, (this.#stops.get(name) ?? 0) + 1);
    }
    const { services: present } = this.#host.state();
    const rolling = [...new Set(refs.map(({ service }) => service))].filter((name) => present[name]?.rolling != null);
    if (rolling.length > 0) this.#dispatch({ type: 'abort-roll', services: rolling, reason });
  }

  /** What is down waits for what it depends on, as at any start. */
  async #restartNow(refs: readonly InstanceRef[]): Promise<readonly Outcome[]> {
    const down = refs.filter((of) => isDownNow(this.#host.state(), of));
    const live = refs.filter((of) => !down.includes(of));
    const watches = this.#waiting.watches(live);
    this.#host.prepare(live.filter((of) => stateAt(this.#host.state(), of) !== undefined));
    this.#dispatch({ type: 'restart', instances: live, reason: 'gsup restart' });
    return (await Promise.all([this.#waiting.started(watches, true), this.#startNow(down)])).flat();
  }

  delete(services: readonly string[], tell: Tell): Promise<OperationLine> {
    const refs = services.flatMap((name) => refsOf(this.#host.state(), name));
    this.#giveWay(refs, 'gsup delete');
    return this.#each(refs, tell, (own, name) => this.#remove(name, own), {
      services: this.#stopOrder(services),
      after: this.#dependents(),
      isUrgent: true,
    });
  }

  scale(service: string, instances: number, tell: Tell): Promise<OperationLine> {
    const isStopped = this.#stopsSince();
    const work = async () => {
      const stopped = refsOf(this.#host.state(), service).filter(isStopped);
      return stopped.length > 0
        ? stopped.map((of) => stoppedMeanwhile(of, 'started'))
        : this.#scaleNow(service, instances);
    };
    return this.#each([], tell, work, { services: [service] });
  }

  /** Makes the services match `specs`. Each change is worked out again in its turn: operations before it may have changed the service. */
  async apply({ changes, specs, environments }: Application, tell: Tell): Promise<OperationLine> {
    tell({ type: 'plan', changes });
    const isStopped = this.#stopsSince();
    const gone = changes.filter(({ action }) => action === 'remove').map(({ service }) => service);
    const removed = gone.length === 0 ? null : await this.delete(gone, tell);
    const wanted = new Map(specs.map((spec) => [spec.name, spec]));
    const planned = new Map(changes.map((change) => [change.service, change.action]));
    const dependencies = Object.fromEntries(specs.map(({ name, dependsOn }) => [name, Object.keys(dependsOn)]));
    const order = startOrder(dependencies).filter((name) => wanted.has(name));
    const replaced = order.filter((name) => planned.get(name) === 'replace');
    const roll = rollInTurn(async (_, service) => {
      const spec = wanted.get(service);
      return spec === undefined ? [] : this.#applyOne(spec, environments);
    });
    const work = async (_: readonly InstanceRef[], service: string) => {
      const [spec, own] = [wanted.get(service), refsOf(this.#host.state(), service)];
      if (spec === undefined) return [];
      const stopped = own.filter(isStopped);
      if (stopped.length > 0) return stopped.map((of) => stoppedMeanwhile(of, 'replaced'));
      const [change] = planFor(this.#host.state(), [spec], false);
      if (change !== undefined && change.action !== planned.get(service)) tell({ type: 'plan', changes: [change] });
      return change?.action === 'replace' ? roll(own, service) : this.#applyOne(spec, environments);
    };
    const applied = await this.#each([], tell, work, {
      services: order,
      after: (service) => replaced.slice(0, Math.max(0, replaced.indexOf(service))),
      behind: (service) => dependencies[service] ?? [],
    });
    return merged(removed, applied);
  }

  async #applyOne(spec: ServiceSpec, { given, forNew }: Environments): Promise<readonly Outcome[]> {
    const service = spec.name;
    const action = planFor(this.#host.state(), [spec], false)[0]?.action;
    const isKept = action === 'none' || action === 'scale';
    const environment = isKept ? null : (given ?? (action === 'add' ? forNew : null));
    const isStopped = this.#stopsSince();
    const before = refsOf(this.#host.state(), service);
    const excess = before.filter(({ index }) => index >= spec.instances);
    const refs = Array.from({ length: spec.instances }, (_, index) => ({ service, index }));
    const kept = before.filter((of) => of.index < spec.instances && !isDownNow(this.#host.state(), of));
    if (action === 'replace' && kept.length > 0) {
      const roll = { service, spec, isChange: true, reason: 'gsup apply' };
      const rolled = await this.#rollNow(kept, roll, environment ?? undefined);
      if (rolled.some(({ isOk }) => !isOk) && !this.#isAsDefined(spec)) return rolled;
      const others = refs.filter(({ index }) => !kept.some((of) => of.index === index));
      const [started, stopped] = await Promise.all([
        unlessStopped(others, isStopped, (left) => this.#startNow(left)),
        this.#waiting.stopped(excess),
      ]);
      return [...rolled, ...started, ...stopped];
    }
    if (environment !== null) this.#host.setEnvironment(service, environment);
    if (action !== 'none' && action !== 'start')
      this.#dispatch({ type: 'define', spec, reason: 'gsup apply', replaces: false });
    const [started, stopped] = await Promise.all([this.#startNow(refs), this.#waiting.stopped(excess)]);
    return [...started, ...stopped];
  }

  #isAsDefined(spec: ServiceSpec): boolean {
    const present = this.#host.state().services[spec.name]?.spec;
    return present !== undefined && differingKeys(present, spec).length === 0;
  }

  async #scaleNow(service: string, instances: number): Promise<readonly Outcome[]> {
    const state = this.#host.state();
    const present = state.services[service];
    if (present === undefined) return [];
    const before = refsOf(state, service);
    const refs = Array.from({ length: instances }, (_, index) => ({ service, index }));
    const added = refs.slice(present.spec.instances);
    this.#dispatch({ type: 'define', spec: { ...present.spec, instances }, reason: 'gsup scale', replaces: false });
    const excess = before.slice(instances);
    const [started, stopped] = await Promise.all([
      added.length === 0 ? [] : this.#startNow(added),
      excess.length === 0 ? [] : this.#waiting.stopped(excess),
    ]);
    return [...started, ...stopped];
  }

  #startNow(refs: readonly InstanceRef[]): Promise<readonly Outcome[]> {
    const watches = this.#waiting.watches(refs);
    this.#host.prepare(refs.filter((of) => stateAt(this.#host.state(), of) !== undefined));
    for (const service of new Set(refs.map((of) => of.service))) {
      const indexes = refs.filter((of) => of.service === service).map(({ index }) => index);
      this.#dispatch({ type: 'start', services: [service], indexes, reason: 'gsup start' });
    }
    return this.#waiting.started(watches, false);
  }

  async #remove(service: string, refs: readonly InstanceRef[]): Promise<readonly Outcome[]> {
    const collected = this.#waiting.verdicts(refs);
    this.#dispatch({ type: 'remove', services: [service], reason: 'gsup delete' });
    // An instance that SIGKILL does not end stays, and with it those of a lower index.
    const isDone = () => {
      const statuses = refsOf(this.#host.state(), service).map((of) => stopStatus(this.#host.state(), of));
      const isStuck = statuses.every(({ isOver }) => isOver) && statuses.some(({ problem }) => problem !== null);
      return isStuck || this.#host.state().services[service]?.isLeaving !== true;
    };
    await this.#waiting.until(isDone);
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
    const begin = (service: string) =>
      work(
        refs.filter((of) => of.service === service),
        service,
      );
    // One that the daemon before has left under way was asked for before.
    const isOurs = (service: string) => isFree(this.#host.state(), service);
    const workOn = (service: string) =>
      isOurs(service) ? begin(service) : this.#waiting.until(() => isOurs(service)).then(() => begin(service));
    try {
      const all = this.#host.batch(() => this.#queues.each(workOn, { services, ...order }));
      const outcomes = (await all).flat().map((outcome) => this.#host.shown(outcome));
      this.#host.flush();
      return resultOf(outcomes);
    } finally {
      end();
    }
  }

  #dispatch(event: WithoutTime<SupervisorEvent>): void {
    this.#host.dispatch({ ...event, at: this.#host.now() } as SupervisorEvent);
  }
}

/** What is applied: the announced changes, all wanted specs, and what the services inherit. */
type Application = {
  readonly changes: readonly Change[];
  readonly specs: readonly ServiceSpec[];
  readonly environments: Environments;
};

type Environments = {
  /** For services that are added, replaced, updated or started; `null`: each keeps its own. */
  readonly given: Environment | null;
  /** For services that are added. */
  readonly forNew: Environment;
};

type IsStopped = (of: InstanceRef) => boolean;

/** `work` on the instances of which no stop was requested meanwhile. */
async function unlessStopped(
  refs: readonly InstanceRef[],
  isStopped: IsStopped,
  work: (left: readonly InstanceRef[]) => Promise<readonly Outcome[]>,
): Promise<readonly Outcome[]> {
  const stopped = refs.filter(isStopped);
  const left = refs.filter((of) => !stopped.includes(of));
  const outcomes = left.length === 0 ? [] : await work(left);
  return [...stopped.map((of) => stoppedMeanwhile(of, 'started')), ...outcomes];
}

type WithoutTime<E> = E extends { readonly at: number } ? Omit<E, 'at'> : never;

function isWaiting(state: SupervisorState, { service, index }: InstanceRef): boolean {
  return state.services[service]?.waiting?.indexes.includes(index) === true;
}

/** The last line of an operation that did not begin. */
export function refused(error: unknown): OperationLine {
  if (!isGsupError(error)) {
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
