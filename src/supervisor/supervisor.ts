/** The loop: event in, state kept, effects out. It decides nothing itself. */
import type { Effect } from '../core/effect.ts';
import type { InstanceEvent, InstanceRef, Slot, SupervisorEvent } from '../core/event.ts';
import { instanceName, parseSlotName, slotName } from '../core/name.ts';
import type { PhaseRecord } from '../core/record.ts';
import {
  decideTogether,
  instancesOf,
  isOnTarget,
  type SupervisorState,
  slotsOf,
  specAt,
  stateAt,
} from '../core/root-state.ts';
import { pidOf } from '../core/state.ts';
import { step } from '../core/supervisor.ts';
import type { Host, RunIdentity } from '../host/host.ts';
import type { ProcessStat } from '../host/processes.ts';
import type { Clock } from './clock.ts';
import { InstanceEffects, type StreamsOf } from './effects.ts';
import type { Journal } from './journal.ts';

/** What the next supervisor needs: the state, and by what each run is recognised. */
export type Snapshot = { readonly state: SupervisorState; readonly runs: Readonly<Record<string, RunIdentity>> };

export type SupervisorOptions = {
  /** What it begins with. */
  readonly state: SupervisorState;
  readonly host: Host;
  readonly clock: Clock;
  readonly journal: Journal;
  /** 0 ≤ random < 1. */
  readonly random: () => number;
  /** What instances of a service inherit; `isNext`: under the spec that a rolling restart brings. */
  readonly environmentOf: (service: string, isNext: boolean) => Readonly<Record<string, string | undefined>>;
  readonly streamsOf: StreamsOf;
  /** The socket that apps find in GSUP_LINK; `null`: none. */
  readonly link?: Link;
  /**
   * Keeps a snapshot; called before anything is spawned or signalled, and in the turn after every change. `isForGood`:
   * somebody is told afterwards that it is done, so it has to outlive the machine too. Must not throw.
   */
  readonly save?: (snapshot: Snapshot, isForGood: boolean) => void;
  /** Told after every event that changed anything. */
  readonly onChange?: () => void;
  /** Instances that are no more. */
  readonly onForget?: (of: Slot) => void;
  /** A service has another spec now, or keeps the one it had. */
  readonly onSpec?: (service: string, isCommitted: boolean) => void;
};

/** The way to an app that is connected. */
export type Link = {
  readonly path: string;
  /** A line to the app of this token; nothing when it isn't connected. */
  send(token: string, message: Readonly<Record<string, unknown>>): void;
};

type Decided = { readonly hasChanged: boolean; readonly effects: readonly Effect[]; readonly at: number };

/** Supervises services until all are down. */
export class Supervisor {
  readonly #options: SupervisorOptions;
  readonly #instances = new Map<string, InstanceEffects>();
  readonly #queue: SupervisorEvent[] = [];
  readonly #ended: Promise<SupervisorState>;
  #end: (state: SupervisorState) => void = () => {};
  #state: SupervisorState;
  #isBusy = false;
  #isWorkDue = false;
  #batch: Decided[] | null = null;
  /** What has changed is kept in the next turn. */
  #isUnsaved = false;
  #isFlushed = true;

  constructor(options: SupervisorOptions) {
    this.#options = options;
    this.#ended = new Promise((resolve) => {
      this.#end = resolve;
    });
    this.#state = options.state;
  }

  get state(): SupervisorState {
    return this.#state;
  }

  /** Resolves with the last state when everything is down. */
  get ended(): Promise<SupervisorState> {
    return this.#ended;
  }

  /** Its runs are collected when they are read. */
  get snapshot(): Snapshot {
    const instances = this.#instances;
    return {
      state: this.#state,
      get runs() {
        const runs = [...instances].flatMap(([name, { identity }]) => (identity === null ? [] : [[name, identity]]));
        return Object.fromEntries(runs);
      },
    };
  }

  /** By what the run of a slot of that name is recognised, `null` when there is none. */
  identityIn(slot: string): RunIdentity | null {
    return this.#instances.get(slot)?.identity ?? null;
  }

  start(services: readonly string[], reason: string): void {
    this.dispatch({ type: 'start', at: this.#options.clock.now(), services, reason });
  }

  /**
   * Takes up what the supervisor before left running: each run is looked for by its identity. `startedAt`: of those
   * places whose process the state does not know.
   */
  restore(runs: Snapshot['runs'], startedAt: ReadonlyMap<string, number> = new Map()): void {
    // All are looked for before anything is decided, spares first: a rolling restart goes on from what there really is.
    const found = instancesOf(this.#state)
      .toSorted((a, b) => Number(b.isSpare) - Number(a.isSpare))
      .map(({ of, state }) => {
        const since = 'startedAt' in state ? state.startedAt : 0;
        const pid = this.#instanceOf(of)?.adopt(runs[slotName(of)] ?? null, { run: state.run, since }) ?? null;
        const found = pid === null ? undefined : startedAt.get(slotName(of));
        return { of, event: { run: state.run, pid, ...(found === undefined ? {} : { startedAt: found }) } };
      });
    this.batch(() => {
      const at = this.#options.clock.now();
      for (const { of, event } of found)
        this.dispatch({ type: 'instance', of, event: { type: 'restored', at, ...event } });
      // What was leaving and is down already goes now: nothing else of it will happen.
      this.start([], 'restored');
    });
    this.#openSockets(Object.keys(this.#state.services).filter((name) => this.#state.services[name]?.waiting != null));
  }

  /**
   * Decides a shutdown and forgets it: the decision is pure, and code that has run once is compiled. Without it the
   * first SIGTERM reaches a child 0.5 ms later.
   */
  rehearse(): void {
    const at = this.#options.clock.now();
    step(this.#state, { type: 'shutdown', at, reason: 'rehearsal', signal: 'SIGTERM' }, 0);
    for (const instance of this.#instances.values()) instance.rehearse();
  }

  /** Passes a signal on to every leader, or to those of `only`; how many there were. */
  forward(
    signal: Extract<InstanceEvent, { type: 'signal-forwarded' }>['signal'],
    only?: readonly InstanceRef[],
  ): number {
    const at = this.#options.clock.now();
    const names = only && new Set(only.map(({ service, index }) => instanceName(service, index)));
    let count = 0;
    for (const { of, state } of instancesOf(this.#state)) {
      if (pidOf(state) === null || names?.has(instanceName(of.service, of.index)) === false) continue;
      this.#instanceOf(of)?.forward(signal);
      this.dispatch({ type: 'instance', of, event: { type: 'signal-forwarded', at, signal } });
      count++;
    }
    return count;
  }

  /** Stops every group (`SIGSTOP`) or lets it go on (`SIGCONT`). */
  suspend(signal: 'SIGSTOP' | 'SIGCONT'): void {
    for (const instance of this.#instances.values()) instance.suspend(signal);
  }

  /** Goes on reading output that was held back. */
  resume(): void {
    for (const instance of this.#instances.values()) instance.resume();
  }

  /** A line that an app wrote on the link. */
  hear(token: string, message: Readonly<Record<string, unknown>>): void {
    for (const instance of this.#instances.values()) if (instance.identity?.token === token) instance.hear(message);
  }

  /** The leader's pid of the run with this token, `null` while it has none; `undefined`: there is no such run. */
  leaderOf(token: string): number | null | undefined {
    for (const { identity } of this.#instances.values()) if (identity?.token === token) return identity.pid;
    return undefined;
  }

  /** An app writes more on the link than is read at once. */
  flooded(token: string): void {
    for (const [name, { identity }] of this.#instances) {
      if (identity?.token !== token) continue;
      const reason = 'it writes more on the link than is read at once; its lines are delayed';
      this.#record({ phase: 'notice', level: 'warn', reason }, this.#options.clock.now(), parseSlotName(name));
    }
  }

  /** The identity of the present run, `null` when there is none. */
  identityOf(of: InstanceRef): RunIdentity | null {
    return this.#known(of)?.identity ?? null;
  }

  /** What the present run says of itself (systemd's STATUS=); `null`: nothing. */
  statusOf(of: InstanceRef): string | null {
    return this.#known(of)?.status ?? null;
  }

  /** All processes of each run, by its place; one sweep for all. */
  processes(): ReadonlyMap<string, readonly ProcessStat[]> {
    const runs = [...this.#instances].flatMap(([name, { run }]) => (run === null ? [] : [{ name, run }]));
    const stats = this.#options.host.statsOf(runs.map(({ run }) => run));
    return new Map(runs.map(({ name }, index) => [name, stats[index] ?? []]));
  }

  /** Takes an event; those that its effects bring are taken one after the other. */
  dispatch(event: SupervisorEvent): void {
    if (this.#batch !== null) {
      this.#batch.push(this.#decide(event));
      return;
    }
    this.#queue.push(event);
    this.#work();
  }

  /** All that has come is decided at once, then done: where a hundred processes end in one moment that is one save. */
  #work(): void {
    if (this.#isBusy) return;
    this.#isBusy = true;
    try {
      while (this.#queue.length > 0) this.#carryOut(this.#decideAll(this.#queue.splice(0)));
    } finally {
      this.#isBusy = false;
    }
  }

  #decideAll(events: readonly SupervisorEvent[]): readonly Decided[] {
    return decideTogether(() => events.map((event) => this.#decide(event)));
  }

  #carryOut(decided: readonly Decided[]): void {
    const hasChanged = decided.some((one) => one.hasChanged);
    this.#keep(
      hasChanged,
      decided.flatMap(({ effects }) => effects),
    );
    for (const { effects, at } of decided) this.#run(effects, at);
    if (hasChanged) this.#options.onChange?.();
  }

  /** News of a process: what else comes in this turn is decided with it. */
  #soon(event: SupervisorEvent): void {
    this.#queue.push(event);
    if (this.#isBusy || this.#isWorkDue) return;
    this.#isWorkDue = true;
    queueMicrotask(() => {
      this.#isWorkDue = false;
      this.#work();
    });
  }

  #decide(event: SupervisorEvent): Decided {
    if (event.type === 'start') this.#openSockets(event.services);
    const was = this.#state;
    const [state, effects] = step(was, event, this.#options.random());
    this.#state = state;
    return { hasChanged: was !== state, effects, at: atOf(event) };
  }

  /** Also of a service that has to wait for others: who connects meanwhile waits too. */
  #openSockets(services: readonly string[]): void {
    for (const name of services) {
      const { spec } = this.#state.services[name] ?? {};
      if (spec !== undefined && spec.sockets.length > 0) this.#options.host.openSockets(spec);
    }
  }

  /** What is dispatched in `work` is decided at once and done together afterwards: kept once, however much it is. */
  batch<T>(work: () => T): T {
    if (this.#batch !== null || this.#isBusy) return work();
    const batch: Decided[] = [];
    this.#batch = batch;
    try {
      return decideTogether(work);
    } finally {
      this.#batch = null;
      this.#isBusy = true;
      try {
        this.#carryOut(batch);
      } finally {
        this.#isBusy = false;
      }
      this.#work();
    }
  }

  /** What is about to be spawned or signalled is kept before, so that the next supervisor knows of it; everything else soon after. */
  #keep(hasChanged: boolean, effects: readonly Effect[]): void {
    const { save } = this.#options;
    let isUrgent = false;
    for (const effect of effects) {
      // Its place may be taken again by what comes behind.
      if (effect.do === 'forget') this.#forget(effect.of);
      if (effect.do !== 'for') continue;
      if (effect.effect.do === 'spawn') this.#instanceOf(effect.of)?.prepare(effect.effect.run);
      isUrgent ||= ['spawn', 'signal', 'send-shutdown'].includes(effect.effect.do);
    }
    if (save === undefined) return;
    this.#isFlushed &&= !isUrgent && !hasChanged;
    if (isUrgent) this.#save(false);
    else if (hasChanged && !this.#isUnsaved) {
      this.#isUnsaved = true;
      setImmediate(() => this.#isUnsaved && this.#save(false));
    }
  }

  /** What is not kept for good yet is so now: before somebody is told that it is done. */
  flush(): void {
    if (!this.#isFlushed) this.save();
  }

  /** Keeps the present state now, for good. */
  save(): void {
    this.#save(true);
  }

  #save(isForGood: boolean): void {
    this.#isUnsaved = false;
    this.#isFlushed = isForGood;
    this.#options.save?.(this.snapshot, isForGood);
  }

  /** Signals go out first: nobody waits for a record to be written. */
  #run(effects: readonly Effect[], at: number): void {
    for (const effect of effects) {
      if (effect.do === 'for' && effect.effect.do === 'signal') this.#instanceOf(effect.of)?.obey(effect.effect);
    }
    for (const effect of effects) {
      switch (effect.do) {
        case 'for':
          if (effect.effect.do === 'record') this.#record(effect.effect.record, at, effect.of);
          else if (effect.effect.do !== 'signal') this.#instanceOf(effect.of)?.obey(effect.effect);
          break;
        case 'record':
          this.#record(effect.record, at);
          break;
        case 'forget':
          break;
        case 'forget-service':
          this.#options.host.keepSockets(effect.service, []);
          break;
        case 'commit-spec':
        case 'revert-spec': {
          const sockets = this.#state.services[effect.service]?.spec.sockets ?? [];
          this.#options.host.keepSockets(effect.service, sockets);
          this.#options.onSpec?.(effect.service, effect.do === 'commit-spec');
          for (const { of, state } of slotsOf(this.#state, effect.service))
            if (state.name === 'running') this.#instanceOf(of)?.respec();
          break;
        }
        case 'end':
          this.#end(this.#state);
      }
    }
  }

  #forget(of: Slot): void {
    this.#instances.get(slotName(of))?.end();
    this.#instances.delete(slotName(of));
    this.#options.onForget?.(of);
  }

  #record({ phase, level, ...fields }: PhaseRecord, at: number, of?: InstanceRef): void {
    const who = of && { service: of.service, instance: instanceName(of.service, of.index) };
    this.#options.journal.write({ phase, ...(level ? { level } : {}), ...who, ...fields }, at);
  }

  #known(of: InstanceRef): InstanceEffects | undefined {
    const lane = of.lane ?? stateAt(this.#state, of)?.lane;
    return lane === undefined ? undefined : this.#instances.get(slotName({ ...of, lane }));
  }

  #instanceOf(of: Slot): InstanceEffects | undefined {
    const name = slotName(of);
    const known = this.#instances.get(name);
    if (known !== undefined) return known;
    if (stateAt(this.#state, of) === undefined) return undefined;
    const report = (event: InstanceEvent) => this.#soon({ type: 'instance', of, event });
    const specOf = () => {
      const service = this.#state.services[of.service];
      if (service === undefined) return undefined;
      const { index, lane } = of;
      return { spec: specAt(service, index, lane), isNext: isOnTarget(service, index, lane) };
    };
    const siblings = () =>
      [...this.#instances].flatMap(([other, { run }]) =>
        other !== name && parseSlotName(other).service === of.service && run?.isAlive && run.processes
          ? [run.processes]
          : [],
      );
    const instance = new InstanceEffects({ of, specOf, surroundings: this.#options, report, siblings });
    this.#instances.set(name, instance);
    return instance;
  }
}

function atOf(event: SupervisorEvent): number {
  return event.type === 'instance' ? event.event.at : event.at;
}
