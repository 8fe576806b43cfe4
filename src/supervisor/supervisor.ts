/** The loop: event in, state kept, effects out. It decides nothing itself. */
import type { Effect } from '../core/effect.ts';
import type { InstanceEvent, InstanceRef, SupervisorEvent } from '../core/event.ts';
import { instanceName } from '../core/name.ts';
import type { SupervisorSpec } from '../core/service.ts';
import { pidOf } from '../core/state.ts';
import { initialState, instancesOf, type SupervisorState, step } from '../core/supervisor.ts';
import type { Host } from '../host/host.ts';
import type { Clock } from './clock.ts';
import { InstanceEffects, type StreamsOf } from './effects.ts';
import type { Journal } from './journal.ts';
import { watchMemory } from './triggers.ts';

export type SupervisorOptions = {
  readonly spec: SupervisorSpec;
  readonly host: Host;
  readonly clock: Clock;
  readonly journal: Journal;
  /** 0 ≤ random < 1. */
  readonly random: () => number;
  /** What instances inherit. */
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly streamsOf: StreamsOf;
};

/** Supervises the services of one spec until all are down. */
export class Supervisor {
  readonly #options: SupervisorOptions;
  readonly #instances = new Map<string, InstanceEffects>();
  readonly #queue: SupervisorEvent[] = [];
  readonly #ended: Promise<SupervisorState>;
  #end: (state: SupervisorState) => void = () => {};
  readonly #watches: (() => void)[] = [];
  #state: SupervisorState;
  #isBusy = false;

  constructor(options: SupervisorOptions) {
    this.#options = options;
    this.#ended = new Promise((resolve) => {
      this.#end = resolve;
    });
    this.#state = initialState(options.spec);
    for (const service of options.spec.services) {
      for (let index = 0; index < service.instances; index++) {
        const of = { service: service.name, index };
        const report = (event: InstanceEvent) => this.dispatch({ type: 'instance', of, event });
        const instance = new InstanceEffects(of, service, options, report);
        this.#instances.set(instanceName(of.service, of.index), instance);
        if (service.memoryLimitBytes === null) continue;
        const watched = { spec: service, clock: options.clock, memory: () => instance.memory(), ask: report };
        this.#watches.push(watchMemory(watched));
      }
    }
  }

  get state(): SupervisorState {
    return this.#state;
  }

  /** Resolves with the last state when everything is down. */
  get ended(): Promise<SupervisorState> {
    return this.#ended;
  }

  start(services: readonly string[], reason: string): void {
    this.dispatch({ type: 'start', at: this.#options.clock.now(), services, reason });
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

  /** Passes a signal on to every leader. */
  forward(signal: Extract<InstanceEvent, { type: 'signal-forwarded' }>['signal']): void {
    const at = this.#options.clock.now();
    for (const { of, state } of instancesOf(this.#state)) {
      if (pidOf(state) === null) continue;
      this.#instances.get(instanceName(of.service, of.index))?.forward(signal);
      this.dispatch({ type: 'instance', of, event: { type: 'signal-forwarded', at, signal } });
    }
  }

  /** Stops every group (`SIGSTOP`) or lets it go on (`SIGCONT`). */
  suspend(signal: 'SIGSTOP' | 'SIGCONT'): void {
    for (const instance of this.#instances.values()) instance.suspend(signal);
  }

  /** Goes on reading output that was held back. */
  resume(): void {
    for (const instance of this.#instances.values()) instance.resume();
  }

  /** Takes an event; those that its effects bring are taken one after the other. */
  dispatch(event: SupervisorEvent): void {
    this.#queue.push(event);
    if (this.#isBusy) return;
    this.#isBusy = true;
    try {
      for (let next = this.#queue.shift(); next; next = this.#queue.shift()) {
        const [state, effects] = step(this.#state, next, this.#options.random());
        this.#state = state;
        this.#run(effects, atOf(next));
      }
    } finally {
      this.#isBusy = false;
    }
  }

  /** Signals go out first: nobody waits for a record to be written. */
  #run(effects: readonly Effect[], at: number): void {
    for (const effect of effects) {
      if (effect.do === 'for' && effect.effect.do === 'signal') this.#instanceOf(effect.of)?.run(effect.effect);
    }
    for (const effect of effects) {
      if (effect.do === 'end') {
        for (const end of this.#watches) end();
        this.#end(this.#state);
      } else if (effect.do === 'record') this.#options.journal.write(effect.record, at);
      else if (effect.effect.do === 'record') {
        const { service, index } = effect.of;
        const { phase, level, ...fields } = effect.effect.record;
        const record = {
          phase,
          ...(level ? { level } : {}),
          service,
          instance: instanceName(service, index),
          ...fields,
        };
        this.#options.journal.write(record, at);
      } else if (effect.effect.do !== 'signal') this.#instanceOf(effect.of)?.run(effect.effect);
    }
  }

  #instanceOf({ service, index }: InstanceRef): InstanceEffects | undefined {
    return this.#instances.get(instanceName(service, index));
  }
}

function atOf(event: SupervisorEvent): number {
  return event.type === 'instance' ? event.event.at : event.at;
}
