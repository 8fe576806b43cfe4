/** Episodes that belong together on one axis of time: a shutdown with the stops of it, a reload with its starts and stops, a crash with its restart. */
import type { EndEpisode, Episode, InstanceEpisode, ReloadEpisode, ShutdownEpisode, StartEpisode } from './episode.ts';
import type { InstanceName } from './name.ts';

/** What people may ask for. `stop`: shutdowns and restarts too. */
export const OCCASION_KINDS = ['stop', 'start', 'reload', 'exit'] as const;
export type AskedKind = (typeof OCCASION_KINDS)[number];

/** An episode at its place: `fromMs` is its beginning, in ms from that of the occasion. */
type Member = { readonly fromMs: number; readonly episode: InstanceEpisode };

export type Occasion = {
  /** `exit`: of what ended by itself. */
  readonly kind: 'shutdown' | 'reload' | 'restart' | 'stop' | 'start' | 'exit';
  /** Epoch ms, by the wall clock. */
  readonly at: number;
  /** From its beginning to the last moment that is known of it. */
  readonly spanMs: number;
  /** Nothing of it goes on any more, as far as is known. */
  readonly isOver: boolean;
  /** What it is a part of, with its reason and outcome. */
  readonly whole: ShutdownEpisode | ReloadEpisode | null;
  /** In the order of their beginnings. */
  readonly members: readonly Member[];
};

/** What begins so soon after the end of something belongs to it. */
const SOON_MS = 250;
/** The end of a reload that is given up, and the stop of what had been started for it, are told in the same turn. */
const SAME_TURN_MS = 50;

type Draft = {
  kind: Occasion['kind'];
  readonly whole: Occasion['whole'];
  readonly members: InstanceEpisode[];
  /** `start api:0`, for each of its members. */
  readonly taken: Set<string>;
  /** The end of the last of them, on the axis. */
  endMs: number;
};

/** Occasions in the order of their beginnings. */
export function occasionsOf(episodes: readonly Episode[]): readonly Occasion[] {
  const wholes = episodes.flatMap((one): Draft[] =>
    one.kind === 'shutdown' || one.kind === 'reload' ? [draftOf(one.kind, one)] : [],
  );
  const drafts = [...wholes];
  const lastEnds = new Map<InstanceName, { readonly end: EndEpisode; readonly draft: Draft }>();
  for (const one of episodes) {
    if (one.kind === 'shutdown' || one.kind === 'reload') continue;
    const draft = wholes.find(({ whole }) => whole !== null && contains(whole, one)) ?? joined(one, drafts, lastEnds);
    draft.members.push(one);
    draft.taken.add(keyOf(one));
    draft.endMs = Math.max(draft.endMs, one.axisMs + (one.ms ?? 0));
    if (one.kind !== 'start') lastEnds.set(one.instance, { end: one, draft });
  }
  return drafts
    .map(occasionOf)
    .sort((a, b) => a.axisMs - b.axisMs)
    .map(({ axisMs: _, ...occasion }) => occasion);
}

/** The last `last` of the kinds that are asked for (none: of all) in which one of the names (none: anybody) takes part. */
export function lastOccasions(
  occasions: readonly Occasion[],
  {
    names,
    kinds,
    last,
  }: { readonly names: readonly string[]; readonly kinds: readonly AskedKind[]; readonly last: number },
): readonly Occasion[] {
  const wants = ({ service, instance }: InstanceEpisode) => names.includes(service) || names.includes(instance);
  const wanted = occasions.flatMap((one) => {
    if (kinds.length > 0 && !kinds.includes(askedKindOf(one))) return [];
    if (names.length === 0) return one.members.length > 0 || one.whole !== null ? [one] : [];
    const members = one.members.filter(({ episode }) => wants(episode));
    return members.length === 0 ? [] : [{ ...one, members }];
  });
  return last <= 0 ? [] : wanted.slice(-last);
}

function askedKindOf({ kind }: Occasion): AskedKind {
  return kind === 'shutdown' || kind === 'restart' ? 'stop' : kind;
}

function contains(whole: ShutdownEpisode | ReloadEpisode, one: InstanceEpisode): boolean {
  if (whole.kind === 'reload' && whole.service !== one.service) return false;
  if (whole.kind === 'shutdown' && one.kind === 'start') return false;
  const endMs = whole.ms === null ? lastMomentOf(whole) : whole.axisMs + whole.ms + SAME_TURN_MS;
  return one.axisMs >= whole.axisMs && one.axisMs <= endMs;
}

/** Of one whose end is not known: it may go on, unless it is lost. */
function lastMomentOf(whole: ShutdownEpisode | ReloadEpisode): number {
  if (!whole.isLost) return Number.POSITIVE_INFINITY;
  const moments = whole.kind === 'shutdown' ? whole.waves : whole.steps;
  return whole.axisMs + Math.max(0, ...moments.map(({ atMs }) => atMs)) + SAME_TURN_MS;
}

/** The occasion that it belongs to, or a new one. */
function joined(
  one: InstanceEpisode,
  drafts: Draft[],
  lastEnds: ReadonlyMap<InstanceName, { readonly end: EndEpisode; readonly draft: Draft }>,
): Draft {
  const before = one.kind === 'start' ? lastEnds.get(one.instance) : undefined;
  if (one.kind === 'start' && before !== undefined && follows(one, before.end)) {
    const { draft } = before;
    if (!draft.taken.has(keyOf(one))) {
      if (draft.kind === 'stop') draft.kind = 'restart';
      return draft;
    }
  }
  const last = drafts.findLast(({ whole }) => whole === null);
  if (last !== undefined && isAlike(one, last)) return last;
  const draft = draftOf(one.kind, null);
  drafts.push(draft);
  return draft;
}

/** The start that the end was for, or that its restart policy brought. */
function follows(start: StartEpisode, end: EndEpisode): boolean {
  if (end.ms === null) return false;
  if (start.run !== null && end.run !== null && start.run !== end.run + 1) return false;
  const waitMs = end.afterwards?.kind === 'backoff' ? end.afterwards.delayMs : 0;
  return start.axisMs - (end.axisMs + end.ms) <= waitMs + SOON_MS;
}

/** Stops that were asked for in one, starts that follow each other. */
function isAlike(one: InstanceEpisode, { kind, members: [first], taken, endMs }: Draft): boolean {
  const isSameKind = one.kind === kind || (one.kind === 'stop' && kind === 'restart');
  if (!isSameKind || one.kind === 'exit') return false;
  if (taken.has(keyOf(one))) return false;
  if (one.kind === 'stop' && (first?.kind !== 'stop' || first.reason !== one.reason)) return false;
  return one.axisMs <= endMs + SOON_MS;
}

function draftOf(kind: Draft['kind'], whole: Draft['whole']): Draft {
  return { kind, whole, members: [], taken: new Set(), endMs: Number.NEGATIVE_INFINITY };
}

function keyOf({ kind, instance }: InstanceEpisode): string {
  return `${kind} ${instance}`;
}

function occasionOf({ kind, whole, members }: Draft): Occasion & { readonly axisMs: number } {
  const all: readonly Episode[] = whole === null ? members : [whole, ...members];
  const [first] = all.toSorted((a, b) => a.axisMs - b.axisMs);
  const axisMs = first?.axisMs ?? 0;
  return {
    kind,
    at: Math.round(first?.at ?? 0),
    axisMs,
    spanMs: rounded(Math.max(0, ...all.map((one) => one.axisMs + lengthOf(one) - axisMs))),
    isOver: all.every(({ ms, isLost }) => ms !== null || isLost),
    whole,
    members: members.map((episode) => ({ fromMs: rounded(episode.axisMs - axisMs), episode })),
  };
}

/** As far as it is known. */
function lengthOf(one: Episode): number {
  if (one.ms !== null) return one.ms;
  if (one.kind === 'stop' || one.kind === 'exit')
    return Math.max(0, ...[...one.rungs, ...one.app].map(({ fromMs, toMs }) => toMs ?? fromMs));
  if (one.kind === 'shutdown') return Math.max(0, ...one.waves.map(({ atMs }) => atMs));
  if (one.kind === 'reload') return Math.max(0, ...one.steps.map(({ atMs }) => atMs));
  return 0;
}

function rounded(ms: number): number {
  return Math.round(ms * 10) / 10;
}
