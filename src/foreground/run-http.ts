/** What `gsup run -c FILE` serves over HTTP; loaded only when its file wants it. */
import { shownView } from '../api/shown.ts';
import type { LogEntry, OperationLine, Told } from '../api/types.ts';
import { EXIT, GsupError } from '../core/error.ts';
import type { InstanceRef } from '../core/event.ts';
import { episodesOf } from '../core/history.ts';
import { type InstanceName, instanceName, parseSlotName } from '../core/name.ts';
import { lastOccasions, occasionsOf } from '../core/occasion.ts';
import { instancesOf, type SupervisorState } from '../core/root-state.ts';
import { withoutSecrets } from '../core/secrets.ts';
import { mostHttpConnections } from '../host/descriptor-limit.ts';
import { refusalAt } from '../host/socket-failure.ts';
import { usageOf } from '../host/usage.ts';
import { HttpListener } from '../http/listener.ts';
import type { HttpSource, Verb } from '../http/source.ts';
import { systemClock } from '../supervisor/clock.ts';
import type { Masking } from '../supervisor/masking.ts';
import type { Supervisor } from '../supervisor/supervisor.ts';
import { timelineSvg } from '../view/timeline-svg.ts';
import type { RecentLines } from './recent-lines.ts';

/** Of a service, in one picture; from the last records, for there is no journal. */
const OCCASIONS = 8;
const MOST_RECORDS = 4_000;
const PICTURE_WIDTH = 640;

export { RecentLines } from './recent-lines.ts';

export type HttpOptions = {
  readonly supervisor: Supervisor;
  readonly version: string;
  readonly file: string;
  readonly recent: RecentLines;
  readonly masking: Masking;
  onChange(callback: () => void): () => void;
  onRecord(callback: (record: Told) => void): () => void;
  notice(text: string, level: 'info' | 'warn' | 'error'): void;
};

export function listenerFor(options: HttpOptions): HttpListener {
  return new HttpListener({ source: sourceOf(options) });
}

function sourceOf({ supervisor, version, file, recent, ...options }: HttpOptions): HttpSource {
  const kept: Told[] = [];
  options.onRecord((record) => {
    kept.push(record);
    if (kept.length > MOST_RECORDS) kept.splice(0, kept.length - MOST_RECORDS / 2);
  });
  return {
    version,
    place: file,
    mostConnections: mostHttpConnections(),
    startedAt: systemClock.now(),
    now: () => systemClock.now(),
    state: () => supervisor.state,
    tokenOf: (of) => supervisor.identityOf(of)?.token ?? null,
    statusOf: (of) => supervisor.statusOf(of),
    shown: (view) => shownView(view, options.masking.valuesOf(view.service)),
    usage: async () => usageOf(supervisor.processes()),
    logged: () => recent.logged(),
    onChange: options.onChange,
    onRecord: options.onRecord,
    logs: (query, signal) => shownLines(recent.read(query, namesIn(supervisor.state), signal), options.masking),
    timeline: async (service) => {
      const episodes = episodesOf(kept.filter((record) => record.service === undefined || record.service === service));
      const query = { names: [service], kinds: [], last: OCCASIONS };
      const occasions = lastOccasions(occasionsOf(episodes), query);
      if (occasions.length === 0) refsOf(supervisor.state, service);
      return occasions.length === 0 ? null : timelineSvg(occasions, { now: systemClock.now(), width: PICTURE_WIDTH });
    },
    act: async (verb, names) => act(supervisor, verb, names),
    notice: options.notice,
    refusal: (host, port, code) => refusalAt({ kind: 'tcp', host, port }, code),
  };
}

async function* shownLines(entries: AsyncIterable<LogEntry>, masking: Masking): AsyncGenerator<LogEntry> {
  for await (const entry of entries)
    yield { ...entry, line: withoutSecrets(entry.line, masking.valuesOf(parseSlotName(entry.instance).service)) };
}

/** Asks for it; how it goes on is seen in the states. @throws {GsupError} 4 for an unknown name. */
function act(supervisor: Supervisor, verb: Verb, names: readonly string[]): OperationLine {
  const instances = names.flatMap((name) => refsOf(supervisor.state, name));
  const [at, reason] = [systemClock.now(), `gsup ${verb}`];
  if (verb === 'stop' || verb === 'restart') supervisor.dispatch({ type: verb, at, instances, reason });
  else
    for (const service of new Set(instances.map((of) => of.service))) {
      const indexes = instances.filter((of) => of.service === service).map(({ index }) => index);
      if (verb === 'start') supervisor.dispatch({ type: 'start', at, services: [service], indexes, reason });
      else supervisor.dispatch({ type: 'roll', at, service, spec: null, indexes, reason });
    }
  const outcomes = instances.map(({ service, index }) => ({
    instance: instanceName(service, index),
    isOk: true,
    message: `${verb} is under way`,
    verdict: null,
    isTimeout: false,
    stderr: [],
  }));
  return { type: 'result', exitStatus: EXIT.done, outcomes, error: null, hint: null };
}

function refsOf(state: SupervisorState, name: string): readonly InstanceRef[] {
  const refs = instancesOf(state)
    .filter(({ isSpare, of }) => !isSpare && (of.service === name || instanceName(of.service, of.index) === name))
    .map(({ of: { service, index } }) => ({ service, index }));
  if (refs.length > 0) return refs;
  throw new GsupError(`no service ${name}`, { exitStatus: EXIT.noSuchService });
}

function namesIn(state: SupervisorState): readonly InstanceName[] {
  return instancesOf(state).map(({ of }) => instanceName(of.service, of.index));
}
