/** Turns: work on one service waits for earlier work on that service only; urgent work waits for none and later work waits for it. */

export type Order = {
  readonly services: readonly string[];
  /** Services of the same order whose work has to be done before. Default: none. */
  readonly after: (service: string) => readonly string[];
  /** Services of the same order whose work has to have begun before. Default: none. */
  readonly behind: (service: string) => readonly string[];
  /** Whether it starts at once, beside earlier work that may be waiting for a start. Default: false. */
  readonly isUrgent: boolean;
};

export class ServiceQueues {
  /** The end of the last work on each service. */
  readonly #last = new Map<string, Promise<void>>();

  /** `work` on each service; what can begin begins in this turn, in the order of the services, of which those named by `after` and `behind` come first. */
  each<T>(
    work: (service: string) => Promise<T>,
    { services, after = () => [], behind = () => [], isUrgent = false }: Pick<Order, 'services'> & Partial<Order>,
  ): Promise<readonly T[]> {
    const done = new Map<string, Promise<T>>();
    const begun = new Map(services.map((service) => [service, new Beginning()]));
    for (const service of services) {
      const others: Promise<unknown>[] = [
        ...after(service).flatMap((name) => done.get(name) ?? []),
        ...behind(service).flatMap((name) => begun.get(name)?.toWaitFor ?? []),
      ];
      const run = () => {
        const result = work(service);
        begun.get(service)?.over();
        return result;
      };
      const inOrder = others.length === 0 ? run : () => Promise.all(others).then(run);
      done.set(service, this.#queued(service, inOrder, isUrgent));
    }
    return Promise.all(done.values());
  }

  async #queued<T>(service: string, work: () => Promise<T>, isUrgent: boolean): Promise<T> {
    const before = this.#last.get(service);
    let finish = () => {};
    const own = new Promise<void>((resolve) => {
      finish = resolve;
    });
    const end = before === undefined ? own : Promise.all([before, own]).then(() => {});
    this.#last.set(service, end);
    try {
      if (before !== undefined && !isUrgent) await before;
      return await work();
    } finally {
      finish();
      // Earlier work may still be waiting: the entry goes when nothing is under way any more.
      void end.then(() => {
        if (this.#last.get(service) === end) this.#last.delete(service);
      });
    }
  }
}

/** The moment when something has begun. */
class Beginning {
  #isOver = false;
  #resolve = () => {};
  readonly #promise = new Promise<void>((resolve) => {
    this.#resolve = resolve;
  });

  /** Empty once it has begun. */
  get toWaitFor(): readonly Promise<void>[] {
    return this.#isOver ? [] : [this.#promise];
  }

  over(): void {
    this.#isOver = true;
    this.#resolve();
  }
}
