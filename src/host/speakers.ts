/** Who has said hello on the link, and whose words are those of an instance: a token is inherited by every child of its app. */
import type { Socket } from 'node:net';
import { Allowance } from './allowance.ts';

/** Of one run: workers and other children of an app have its token, too. */
const MOST_CONNECTIONS = 64;
/** A unit for each line and one for each KiB of it: far more than a shutdown with its report takes. */
const LINES = { burst: 256, perSecond: 10 };

export type Speaker = {
  readonly token: string;
  /** `null`: it did not say. */
  readonly pid: number | null;
  readonly socket: Socket;
  /** What is not said by the app is left out, and has to be read nevertheless. */
  readonly lines: Allowance;
};
/** Of one run. */
type Run = {
  /** What its app may say, over all connections. */
  readonly lines: Allowance;
  /** Whether it was reported that it says more than it may. */
  hasFlooded: boolean;
  /** Who is connected, in the order of their coming. */
  readonly speakers: Set<Speaker>;
  /** Whether its leader has ever said hello: children may outlast its connection. */
  hasLeaderSpoken: boolean;
};

export class Speakers {
  readonly #leaderOf: (token: string) => number | null | undefined;
  readonly #runs = new Map<string, Run>();

  /** `leaderOf`: the leader's pid of the run with this token, `undefined` when no such run lives. */
  constructor(leaderOf: (token: string) => number | null | undefined) {
    this.#leaderOf = leaderOf;
  }

  get sockets(): readonly Socket[] {
    return [...this.#runs.values()].flatMap(({ speakers }) => [...speakers].map(({ socket }) => socket));
  }

  /** `null`: no run has this token. `peer`: the pid that the kernel knows, which counts where `said` is the leader's. */
  add(socket: Socket, token: unknown, said: unknown, peer: number | null = null): Speaker | null {
    const leader = typeof token === 'string' ? this.#leaderOf(token) : undefined;
    if (typeof token !== 'string' || leader === undefined) return null;
    const pid = typeof said !== 'number' ? null : said === leader ? (peer ?? said) : said;
    const speaker = { token, pid, socket, lines: new Allowance(LINES) };
    const run = this.#runOf(token);
    if (run.speakers.size >= MOST_CONNECTIONS) this.#closeOne(run);
    run.speakers.add(speaker);
    if (pid !== null && pid === leader) run.hasLeaderSpoken = true;
    return speaker;
  }

  /** Whether its run still lives. */
  isKnown({ token }: Speaker): boolean {
    return this.#leaderOf(token) !== undefined;
  }

  /** A line of this length was said: how long to wait before the next one is read, in ms. `flooded` is called once a run. */
  waitMs(speaker: Speaker, length: number, flooded: () => void): number {
    const run = this.#runOf(speaker.token);
    const isApp = this.isApp(speaker);
    const ms = (isApp ? run.lines : speaker.lines).take(1 + Math.floor(length / 1_024));
    if (ms > 0 && isApp && !run.hasFlooded) {
      run.hasFlooded = true;
      flooded();
    }
    return ms;
  }

  /** Closes a connection of the run that has most of them; false where each has one at most. */
  closeOne(): boolean {
    const [heaviest] = [...this.#runs.values()].sort((a, b) => b.speakers.size - a.speakers.size);
    if (heaviest === undefined || heaviest.speakers.size < 2) return false;
    this.#closeOne(heaviest);
    return true;
  }

  /** The oldest connection that is not the app's, or else the oldest one. */
  #closeOne({ speakers }: Run): void {
    const all = [...speakers];
    const closed = all.find((speaker) => !this.isApp(speaker)) ?? all[0];
    if (closed === undefined) return;
    speakers.delete(closed);
    closed.socket.destroy();
  }

  remove(speaker: Speaker): void {
    this.#runs.get(speaker.token)?.speakers.delete(speaker);
  }

  /** The connections of the app of this run: one for each copy of the library, or each that does not say whose it is. */
  appOf(token: string): readonly Socket[] {
    const { speakers = [] } = this.#runs.get(token) ?? {};
    return [...speakers].filter((speaker) => this.isApp(speaker)).map(({ socket }) => socket);
  }

  /**
   * Whether it is the app itself: the leader, where it speaks; else, behind a shell, npm or a container, who came first. One
   * that does not say who it is, is taken for it.
   */
  isApp({ token, pid }: Speaker): boolean {
    const run = this.#runs.get(token);
    if (run === undefined || pid === null) return true;
    if (run.hasLeaderSpoken) return pid === this.#leaderOf(token);
    return pid === [...run.speakers].find((speaker) => speaker.pid !== null)?.pid;
  }

  #runOf(token: string): Run {
    const known = this.#runs.get(token);
    if (known !== undefined) return known;
    for (const [other, { speakers }] of this.#runs)
      if (speakers.size === 0 && this.#leaderOf(other) === undefined) this.#runs.delete(other);
    const run = {
      lines: new Allowance(LINES),
      hasFlooded: false,
      speakers: new Set<Speaker>(),
      hasLeaderSpoken: false,
    };
    this.#runs.set(token, run);
    return run;
  }
}
