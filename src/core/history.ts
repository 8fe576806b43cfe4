/** Records → episodes: what became of each instance, each rolling restart, each shutdown; pure, whatever is missing. */
import { placed } from './axis.ts';
import type { Draft, Episode, ReloadEpisode, ShutdownEpisode } from './episode.ts';
import { RunDrafts } from './history-run.ts';
import type { PhaseRecord } from './record.ts';
import type { Recorded } from './recorded.ts';

/** A record at its place; `at` is ms on the axis. */
type News = { readonly record: Recorded; readonly at: number };

/** Episodes in the order of their beginnings. `records`: oldest first, of any instances, from any moment on. */
export function episodesOf(records: readonly Recorded[]): readonly Episode[] {
  const history = new History();
  for (const { record, axisMs, isNewBoot } of placed(records)) {
    if (isNewBoot) history.lose();
    history.take({ record, at: axisMs });
  }
  return history.episodes();
}

class History {
  readonly #episodes: (() => Episode)[] = [];
  readonly #runs = new Map<string, RunDrafts>();
  readonly #reloads = new Map<string, ReloadDraft>();
  #shutdown: ShutdownDraft | null = null;

  episodes(): readonly Episode[] {
    return this.#episodes.map((make) => make()).sort((a, b) => a.axisMs - b.axisMs);
  }

  /** The machine was switched off: what is not over has no end that anybody saw. */
  lose(): void {
    for (const run of this.#runs.values()) run.lose();
    for (const reload of this.#reloads.values()) reload.isLost = true;
    if (this.#shutdown !== null) this.#shutdown.isLost = true;
    this.#runs.clear();
    this.#reloads.clear();
    this.#shutdown = null;
  }

  take(news: News): void {
    const { record } = news;
    switch (record.phase) {
      case 'supervisor-started':
        // A shutdown is over with the supervisor that it was of.
        if (this.#shutdown !== null) this.#shutdown.isLost = true;
        this.#shutdown = null;
        break;
      case 'shutdown-started':
      case 'wave-started':
      case 'shutdown-completed':
        this.#takeShutdown(news);
        break;
      case 'rolling-started':
      case 'rolling-step':
      case 'rolling-aborted':
      case 'rolling-completed':
        this.#takeReload(news);
        break;
      case 'notice':
      case 'ignored':
        break;
      default:
        this.#runOf(record)?.take(record, news.at);
    }
  }

  #runOf({ instance, service, run }: Recorded): RunDrafts | null {
    if (instance === undefined) return null;
    const key = `${instance}#${run ?? ''}`;
    const known = this.#runs.get(key);
    if (known !== undefined) return known;
    const name = service ?? instance.slice(0, instance.lastIndexOf(':'));
    const drafts = new RunDrafts({ instance, service: name, run: run ?? null }, (draft) => this.#keep(draft));
    this.#runs.set(key, drafts);
    return drafts;
  }

  #keep(draft: Draft): void {
    this.#episodes.push(() => draft.episode());
  }

  #takeReload({ record, at }: News): void {
    const { service } = record;
    if (service === undefined) return;
    const open = this.#reloads.get(service);
    const reload =
      record.phase === 'rolling-started' || open === undefined ? this.#beginReload(service, record, at) : open;
    reload.take(record, at);
    if (record.phase === 'rolling-aborted' || record.phase === 'rolling-completed') this.#reloads.delete(service);
  }

  #beginReload(service: string, record: Recorded, at: number): ReloadDraft {
    const before = this.#reloads.get(service);
    if (before !== undefined) before.isLost = true;
    const reload = new ReloadDraft(service, record, at);
    this.#reloads.set(service, reload);
    this.#keep(reload);
    return reload;
  }

  #takeShutdown({ record, at }: News): void {
    if (record.phase === 'shutdown-started' || this.#shutdown === null) {
      if (this.#shutdown !== null) this.#shutdown.isLost = true;
      this.#shutdown = new ShutdownDraft(record, at);
      this.#keep(this.#shutdown);
    }
    this.#shutdown.take(record, at);
    if (record.phase === 'shutdown-completed') this.#shutdown = null;
  }
}

/** What both have of their beginning, which may not be in the records any more: then the length that is told leads back to it. */
function beginning(record: Recorded, at: number, isWhole: boolean) {
  const backMs = isWhole ? 0 : (record.elapsedMs ?? 0);
  return { at: record.at - backMs, axisMs: at - backMs, isWhole };
}

class ReloadDraft implements Draft {
  readonly #service: string;
  readonly #begin: ReturnType<typeof beginning>;
  #reason: string | null = null;
  #instances: ReloadEpisode['instances'] = [];
  readonly #steps: ReloadEpisode['steps'][number][] = [];
  #outcome: ReloadEpisode['outcome'] = null;
  #aborted: ReloadEpisode['aborted'] = null;
  #ms: number | null = null;
  isLost = false;

  constructor(service: string, record: Recorded, at: number) {
    this.#service = service;
    this.#begin = beginning(record, at, record.phase === 'rolling-started');
  }

  take(record: PhaseRecord, at: number): void {
    const atMs = at - this.#begin.axisMs;
    const { instance = null, reason = null } = record;
    if (record.phase === 'rolling-started') {
      this.#reason = reason;
      this.#instances = record.instances ?? [];
    } else if (record.phase === 'rolling-step') this.#steps.push({ atMs, instance, reason: reason ?? '' });
    else {
      this.#ms = atMs;
      this.#outcome = record.phase === 'rolling-completed' ? 'completed' : 'aborted';
      if (record.phase === 'rolling-completed') this.#reason ??= reason;
      else this.#aborted = { instance, reason: reason ?? '' };
    }
  }

  episode(): ReloadEpisode {
    return {
      kind: 'reload',
      service: this.#service,
      ...this.#begin,
      ms: this.#ms,
      isLost: this.isLost,
      reason: this.#reason,
      instances: this.#instances,
      steps: this.#steps,
      outcome: this.#outcome,
      aborted: this.#aborted,
    };
  }
}

class ShutdownDraft implements Draft {
  readonly #begin: ReturnType<typeof beginning>;
  #told: Pick<ShutdownEpisode, 'reason' | 'signal' | 'budgetMs'> = { reason: null, signal: null, budgetMs: null };
  readonly #waves: ShutdownEpisode['waves'][number][] = [];
  #verdict: ShutdownEpisode['verdict'] = null;
  #ms: number | null = null;
  isLost = false;

  constructor(record: Recorded, at: number) {
    this.#begin = beginning(record, at, record.phase === 'shutdown-started');
  }

  take(record: PhaseRecord, at: number): void {
    const atMs = at - this.#begin.axisMs;
    const { reason = this.#told.reason, signal = null, remainingMs = null, instances = [], verdict = null } = record;
    if (record.phase === 'shutdown-started') this.#told = { reason, signal, budgetMs: remainingMs };
    else if (record.phase === 'wave-started') this.#waves.push({ atMs, instances });
    else {
      this.#told = { ...this.#told, reason };
      this.#verdict = verdict;
      this.#ms = atMs;
    }
  }

  episode(): ShutdownEpisode {
    const { isLost } = this;
    return {
      kind: 'shutdown',
      ...this.#begin,
      ms: this.#ms,
      isLost,
      ...this.#told,
      waves: this.#waves,
      verdict: this.#verdict,
    };
  }
}
