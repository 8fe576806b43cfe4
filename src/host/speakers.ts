/** Who has said hello on the link, and whose words are those of an instance: a token is inherited by every child of its app. */
import type { Socket } from 'node:net';

export type Speaker = {
  readonly token: string;
  /** `null`: it did not say. */
  readonly pid: number | null;
  readonly socket: Socket;
};
/** Of one run. */
type Run = {
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

  /** `null`: nobody knows this token. */
  add(socket: Socket, token: unknown, said: unknown): Speaker | null {
    const leader = typeof token === 'string' ? this.#leaderOf(token) : undefined;
    if (typeof token !== 'string' || leader === undefined) return null;
    const pid = typeof said === 'number' ? said : null;
    const speaker = { token, pid, socket };
    const run = this.#runOf(token);
    run.speakers.add(speaker);
    if (pid !== null && pid === leader) run.hasLeaderSpoken = true;
    return speaker;
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
    const run = { speakers: new Set<Speaker>(), hasLeaderSpoken: false };
    this.#runs.set(token, run);
    return run;
  }
}
