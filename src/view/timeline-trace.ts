/** Occasions as trace events, for ui.perfetto.dev and chrome://tracing; pure. */
import type { EndEpisode, InstanceEpisode } from '../core/episode.ts';
import type { Occasion } from '../core/occasion.ts';
import { pictureOf } from './timeline-picture.ts';

/** Times in µs. `X`: from a moment on for so long; `i`: a moment; `M`: a name. */
type TraceEvent =
  | {
      readonly ph: 'X';
      readonly name: string;
      readonly cat: string;
      readonly ts: number;
      readonly dur: number;
      readonly pid: number;
      readonly tid: number;
      readonly args: Readonly<Record<string, unknown>>;
    }
  | {
      readonly ph: 'i';
      readonly name: string;
      readonly cat: string;
      readonly ts: number;
      readonly pid: number;
      readonly tid: number;
      readonly s: 't' | 'g';
      readonly args: Readonly<Record<string, unknown>>;
    }
  | {
      readonly ph: 'M';
      readonly name: 'process_name' | 'thread_name';
      readonly pid: number;
      readonly tid: number;
      readonly args: { readonly name: string };
    };

type Trace = { readonly traceEvents: readonly TraceEvent[]; readonly displayTimeUnit: 'ms' };

/** A process for each service, a thread for each of its instances and for what their apps told; process 0 is gsup. */
export function timelineTrace(occasions: readonly Occasion[], now: number): Trace {
  const threads = new Threads();
  const events = occasions.flatMap((occasion) => {
    const { title, outcome } = pictureOf(occasion, now);
    const spanMs = Math.max(occasion.spanMs, occasion.isOver ? 0 : now - occasion.at);
    const whole = slice(title, 'gsup', { ...threads.of('gsup', 'gsup'), fromMs: occasion.at, ms: spanMs }, { outcome });
    const members = occasion.members.flatMap(({ fromMs, episode }) =>
      episodeEvents(episode, occasion.at + fromMs, { endMs: spanMs - fromMs, threads }),
    );
    return [whole, ...members];
  });
  return { traceEvents: [...threads.names, ...events], displayTimeUnit: 'ms' };
}

type Place = { readonly pid: number; readonly tid: number; readonly fromMs: number; readonly ms: number };

function episodeEvents(
  episode: InstanceEpisode,
  at: number,
  { endMs, threads }: { readonly endMs: number; readonly threads: Threads },
): readonly TraceEvent[] {
  const ms = episode.ms ?? Math.max(0, endMs);
  const { instance, service, kind, pid, run } = episode;
  const thread = threads.of(service, instance);
  if (episode.kind === 'start') {
    const { outcome, reason, command } = episode;
    return [slice('start', kind, { ...thread, fromMs: at, ms }, { outcome, reason, command, pid, run })];
  }
  const { verdict, graceUsed, reason, exit, survivors, undone, grace } = episode;
  const args = { verdict, graceUsed, graceMs: grace?.ms, reason, exit, survivors, undone, pid, run };
  return [slice(kind, kind, { ...thread, fromMs: at, ms }, args), ...endEvents(episode, at, ms, threads)];
}

function endEvents(episode: EndEpisode, at: number, ms: number, threads: Threads): readonly TraceEvent[] {
  const { service, instance, rungs, app, appSteps, warnedMs, killed, exit } = episode;
  const thread = threads.of(service, instance);
  const ofApp = threads.of(service, `${instance} app`);
  const until = (bar: { readonly fromMs: number; readonly toMs: number | null }) => (bar.toMs ?? ms) - bar.fromMs;
  const moment = (name: string, atMs: number, args: Readonly<Record<string, unknown>>): TraceEvent => {
    return { ph: 'i', name, cat: 'moment', ts: micro(at + atMs), ...thread, s: 't', args };
  };
  return [
    ...rungs.map((bar) => {
      const { signal, target, reason } = bar;
      return slice(
        bar.rung,
        'rung',
        { ...thread, fromMs: at + bar.fromMs, ms: until(bar) },
        { signal, target, reason },
      );
    }),
    ...app.map((bar) =>
      slice(bar.phase, 'app', { ...ofApp, fromMs: at + bar.fromMs, ms: until(bar) }, { pending: bar.pending }),
    ),
    ...appSteps.flatMap(({ kind, name, fromMs, ms: lengthMs, outcome, error }) =>
      fromMs === null
        ? []
        : [slice(`${kind} ${name}`, 'app', { ...ofApp, fromMs: at + fromMs, ms: lengthMs }, { outcome, error })],
    ),
    ...(warnedMs === null ? [] : [moment('grace-warning', warnedMs, {})]),
    ...(killed === null ? [] : [moment('SIGKILL', killed.atMs, { ...killed })]),
    ...(exit === null ? [] : [moment('exited', exit.atMs, { code: exit.code, signal: exit.signal })]),
  ];
}

function slice(name: string, cat: string, place: Place, args: Readonly<Record<string, unknown>>): TraceEvent {
  const { pid, tid, fromMs, ms } = place;
  return { ph: 'X', name, cat, ts: micro(fromMs), dur: micro(ms), pid, tid, args };
}

function micro(ms: number): number {
  return Math.round(ms * 1000);
}

/** Numbers for names, as they come. */
class Threads {
  readonly #known = new Map<string, { readonly pid: number; readonly tid: number }>();
  readonly #processes = new Map<string, number>();
  readonly names: TraceEvent[] = [];

  of(process: string, thread: string): { readonly pid: number; readonly tid: number } {
    const key = `${process} ${thread}`;
    const known = this.#known.get(key);
    if (known !== undefined) return known;
    const place = { pid: this.#processOf(process), tid: this.#known.size };
    this.#known.set(key, place);
    this.names.push({ ph: 'M', name: 'thread_name', ...place, args: { name: thread } });
    return place;
  }

  #processOf(name: string): number {
    const known = this.#processes.get(name);
    if (known !== undefined) return known;
    const pid = this.#processes.size;
    this.#processes.set(name, pid);
    this.names.push({ ph: 'M', name: 'process_name', pid, tid: 0, args: { name } });
    return pid;
  }
}
