/** Waiting for what an operation has asked for: until instances are up, down or replaced, and how that went. */
import type { Outcome, Told } from '../api/types.ts';
import type { InstanceRef } from '../core/event.ts';
import { instanceName } from '../core/name.ts';
import { undying, type Verdict } from '../core/record.ts';
import type { SupervisorState } from '../core/root-state.ts';
import { runOf, type StartStatus, startStatus, stopStatus } from './outcome.ts';
import { adviceFor } from './rolling.ts';

/** How a started instance without a check has to live until its start counts as good. */
const SETTLED_MS = 1_000;
/** Of a failure. */
export const STDERR_LINES = 15;

/** What waiting needs of the daemon. */
export type WaitingHost = {
  state(): SupervisorState;
  now(): number;
  /** Calls back after every change; the result ends it. */
  onChange(callback: () => void): () => void;
  /** Calls back for every record; the result ends it. */
  onRecord(callback: (record: Told) => void): () => void;
  /** The last lines on stderr of an instance, written since a moment. */
  lastErrors(of: InstanceRef, since: number, count: number): Promise<readonly string[]>;
};

/** An instance whose start is awaited, from before it was asked for. */
export type Watch = { readonly of: InstanceRef; readonly begin: number; readonly runBefore: number };

type Stopped = { readonly verdict: Verdict; readonly message: string };
type Noted = { stopped?: Stopped };

export class Waiting {
  readonly #host: WaitingHost;
  /** By the name of the instance: who wants to know of its stop. */
  readonly #noting = new Map<string, Set<Noted>>();
  #endNoting: (() => void) | null = null;

  constructor(host: WaitingHost) {
    this.#host = host;
  }

  /** Waits until each is down. */
  async stopped(refs: readonly InstanceRef[]): Promise<readonly Outcome[]> {
    if (refs.length === 0) return [];
    const collected = this.verdicts(refs);
    await this.until(() => refs.every((of) => stopStatus(this.#host.state(), of).isOver));
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
  async started(watches: readonly Watch[], isRestart: boolean): Promise<readonly Outcome[]> {
    const collected = this.verdicts(watches.map(({ of }) => of));
    const statuses = new Map<Watch, StartStatus>();
    const look = (): boolean => {
      const at = this.#host.now();
      for (const watch of watches) {
        if (statuses.get(watch)?.isOver !== true)
          statuses.set(watch, startStatus(this.#host.state(), watch, at, SETTLED_MS));
      }
      return watches.every((watch) => statuses.get(watch)?.isOver === true);
    };
    await this.until(look, () => nextLook(statuses.values()));
    const verdicts = new Map(collected().map(({ of, verdict }) => [instanceName(of.service, of.index), verdict]));
    return Promise.all(
      watches.map(async (watch): Promise<Outcome> => {
        const { of, begin } = watch;
        const status = statuses.get(watch);
        const instance = instanceName(of.service, of.index);
        const verdict = isRestart ? (verdicts.get(instance) ?? null) : null;
        const isUp = status?.problem === null;
        const suffix = verdict === 'killed' ? '; the run before needed SIGKILL' : '';
        const stderr = isUp ? [] : await this.#host.lastErrors(of, begin, STDERR_LINES);
        const spec = this.#host.state().services[of.service]?.spec ?? { sockets: [] };
        // Without sockets the message of the program says it all.
        const advice = spec.sockets.length === 0 ? '' : adviceFor(stderr, spec);
        return {
          instance,
          isOk: isUp && verdict !== 'killed',
          message: `${status?.problem ?? status?.message ?? 'is gone'}${suffix}${advice}`,
          verdict,
          isTimeout: status?.isTimeout === true,
          stderr,
        };
      }),
    );
  }

  watches(refs: readonly InstanceRef[]): readonly Watch[] {
    const begin = this.#host.now();
    return refs.map((of) => ({ of, begin, runBefore: runOf(this.#host.state(), of) }));
  }

  /** The verdict and words of each instance's stop, from now on until the result is called. */
  verdicts(refs: readonly InstanceRef[]): () => readonly {
    readonly of: InstanceRef;
    readonly verdict: Verdict | null;
    readonly message: string | null;
  }[] {
    const ends = refs.map((of) => this.#collect(instanceName(of.service, of.index)));
    return () =>
      refs.map((of, index) => {
        const found = ends[index]?.();
        return { of, verdict: found?.verdict ?? null, message: found?.message ?? null };
      });
  }

  /** Notes the next stop of an instance until the result is called. One listener for all: many may be waited for. */
  #collect(instance: string): () => Stopped | undefined {
    const noted: Noted = {};
    const others = this.#noting.get(instance) ?? new Set();
    this.#noting.set(instance, others.add(noted));
    this.#endNoting ??= this.#host.onRecord((record) => {
      if (record.phase !== 'stopped' || record.instance === undefined || record.verdict === undefined) return;
      const stopped = { verdict: record.verdict, message: stopMessage(record) };
      // A later one is of another run.
      for (const one of this.#noting.get(record.instance) ?? []) one.stopped ??= stopped;
    });
    return () => {
      others.delete(noted);
      if (others.size === 0) this.#noting.delete(instance);
      if (this.#noting.size === 0) {
        this.#endNoting?.();
        this.#endNoting = null;
      }
      return noted.stopped;
    };
  }

  /** Why a rolling restart was given up, from now on until the result is called. */
  aborts(service: string): { now(): Told | null; end(): Told | null } {
    let aborted: Told | null = null;
    const end = this.#host.onRecord((record) => {
      if (record.phase === 'rolling-aborted' && record.service === service) aborted ??= record;
    });
    return {
      now: () => aborted,
      end: () => {
        end();
        return aborted;
      },
    };
  }

  /** Resolves when `isDone`; looked at after every change, and when `nextLookMs` is over. */
  until(isDone: () => boolean, nextLookMs: () => number | null = () => null): Promise<void> {
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
}

function stopMessage({ verdict, graceUsed = 0, alive }: Told): string {
  if (alive !== undefined) return `not stopped: ${undying(alive)}`;
  const used = `${Math.round(graceUsed * 100)}% of the grace period used`;
  return verdict === 'killed' ? `stopped with SIGKILL, ${used}` : `stopped cleanly, ${used}`;
}

function nextLook(statuses: Iterable<StartStatus>): number | null {
  const lengths = [...statuses].flatMap(({ isOver, lookAgainMs }) =>
    isOver || lookAgainMs === null ? [] : [lookAgainMs],
  );
  return lengths.length === 0 ? null : Math.min(...lengths);
}
