/** What the daemon serves over HTTP. */
import { shownView } from '../api/shown.ts';
import type { LogEntry } from '../api/types.ts';
import { mostHttpConnections } from '../host/descriptor-limit.ts';
import { refusalAt } from '../host/socket-failure.ts';
import { usageOf } from '../host/usage.ts';
import { HttpListener } from '../http/listener.ts';
import type { HttpSource, LogQuery } from '../http/source.ts';
import { systemClock } from '../supervisor/clock.ts';
import { timelineSvg } from '../view/timeline-svg.ts';
import { whyText } from '../view/why.ts';
import type { Daemon } from './daemon.ts';
import { readOccasions } from './history.ts';
import { logStream } from './streams.ts';
import { why } from './why-facts.ts';

/** Of a service, in one picture. */
const OCCASIONS = 8;
/** Of the page, which has room for that beside its table: pixels of a picture, columns of a text. */
const PICTURE_WIDTH = 640;
const WHY_WIDTH = 62;

export function listenerFor(daemon: Daemon, version: string): HttpListener {
  return new HttpListener({ source: sourceOf(daemon, version) });
}

function sourceOf(daemon: Daemon, version: string): HttpSource {
  const { supervisor } = daemon;
  return {
    version,
    place: daemon.home.folder,
    mostConnections: mostHttpConnections(),
    startedAt: daemon.startedAt,
    now: () => systemClock.now(),
    state: () => supervisor.state,
    tokenOf: (of) => supervisor.identityOf(of)?.token ?? null,
    statusOf: (of) => supervisor.statusOf(of),
    shown: (view) => shownView(view, daemon.masking.valuesOf(view.service)),
    usage: async () => usageOf(supervisor.processes()),
    logged: () => daemon.logged(),
    onChange: (callback) => daemon.onChange(callback),
    onRecord: (callback) => daemon.onRecord(callback),
    logs: (query, signal) => logLines(daemon, query, signal),
    timeline: (service) => timelineOf(daemon, service),
    why: async (instance) => {
      const facts = await why(daemon, instance);
      const text = whyText(facts, { now: systemClock.now(), width: WHY_WIDTH, colour: false, unicode: true });
      return { ...facts, text };
    },
    act: async (verb, names, tell) => daemon.operations[verb](daemon.refsOf(names), tell),
    notice: (text, level) => daemon.notice(text, level),
    refusal: (host, port, code) => refusalAt({ kind: 'tcp', host, port }, code),
  };
}

/** @throws {GsupError} 4 for an unknown name. */
async function timelineOf(daemon: Daemon, service: string): Promise<string | null> {
  const occasions = await readOccasions(daemon.eventFiles(), { names: [service], kinds: [], last: OCCASIONS });
  if (occasions.length > 0) return timelineSvg(occasions, { now: systemClock.now(), width: PICTURE_WIDTH });
  daemon.refsOf([service]);
  return null;
}

async function* logLines(
  daemon: Daemon,
  { name, lines, search, isFollowed }: LogQuery,
  signal: AbortSignal,
): AsyncGenerator<LogEntry> {
  const input = { names: [name], lines, follow: isFollowed, stderr: false, marksEnd: false };
  const found = logStream(daemon, { ...input, ...(search === null ? {} : { search }) }, signal);
  for await (const entry of found) if ('line' in entry) yield entry;
}
