/** What /metrics answers: counted from records as they come, the rest looked up when somebody asks. */
import { Counter, Gauge, Histogram, type OpenMetricsContentType, Registry } from 'prom-client';
import type { Told } from '../api/types.ts';
import { slotName } from '../core/name.ts';
import { instancesOf } from '../core/root-state.ts';
import { pidOf } from '../core/state.ts';
import { Restarts } from './restarts.ts';
import type { HttpSource, Used } from './source.ts';
import type { Usages } from './usages.ts';

/** Who asks more often gets the same answer. */
const FRESH_MS = 1_000;
const STOP_SECONDS = [0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 30, 60, 120];
const GRACE_RATIOS = [0.1, 0.25, 0.5, 0.75, 0.8, 0.9, 0.95, 1];
const STATES = ['starting', 'running', 'stopping', 'backoff', 'stopped', 'exited', 'failed'] as const;

/** The CPU time of an instance over all its runs: it never goes down. */
type Spent = { readonly run: number | null; readonly beforeMs: number; readonly nowMs: number };

export class Metrics {
  readonly #source: HttpSource;
  readonly #usages: Usages;
  readonly #series = seriesIn(new Registry<OpenMetricsContentType>());
  readonly #restarts = new Restarts();
  readonly #end: () => void;
  #spent = new Map<string, Spent>();
  #services = new Set<string>();
  #last: { readonly at: number; readonly text: Promise<string> } | null = null;

  constructor(source: HttpSource, usages: Usages) {
    this.#source = source;
    this.#usages = usages;
    this.#end = source.onRecord((record) => this.#count(record));
    this.#series.buildInfo.set({ version: source.version, node: process.version }, 1);
    this.#series.startTime.set(Math.round(source.startedAt) / 1_000);
  }

  close(): void {
    this.#end();
  }

  /** OpenMetrics for those who accept it, else the text format of Prometheus before it. */
  async text(accept: string): Promise<{ readonly type: string; readonly body: string }> {
    const now = performance.now();
    if (this.#last === null || now - this.#last.at >= FRESH_MS) this.#last = { at: now, text: this.#collect() };
    const text = await this.#last.text;
    if (accept.includes('application/openmetrics-text')) return { type: Registry.OPENMETRICS_CONTENT_TYPE, body: text };
    return { type: Registry.PROMETHEUS_CONTENT_TYPE, body: plainText(text) };
  }

  #count(record: Told): void {
    const { exits, stopDuration, stopGrace, kills, restarts } = this.#series;
    const { phase, service } = record;
    const reason = this.#restarts.take(record);
    if (service === undefined) return;
    if (reason !== null) restarts.inc({ service, reason });
    if (phase === 'exited') {
      const { exitCode, exitSignal } = record;
      const code = exitCode == null ? (exitSignal == null ? 'unknown' : '') : String(exitCode);
      exits.inc({ service, code, signal: exitSignal ?? '' });
    }
    if (phase === 'kill-sent') kills.inc({ service });
    if (phase === 'stopped' && record.elapsedMs !== undefined) {
      stopDuration.observe({ service }, record.elapsedMs / 1_000);
      stopGrace.observe({ service }, record.graceUsed ?? 0);
    }
  }

  async #collect(): Promise<string> {
    const usage = await this.#usages.get(FRESH_MS);
    const { registry, uptime, shuttingDown } = this.#series;
    uptime.set((this.#source.now() - this.#source.startedAt) / 1_000);
    shuttingDown.set(this.#source.state().shutdown === null ? 0 : 1);
    await this.#forgetServices();
    this.#tellServices();
    this.#tellInstances(usage);
    this.#tellLogs();
    return registry.metrics();
  }

  #tellServices(): void {
    const { wanted, up, ready, states, kills } = this.#series;
    for (const series of [wanted, up, ready, states]) series.reset();
    for (const { spec, instances } of Object.values(this.#source.state().services)) {
      const service = spec.name;
      const count = (...names: readonly string[]) => instances.filter(({ name }) => names.includes(name)).length;
      wanted.set({ service }, spec.instances);
      up.set({ service }, count('starting', 'running', 'stopping'));
      ready.set({ service }, count('running'));
      for (const state of STATES) states.set({ service, state }, count(state));
      kills.inc({ service }, 0);
    }
  }

  /** Of each index the run that serves: the second one of a rolling restart counts when it has taken over. */
  #tellInstances(usage: ReadonlyMap<string, Used>): void {
    const { cpu, memory, startTimeOf } = this.#series;
    for (const series of [cpu, memory, startTimeOf]) series.reset();
    const spent = new Map<string, Spent>();
    for (const { of, state, isSpare } of instancesOf(this.#source.state())) {
      if (isSpare) continue;
      const { service } = of;
      const index = String(of.index);
      const name = `${service}:${index}`;
      const pid = pidOf(state);
      const used = pid === null ? undefined : usage.get(slotName(of));
      const its = spentBy(this.#spent.get(name), pid === null ? null : state.run, used?.cpuMs ?? 0);
      spent.set(name, its);
      cpu.inc({ service, index }, (its.beforeMs + its.nowMs) / 1_000);
      if (used !== undefined) memory.set({ service, index }, used.memoryBytes);
      if (pid !== null && 'startedAt' in state)
        startTimeOf.set({ service, index }, Math.round(state.startedAt) / 1_000);
    }
    this.#spent = spent;
  }

  #tellLogs(): void {
    const { logBytes, logDropped } = this.#series;
    const services = new Map<string, { bytes: number; droppedBytes: number }>();
    for (const [instance, { bytes, droppedBytes }] of this.#source.logged()) {
      const service = instance.slice(0, instance.lastIndexOf(':'));
      const sum = services.get(service) ?? { bytes: 0, droppedBytes: 0 };
      services.set(service, { bytes: sum.bytes + bytes, droppedBytes: sum.droppedBytes + droppedBytes });
    }
    for (const series of [logBytes, logDropped]) series.reset();
    for (const [service, { bytes, droppedBytes }] of services) {
      logBytes.inc({ service }, bytes);
      logDropped.inc({ service }, droppedBytes);
    }
  }

  /** What is no service any more is told no longer. */
  async #forgetServices(): Promise<void> {
    const present = new Set(Object.keys(this.#source.state().services));
    const gone = new Set([...this.#services].filter((name) => !present.has(name)));
    this.#services = present;
    if (gone.size === 0) return;
    const { restarts, exits, kills, stopDuration, stopGrace } = this.#series;
    for (const service of gone) {
      this.#restarts.forget(service);
      kills.remove({ service });
      stopDuration.remove({ service });
      stopGrace.remove({ service });
    }
    for (const counter of [restarts, exits] as readonly Counter[])
      for (const { labels } of (await counter.get()).values)
        if (gone.has(String(labels['service']))) counter.remove(labels);
  }
}

/** A reused pid or a process that went elsewhere takes nothing back. */
function spentBy(was: Spent | undefined, run: number | null, cpuMs: number): Spent {
  if (was === undefined) return { run, beforeMs: 0, nowMs: cpuMs };
  if (was.run === run || run === null) return { ...was, nowMs: Math.max(was.nowMs, cpuMs) };
  return { run, beforeMs: was.beforeMs + was.nowMs, nowMs: cpuMs };
}

/** The names, as docs/http.md has them. */
function seriesIn(registry: Registry<OpenMetricsContentType>) {
  const registers = [registry];
  registry.setContentType(Registry.OPENMETRICS_CONTENT_TYPE);
  const gauge = <L extends string>(name: string, help: string, labelNames: readonly L[] = []) =>
    new Gauge<L>({ name, help, labelNames, registers });
  const counter = <L extends string>(name: string, help: string, labelNames: readonly L[]) =>
    new Counter<L>({ name, help, labelNames, registers });
  // Prometheus has an `instance` of its own: who was asked.
  const instance = ['service', 'index'] as const;
  return {
    registry,
    buildInfo: gauge('gsup_build_info', 'Always 1, with the version of gsup and of Node.', ['version', 'node']),
    startTime: gauge('gsup_start_time_seconds', 'When the supervisor began, as Unix time.'),
    uptime: gauge('gsup_uptime_seconds', 'How long the supervisor runs.'),
    shuttingDown: gauge('gsup_shutting_down', '1 while everything stops.'),
    wanted: gauge('gsup_service_instances_wanted', 'Instances that the service is to have.', ['service']),
    up: gauge('gsup_service_instances_up', 'Instances that have a process.', ['service']),
    ready: gauge('gsup_service_instances_ready', 'Instances that are ready.', ['service']),
    states: gauge('gsup_service_instances', 'Instances by state.', ['service', 'state']),
    restarts: counter('gsup_restarts_total', 'Starts of instances that had run before.', ['service', 'reason']),
    exits: counter('gsup_exits_total', 'Ends of runs by exit code or signal.', ['service', 'code', 'signal']),
    kills: counter('gsup_kills_total', 'Runs that got SIGKILL from gsup.', ['service']),
    stopDuration: new Histogram({
      name: 'gsup_stop_duration_seconds',
      help: 'From the request of a stop until nothing is left of the run.',
      labelNames: ['service'],
      buckets: STOP_SECONDS,
      registers,
    }),
    stopGrace: new Histogram({
      name: 'gsup_stop_grace_used_ratio',
      help: 'Share of the grace period that a stop has used; 1 is all of it.',
      labelNames: ['service'],
      buckets: GRACE_RATIOS,
      registers,
    }),
    cpu: counter('gsup_instance_cpu_seconds_total', 'CPU time of all processes of an instance.', instance),
    memory: gauge('gsup_instance_memory_bytes', 'Resident memory of all processes of an instance.', instance),
    startTimeOf: gauge('gsup_instance_start_time_seconds', 'When the present run began, as Unix time.', instance),
    logBytes: counter('gsup_log_bytes_total', 'Output of instances that was taken.', ['service']),
    logDropped: counter('gsup_log_dropped_bytes_total', 'Output of instances that could not be kept.', ['service']),
  };
}

/** Before OpenMetrics a counter is called in full in its own lines of help and type too, and nothing tells the end. */
function plainText(text: string): string {
  const counters = new Set([...text.matchAll(/^# TYPE (\S+) counter$/gm)].map(([, name]) => name));
  return text
    .replace(/^# (HELP|TYPE) (\S+) /gm, (line, kind, name) => (counters.has(name) ? `# ${kind} ${name}_total ` : line))
    .replace(/# EOF\n$/, '');
}
