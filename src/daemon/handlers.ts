/** What each call of the control socket does: one handler for each route of the table. */
import type { InputOf } from '../api/inputs.ts';
import { unmet } from '../api/queries.ts';
import { PROTOCOL } from '../api/routes.ts';
import type { Handlers } from '../api/server.ts';
import type { OperationLine, ServiceView, SpareView } from '../api/types.ts';
import { EXIT, GsupError, usageError } from '../core/error.ts';
import type { InstanceRef } from '../core/event.ts';
import { findCycle } from '../core/graph.ts';
import { nearest } from '../core/name.ts';
import type { Occasion } from '../core/occasion.ts';
import { planFor } from '../core/plan.ts';
import { masked, maskedSpec, maskedValue } from '../core/secrets.ts';
import type { HttpSpec, ServiceSpec } from '../core/service.ts';
import { parseSignal, SIGNAL_NAMES } from '../core/signal.ts';
import { pidOf } from '../core/state.ts';
import { instanceEnvironment } from '../host/environment.ts';
import { loadNative } from '../host/native.ts';
import { checkStart } from '../host/start-check.ts';
import { systemClock } from '../supervisor/clock.ts';
import type { Daemon } from './daemon.ts';
import { servicesNamed } from './names.ts';
import { refused } from './operations.ts';

type Ending = {
  /** Called when the reply has been sent: the process may end. */
  end(exitStatus: number): void;
  /** Somebody (systemd) starts the next one, where the exit status asks for it. */
  readonly isManaged: boolean;
};

export function handlersOf(daemon: Daemon, version: string, { end, isManaged }: Ending): Handlers {
  const { operations, supervisor } = daemon;
  const operate = (run: (tell: (line: OperationLine) => void) => Promise<OperationLine>) => streamOf(run);
  return {
    ping: async () => {
      const services = Object.values(supervisor.state.services);
      const instances = services.reduce((sum, service) => sum + service.instances.length, 0);
      const native = (await loadNative()) !== null;
      const { startedAt, home } = daemon;
      const counts = { services: services.length, instances };
      const identity = { version, protocol: PROTOCOL, pid: process.pid, startedAt, home: home.folder };
      return { ...identity, ...counts, native, managed: isManaged };
    },
    list: async ({ usage, stops }) => {
      // Else those of daemons before may come with the next call only: a list waits for no file.
      if (stops === true) await daemon.stopsOf('');
      return daemon.views(usage === true);
    },
    show: ({ name }) => show(daemon, name),
    why: async ({ name }) => (await import('./why-facts.ts')).why(daemon, name),
    environment: ({ name, compareWith }) => environmentView(daemon, name, compareWith),
    spare: ({ name }) => spareView(daemon, name),
    start: ({ names, environment }) =>
      operate((tell) => {
        return operations.start(daemon.refsOf(names), tell, environment);
      }),
    stop: ({ names }) => operate((tell) => operations.stop(daemon.refsOf(names), tell)),
    restart: ({ names, environment }) =>
      operate((tell) => {
        const refs = daemon.refsOf(names);
        checkStarts(daemon, specsOf(daemon, refs), environment);
        return operations.restart(refs, tell, environment);
      }),
    reload: ({ names, environment }) =>
      operate((tell) => {
        const refs = daemon.refsOf(names);
        checkStarts(daemon, specsOf(daemon, refs), environment);
        return operations.reload(refs, tell, environment);
      }),
    delete: ({ names }) => operate((tell) => operations.delete(servicesNamed(supervisor.state, names), tell)),
    scale: ({ name, instances }) =>
      operate((tell) => {
        const [service = ''] = servicesNamed(supervisor.state, [name]);
        return operations.scale(service, instances, tell);
      }),
    signal: ({ names, signal }) => ({ signalled: sendSignal(daemon, names, signal) }),
    apply: (input) => operate((tell) => apply(daemon, input, tell)),
    logs: async (query, signal) => (await import('./streams.ts')).logStream(daemon, query, signal),
    events: async (query, signal) => (await import('./streams.ts')).eventStream(daemon, query, signal),
    timeline: (query) => timeline(daemon, query),
    reopenLogs: () => ({ files: daemon.reopenLogs() }),
    kill: () =>
      operate(async (tell) => {
        const stopTelling = daemon.onRecord((record) => tell({ type: 'record', record }));
        const verdict = await daemon.shutdown('gsup kill', null, true);
        stopTelling();
        const exitStatus = verdict === 'clean' ? EXIT.done : EXIT.failed;
        // A failure would bring the daemon back.
        setImmediate(() => end(isManaged ? EXIT.done : exitStatus));
        return { type: 'result', exitStatus, outcomes: [], error: null, hint: null };
      }),
    retire: () => {
      setImmediate(() => end(isManaged ? EXIT.retired : EXIT.done));
      return { pid: process.pid };
    },
  };
}

/** Whose environment new services get at SIGHUP: no name of a service. */
const OF_THE_FILE = ':file';

type ApplyInput = {
  readonly services: readonly ServiceSpec[];
  /** `null`: each service keeps its own, new ones get that of the last apply. */
  readonly environment: Readonly<Record<string, string>> | null;
  readonly isWhole: boolean;
  readonly isDryRun: boolean;
  readonly file?: string | undefined;
  readonly shutdownTimeoutMs?: number | null | undefined;
  /** Absent: it stays as it is. */
  readonly http?: HttpSpec | null | undefined;
};

/** Makes the daemon's services match; also what SIGHUP does with the file of the last apply. */
export async function apply(
  daemon: Daemon,
  { services, environment, isWhole, isDryRun, file, shutdownTimeoutMs, http }: ApplyInput,
  tell: (line: OperationLine) => void,
): Promise<OperationLine> {
  const present = Object.values(daemon.supervisor.state.services);
  checkDependencies(services, isWhole ? [] : present.map(({ spec }) => spec));
  const changes = planFor(daemon.supervisor.state, services, isWhole);
  if (isDryRun) {
    tell({ type: 'plan', changes });
    return { type: 'result', exitStatus: EXIT.done, outcomes: [], error: null, hint: null };
  }
  const replaced = changes.filter(({ action }) => action === 'replace').map(({ service }) => service);
  checkStarts(
    daemon,
    services.filter(({ name }) => replaced.includes(name)),
    environment ?? undefined,
  );
  if (file !== undefined) {
    daemon.setFile(file);
    if (environment !== null) daemon.setEnvironment(OF_THE_FILE, environment);
  }
  if (shutdownTimeoutMs !== undefined) {
    daemon.supervisor.dispatch({ type: 'configure', at: systemClock.now(), shutdownTimeoutMs });
  }
  if (http !== undefined) await takeHttp(daemon, http, tell);
  const environments = { given: environment, forNew: environment ?? daemon.environmentOf(OF_THE_FILE) };
  return daemon.operations.apply({ changes, specs: services, environments }, tell);
}

/** @throws {GsupError} if a running service could not start again. `environment`: what all of them will inherit, if that is new. */
function checkStarts(
  daemon: Daemon,
  specs: readonly ServiceSpec[],
  environment: Readonly<Record<string, string>> | undefined,
): void {
  for (const spec of specs) {
    const instances = daemon.supervisor.state.services[spec.name]?.instances ?? [];
    if (instances.some((instance) => pidOf(instance) !== null))
      checkStart(spec, environment ?? daemon.environmentOf(spec.name));
  }
}

function specsOf(daemon: Daemon, refs: readonly InstanceRef[]): readonly ServiceSpec[] {
  return [...new Set(refs.map(({ service }) => service))].flatMap((service) => {
    const spec = daemon.supervisor.state.services[service]?.spec;
    return spec === undefined ? [] : [spec];
  });
}

/** Services don't wait for it, nor does it hold them up: why it can't be listened on is told. */
async function takeHttp(daemon: Daemon, http: HttpSpec | null, tell: (line: OperationLine) => void): Promise<void> {
  const reason = await daemon.http.take(http);
  if (reason === null) return;
  tell({ type: 'record', record: { phase: 'notice', level: 'error', reason, at: Math.round(systemClock.now()) } });
}

/** @throws {GsupError} for a dependency that nobody has, or a circle over what is there already. */
function checkDependencies(services: readonly ServiceSpec[], others: readonly ServiceSpec[]): void {
  const all = new Map([...others, ...services].map(({ name, dependsOn }) => [name, Object.keys(dependsOn)]));
  for (const { name, dependsOn } of services) {
    const missing = Object.keys(dependsOn).find((other) => !all.has(other));
    if (missing !== undefined) {
      throw new GsupError(`${name} depends on ${missing}, which is no service`, { exitStatus: EXIT.config });
    }
  }
  const cycle = findCycle(Object.fromEntries(all));
  if (cycle === null) return;
  throw new GsupError(`services depend on each other in a circle: ${cycle.join(' → ')}`, { exitStatus: EXIT.config });
}

async function show(daemon: Daemon, name: string): Promise<ServiceView> {
  const refs = daemon.refsOf([name]);
  const service = name.split(':')[0] ?? name;
  const known = daemon.supervisor.state.services[service];
  if (known === undefined) throw new GsupError(`no service ${name}`, { exitStatus: EXIT.noSuchService });
  const wanted = new Set(refs.map(({ index }) => index));
  const views = (await daemon.views(true)).filter((view) => view.service === service && wanted.has(view.index));
  const dependents = Object.values(daemon.supervisor.state.services)
    .filter(({ spec }) => service in spec.dependsOn)
    .map(({ spec }) => spec.name);
  const logFiles = [...wanted].flatMap((index) => daemon.logOf({ service, index }).files);
  return {
    service,
    spec: maskedSpec(known.spec, daemon.masking.valuesOf(service)),
    instances: views,
    stops: await daemon.stopsOf(service),
    dependents,
    logFiles,
    logFormat: known.spec.logs.format,
  };
}

/** @throws {GsupError} 4 for names of which neither the journal nor the state knows anything. */
async function timeline(daemon: Daemon, { names, kinds, last }: InputOf<'timeline'>): Promise<readonly Occasion[]> {
  const { readOccasions } = await import('./history.ts');
  const wanted = names.includes('all') ? [] : names;
  const found = await readOccasions(daemon.eventFiles(), { names: wanted, kinds, last });
  if (found.length === 0 && wanted.length > 0) daemon.refsOf(wanted);
  return found;
}

function environmentView(daemon: Daemon, name: string, compareWith: Readonly<Record<string, string>> | undefined) {
  const [of = { service: name, index: 0 }] = daemon.refsOf([name]);
  const spec = daemon.supervisor.state.services[of.service]?.spec;
  if (spec === undefined) throw new GsupError(`no service ${name}`, { exitStatus: EXIT.noSuchService });
  const run = { token: daemon.supervisor.identityOf(of)?.token ?? '', linkPath: null };
  const now = instanceEnvironment(spec, of.index, run, daemon.environmentOf(of.service));
  if (compareWith === undefined) return { service: of.service, environment: masked(now), diff: null };
  const then = instanceEnvironment(spec, of.index, run, compareWith);
  const names = [...new Set([...Object.keys(now), ...Object.keys(then)])].sort();
  const diff = names
    .filter((key) => now[key] !== then[key])
    .map((key) => ({ name: key, from: shown(key, now[key]), to: shown(key, then[key]) }));
  return { service: of.service, environment: masked(now), diff };
}

function spareView(daemon: Daemon, name: string): SpareView {
  const { state } = daemon.supervisor;
  const [service = ''] = servicesNamed(state, [name]);
  const known = state.services[service];
  if (known === undefined) throw new GsupError(`no service ${name}`, { exitStatus: EXIT.noSuchService });
  return { spec: known.spec, environment: daemon.environmentOf(service), missing: unmet(state, known) };
}

function shown(name: string, value: string | undefined): string | null {
  return value === undefined ? null : maskedValue(name, value);
}

function sendSignal(daemon: Daemon, names: readonly string[], text: string): number {
  const signal = parseSignal(text);
  if (signal === null) {
    const near = nearest(text.toUpperCase().startsWith('SIG') ? text : `SIG${text}`, SIGNAL_NAMES);
    throw usageError(
      `"${text}" is no signal`,
      near === null ? 'expected a name like SIGHUP, HUP or 1' : `did you mean ${near}?`,
    );
  }
  const refs = daemon.refsOf(names);
  const live = refs.filter(({ service, index }) => {
    const state = daemon.supervisor.state.services[service]?.instances[index];
    return state !== undefined && pidOf(state) !== null;
  });
  if (live.length === 0) throw new GsupError(`${names.join(', ')} is not running`, { exitStatus: EXIT.notRunning });
  return daemon.supervisor.forward(signal, live);
}

/** An operation as a stream of its lines. It goes on to its end when nobody reads any more. */
async function* streamOf(
  run: (tell: (line: OperationLine) => void) => Promise<OperationLine>,
): AsyncGenerator<OperationLine> {
  const lines: OperationLine[] = [];
  let wake = () => {};
  let isOver = false;
  let isRead = true;
  const tell = (line: OperationLine): void => {
    if (isRead) lines.push(line);
    wake();
  };
  void Promise.resolve()
    .then(() => run(tell))
    .catch(refused)
    .then((line) => {
      isOver = true;
      tell(line);
    });
  try {
    while (!isOver || lines.length > 0) {
      const next = lines.shift();
      if (next !== undefined) yield next;
      else
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
    }
  } finally {
    isRead = false;
  }
}
