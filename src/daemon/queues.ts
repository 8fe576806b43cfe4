/** Whose turn it is: work on one service waits for the work before it on that service, and for nobody else's. */

export type Order = {
  readonly services: readonly string[];
  /** Services of the same order whose work has to be done before. Default: none. */
  readonly after: (service: string) => readonly string[];
  /** Services of the same order whose work has to have begun before. Default: none. */
  readonly behind: (service: string) => readonly string[];
};

export class ServiceQueues {
  /** The end of the last work on each service. */
  readonly #last = new Map<string, Promise<void>>();

  /** `work` on each service; what can begin begins in this turn, in the order of the services, of which those named by `after` and `behind` come first. */
  each<T>(
    work: (service: string) => Promise<T>,
    { services, after = () => [], behind = () => [] }: Pick<Order, 'services'> & Partial<Order>,
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
      done.set(service, this.#queued(service, others.length === 0 ? run : () => Promise.all(others).then(run)));
    }
    return Promise.all(done.values());
  }

  async #queued<T>(service: string, work: () => Promise<T>): Promise<T> {
    const before = this.#last.get(service);
    let finish = () => {};
    const own = new Promise<void>((resolve) => {
      finish = resolve;
    });
    this.#last.set(service, own);
    try {
      if (before !== undefined) await before;
      return await work();
    } finally {
      if (this.#last.get(service) === own) this.#last.delete(service);
      finish();
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
