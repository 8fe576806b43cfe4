/** An occasion → rows of bars on one axis, with their words: what text, SVG and page draw alike; pure. */
import { formatDuration } from '../core/duration.ts';
import type { EndEpisode, InstanceEpisode, RungBar, StartEpisode } from '../core/episode.ts';
import type { Occasion } from '../core/occasion.ts';
import { describeOom } from '../core/oom.ts';
import { describeExit, pendingWords } from '../core/record.ts';

export type BarKind = 'start' | 'drain' | 'hook' | 'grace' | 'kill' | 'survivors' | 'output' | 'app';
/** `toMs`: not before `fromMs`; what is not over goes to the end of the axis. */
export type Bar = { readonly kind: BarKind; readonly fromMs: number; readonly toMs: number; readonly title: string };
export type Tone = 'good' | 'warn' | 'bad' | 'plain';

export type Row = {
  readonly label: string;
  /** 0: an instance; 1: a rung; 2: a phase of the app; 3: a step in it. */
  readonly depth: 0 | 1 | 2 | 3;
  readonly bars: readonly Bar[];
  /** The grace period. It may end beyond the axis. */
  readonly frame: { readonly fromMs: number; readonly toMs: number } | null;
  readonly note: string;
  readonly tone: Tone;
  /** Sentences below it. */
  readonly below: readonly string[];
};

export type Picture = {
  readonly title: string;
  /** Epoch ms. */
  readonly at: number;
  readonly axisMs: number;
  readonly outcome: string;
  readonly tone: Tone;
  readonly rows: readonly Row[];
};

/** A grace period that ends so many times the span away is not drawn to its end. */
const FRAME_WITHIN = 1.5;
/** More than so many are told one row each, and what went well beyond MOST_ROWS in one line. */
const MOST_IN_DETAIL = 8;
const MOST_ROWS = 40;
/** What was over at once has no axis. */
export const LEAST_AXIS_MS = 1;
/** From this share of the grace period on a stop is told as one that came near to SIGKILL. */
const NEAR_SHARE = 0.8;

/** `now`: epoch ms, for what is not over. */
export function pictureOf(occasion: Occasion, now: number): Picture {
  const spanMs = Math.max(occasion.spanMs, occasion.isOver ? 0 : now - occasion.at, LEAST_AXIS_MS);
  const frames = occasion.members.flatMap(({ fromMs, episode }) =>
    episode.kind !== 'start' && episode.grace !== null ? [fromMs + episode.grace.fromMs + episode.grace.ms] : [],
  );
  const axisMs = Math.max(spanMs, ...frames.filter((end) => end <= spanMs * FRAME_WITHIN));
  const isDetailed = occasion.members.length <= MOST_IN_DETAIL;
  const { shown, left } = chosen(occasion);
  const rows = shown.flatMap(({ fromMs, episode }) => {
    const isNoteworthy = toneOf(episode) !== 'good';
    return rowsOf(episode, { fromMs, spanMs }, isDetailed || isNoteworthy);
  });
  const more = left === 0 ? [] : [plainRow(`and ${left} more`, 'all went well')];
  const { outcome, tone } = outcomeOf(occasion);
  return { title: titleOf(occasion), at: occasion.at, axisMs, outcome, tone, rows: [...rows, ...more] };
}

/** How it stands for those who only look: `bad`: SIGKILL, a failed start, a crash; `warn`: nearly, or not known. */
function toneOf(episode: InstanceEpisode): Tone {
  if (episode.isLost) return 'warn';
  if (episode.kind === 'start') {
    if (episode.outcome === null) return 'plain';
    return episode.outcome === 'ready' || episode.outcome === 'started' ? 'good' : 'bad';
  }
  if (episode.verdict === 'killed' || episode.stuck !== null || episode.afterwards?.kind === 'failed') return 'bad';
  if (episode.kind === 'exit') return episode.exit?.code === 0 ? 'good' : 'bad';
  if (episode.verdict === null) return 'plain';
  const isNear = (episode.graceUsed ?? 0) >= NEAR_SHARE && (episode.grace?.ms ?? 0) > 0;
  return isNear || episode.survivors.length > 0 || !episode.hasAllOutput || episode.undone.length > 0 ? 'warn' : 'good';
}

type Place = { readonly fromMs: number; readonly spanMs: number };

/** Everything that went wrong, and of the rest as many as there is room for. */
function chosen({ members }: Occasion) {
  const isDull = members.map(({ episode }) => toneOf(episode) === 'good');
  let room = Math.max(MOST_ROWS - isDull.filter((dull) => !dull).length, 0);
  const shown = members.filter((_, index) => isDull[index] !== true || room-- > 0);
  return { shown, left: members.length - shown.length };
}

function rowsOf(episode: InstanceEpisode, place: Place, isDetailed: boolean): readonly Row[] {
  return episode.kind === 'start' ? [startRow(episode, place)] : endRows(episode, place, isDetailed);
}

function startRow(episode: StartEpisode, { fromMs, spanMs }: Place): Row {
  const { instance, pid, ms, outcome, reason, check } = episode;
  const what = pid === null ? 'start' : `start of ${pid}`;
  const words = { ...START_WORDS, ready: `ready in ${formatDuration(ms ?? 0)}` };
  const note = outcome === null ? (episode.isLost ? 'end not known' : 'not ready yet') : words[outcome];
  const title = `${instance} ${what}: ${note}${check === null ? '' : ` (${check})`}`;
  const isBad = outcome === 'not-ready' || outcome === 'refused' || outcome === 'stopped';
  return {
    label: `${instance} start`,
    depth: 0,
    bars: [{ kind: 'start', fromMs, toMs: ms === null ? spanMs : fromMs + ms, title }],
    frame: null,
    note,
    tone: toneOf(episode),
    below: [
      ...(isBad && reason !== null ? [outcome === 'not-ready' ? `check: ${reason}` : reason] : []),
      ...commonSentences(episode),
    ],
  };
}

const START_WORDS = {
  ready: '',
  started: 'started',
  'not-ready': 'did not get ready',
  exited: 'ended before ready',
  stopped: 'stopped before ready',
  refused: 'could not start',
};

function endRows(episode: EndEpisode, place: Place, isDetailed: boolean): readonly Row[] {
  const { fromMs, spanMs } = place;
  const { instance, kind, grace, rungs, app } = episode;
  const endMs = episode.ms === null ? spanMs - fromMs : episode.ms;
  const shifted = (from: number, to: number | null) => ({ fromMs: fromMs + from, toMs: fromMs + (to ?? endMs) });
  const bars = rungs.map((bar): Bar => {
    const place = shifted(bar.fromMs, bar.toMs);
    return { kind: KIND_OF_RUNG[bar.rung], ...place, title: barTitle(instance, rungWords(bar), place) };
  });
  const head: Row = {
    label: `${instance} ${kind}`,
    depth: 0,
    bars,
    frame: grace === null ? null : shifted(grace.fromMs, grace.fromMs + grace.ms),
    note: noteOf(episode),
    tone: toneOf(episode),
    below: [...endSentences(episode), ...commonSentences(episode)],
  };
  const isPlain =
    app.length === 0 && rungs.every(({ rung }) => rung === 'signal-sent' || KIND_OF_RUNG[rung] === 'output');
  if (!isDetailed || isPlain) return [head];
  return [{ ...head, bars: [], below: [] }, ...detailRows(episode, bars, shifted), ...tailRow(head)];
}

/** The sentences come behind the details. */
function tailRow({ below }: Row): readonly Row[] {
  return below.length === 0 ? [] : [{ ...plainRow('', ''), depth: 1, below }];
}

type Shifted = (from: number, to: number | null) => { readonly fromMs: number; readonly toMs: number };

/** A row a rung, with the app's phases under the one in which they begin. */
function detailRows(episode: EndEpisode, bars: readonly Bar[], shifted: Shifted): readonly Row[] {
  const { rungs, app } = episode;
  return rungs.flatMap((bar, index) => {
    const next = rungs[index + 1]?.fromMs ?? Number.POSITIVE_INFINITY;
    const ofBar = bars[index];
    const inside = app.filter((one) => (index === 0 || one.fromMs >= bar.fromMs) && one.fromMs < next);
    const isDull = KIND_OF_RUNG[bar.rung] === 'output' && episode.hasAllOutput && inside.length === 0;
    if (ofBar === undefined || (isDull && ofBar.toMs - ofBar.fromMs < 100)) return [];
    const tone: Tone = ofBar.kind === 'kill' ? 'bad' : ofBar.kind === 'survivors' ? 'warn' : 'plain';
    const row = { ...plainRow(rungWords(bar), lengthOf(ofBar)), depth: 1 as const, bars: [ofBar], tone };
    return [row, ...inside.flatMap((one) => appRows(episode, one, shifted))];
  });
}

function appRows(episode: EndEpisode, { phase, fromMs, toMs, pending }: EndEpisode['app'][number], shifted: Shifted) {
  const words = pendingWords(pending ?? {});
  const place = shifted(fromMs, toMs);
  const title = barTitle(episode.instance, `app: ${phase}`, place) + (words === '' ? '' : `, pending ${words}`);
  const row: Row = {
    ...plainRow(phase, `${lengthOf(place)}${words === '' ? '' : ` ${words}`}`),
    depth: 2,
    bars: [{ kind: 'app', ...place, title }],
  };
  const end = toMs ?? Number.POSITIVE_INFINITY;
  const steps = episode.appSteps.filter((step) => step.fromMs !== null && step.fromMs >= fromMs && step.fromMs < end);
  return [row, ...steps.map((step) => stepRow(episode, step, shifted))];
}

function stepRow({ instance }: EndEpisode, step: EndEpisode['appSteps'][number], shifted: Shifted): Row {
  const place = shifted(step.fromMs ?? 0, (step.fromMs ?? 0) + step.ms);
  const isDone = step.outcome === 'done';
  const words = `${step.kind} ${step.name}`;
  return {
    ...plainRow(words, `${formatDuration(step.ms)}${isDone ? '' : ` ${step.outcome}`}`),
    depth: 3,
    bars: [{ kind: 'app', ...place, title: barTitle(instance, `${words}, ${step.outcome}`, place) }],
    tone: isDone ? 'plain' : 'warn',
  };
}

function plainRow(label: string, note: string): Row {
  return { label, depth: 0, bars: [], frame: null, note, tone: 'plain', below: [] };
}

const KIND_OF_RUNG: Readonly<Record<RungBar['rung'], BarKind>> = {
  draining: 'drain',
  'pre-stop': 'hook',
  'signal-sent': 'grace',
  'kill-sent': 'kill',
  exited: 'output',
  'survivors-signalled': 'survivors',
  'survivors-killed': 'kill',
  'logs-drained': 'output',
};

function rungWords({ rung, signal }: RungBar): string {
  switch (rung) {
    case 'signal-sent':
      return signal === 'message' ? "message 'shutdown'" : (signal ?? 'stop signal');
    case 'kill-sent':
      return 'SIGKILL';
    case 'survivors-signalled':
      return `survivors ${signal ?? ''}`.trim();
    case 'survivors-killed':
      return 'survivors SIGKILL';
    case 'exited':
    case 'logs-drained':
      return 'output';
    default:
      return rung;
  }
}

function noteOf(episode: EndEpisode): string {
  const { kind, exit, verdict, graceUsed, grace, isLost, ranMs } = episode;
  if (kind === 'exit') {
    const after = ranMs === null ? '' : ` after ${formatDuration(ranMs)}`;
    return exit === null ? 'ended by itself' : `${describeExit(exit)}${after}`;
  }
  if (verdict === null) return isLost ? 'end not known' : exit === null ? 'still stopping' : 'clearing up';
  const of = grace === null ? '' : `, ${Math.round((graceUsed ?? 0) * 100)}% of ${formatDuration(grace.ms)}`;
  return `${verdict}${of}`;
}

/** Who was killed and what it still had to do, who outlived the leader, what comes next. */
function endSentences(episode: EndEpisode): readonly string[] {
  const { killed, survivors, undone, appSteps, stuck, hasAllOutput, afterwards, kind, app, exit, oom } = episode;
  const failed = appSteps.filter(({ outcome, fromMs }) => outcome !== 'done' && fromMs === null);
  return [
    ...(killed === null ? [] : [killedSentence(killed, app.length > 0)]),
    ...(undone.length > 0
      ? [`left undone: ${undone.join('; ')}`]
      : failed.map(({ kind: what, name, outcome }) => `${what} ${name}: ${outcome}`)),
    ...survivors.map((one) => `survivor ${one.pid} (${one.command}): ${one.isKilled ? 'killed' : 'ended in time'}`),
    ...(kind === 'stop' && exit?.code ? [describeExit(exit)] : []),
    ...(oom === null ? [] : [describeOom(oom)]),
    ...(stuck === null ? [] : [stuck]),
    ...(hasAllOutput ? [] : ['another process held its output open']),
    ...(kind === 'exit' && afterwards === null && exit !== null ? ['not started again'] : []),
    ...(afterwards === null ? [] : [afterwardsSentence(afterwards)]),
  ];
}

function killedSentence({ reason, appPhase, pending }: NonNullable<EndEpisode['killed']>, hasTold: boolean): string {
  const words = pendingWords(pending ?? {});
  const why = `SIGKILL: ${reason ?? 'no reason told'}`;
  if (appPhase === null) return hasTold ? why : `${why}; the app did not say what it still had to do`;
  return `${why} at ${appPhase}; ${words === '' ? 'it had told of nothing pending' : `still to do: ${words}`}`;
}

function afterwardsSentence(afterwards: NonNullable<EndEpisode['afterwards']>): string {
  if (afterwards.kind === 'failed') return `failed: ${afterwards.reason ?? 'no reason told'}`;
  const { delayMs, attempt, reason } = afterwards;
  const when = delayMs === 0 ? 'at once' : `in ${formatDuration(delayMs)}`;
  return `restart${attempt === null ? '' : ` ${attempt}`} ${when}${reason === null ? '' : ` (${reason})`}`;
}

function commonSentences({ isWhole, isLost, adoptedMs }: InstanceEpisode): readonly string[] {
  return [
    ...adoptedMs.map((ms) => `a new gsup took it up at +${formatDuration(ms)}`),
    ...(isWhole ? [] : ['its beginning is not in the records any more']),
    ...(isLost ? ['nobody saw its end: the machine was switched off, or gsup was'] : []),
  ];
}

function titleOf({ kind, whole, members }: Occasion): string {
  if (whole?.kind === 'reload') return `reload of ${whole.service}${reasonOf(whole.reason)}`;
  if (whole?.kind === 'shutdown') return `shutdown${reasonOf(whole.reason)}`;
  const names = [...new Set(members.map(({ episode }) => episode.instance))];
  const [first] = members;
  const who = names.length > 3 ? `${names.length} instances` : names.join(', ');
  if (kind === 'exit') return `${who} ended by itself`;
  const reason = first !== undefined && first.episode.kind === 'stop' ? first.episode.reason : null;
  return `${kind} of ${who}${reasonOf(reason)}`;
}

function reasonOf(reason: string | null): string {
  return reason === null ? '' : `: ${reason}`;
}

function outcomeOf({ whole, isOver, spanMs, members }: Occasion): { readonly outcome: string; readonly tone: Tone } {
  const length = formatDuration(spanMs);
  const worst = worstOf(members.map(({ episode }) => toneOf(episode)));
  if (whole?.isLost === true) return { outcome: 'its end was not seen', tone: 'warn' };
  if (!isOver) return { outcome: 'not over', tone: worst };
  if (whole?.kind === 'reload' && whole.aborted !== null) {
    const { instance, reason } = whole.aborted;
    return { outcome: `given up after ${length}: ${instance === null ? '' : `${instance}: `}${reason}`, tone: 'bad' };
  }
  if (whole?.kind === 'shutdown' && whole.budgetMs !== null) {
    const waves = `${whole.waves.length} ${whole.waves.length === 1 ? 'wave' : 'waves'}`;
    return {
      outcome: `${whole.verdict ?? 'over'} in ${length} of ${formatDuration(whole.budgetMs)}, ${waves}`,
      tone: worst,
    };
  }
  return { outcome: spanMs < LEAST_AXIS_MS ? '' : length, tone: worst };
}

function worstOf(tones: readonly Tone[]): Tone {
  return (['bad', 'warn'] as const).find((tone) => tones.includes(tone)) ?? 'plain';
}

function barTitle(instance: string, words: string, place: { readonly fromMs: number; readonly toMs: number }): string {
  return `${instance} ${words}: ${lengthOf(place)}`;
}

function lengthOf({ fromMs, toMs }: { readonly fromMs: number; readonly toMs: number }): string {
  return formatDuration(toMs - fromMs);
}
