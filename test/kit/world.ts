/** A world for one instance without a machine: it keeps the timers and processes that the effects ask for. */
import type { InstanceEffect } from '../../src/core/effect.ts';
import type { InstanceEvent, Timer } from '../../src/core/event.ts';
import { stepInstance } from '../../src/core/instance.ts';
import type { PhaseRecord, Survivor } from '../../src/core/record.ts';
import type { Recorded } from '../../src/core/recorded.ts';
import type { ServiceSpec } from '../../src/core/service.ts';
import { FRESH, type InstanceState } from '../../src/core/state.ts';

type Distribute<E> = E extends InstanceEvent ? Omit<E, 'at'> : never;

export class World {
  readonly spec: ServiceSpec;
  readonly records: PhaseRecord[] = [];
  /** The same as a journal has them. Its monotonic clock goes half as fast, so that the two can't be mixed up. */
  readonly told: Recorded[] = [];
  readonly timers = new Map<Timer, { at: number; run: number }>();
  /** Effects of the last step. */
  last: readonly InstanceEffect[] = [];
  state: InstanceState = FRESH;
  now = 1_000;
  spawning: number | null = null;
  /** Run of the leader that lives. */
  leader: number | null = null;
  survivors: Survivor[] = [];
  looking = false;
  draining = false;
  hooking = false;

  constructor(spec: ServiceSpec) {
    this.spec = spec;
  }

  get phases(): readonly string[] {
    return this.records.map(({ phase }) => phase);
  }

  /** An event of now; the state goes through JSON at every step, as it does over a daemon's death. */
  tell(event: Distribute<InstanceEvent>): void {
    const full = { ...event, at: this.now } as InstanceEvent;
    const [state, effects] = stepInstance(this.state, full, { spec: this.spec, random: 0.5 });
    this.state = JSON.parse(JSON.stringify(state)) as InstanceState;
    this.last = effects;
    for (const effect of effects) this.#obey(effect);
  }

  start(): void {
    this.tell({ type: 'start-requested', reason: 'test' });
  }

  stop(budgetMs: number | null = null, next: 'stopped' | 'start' = 'stopped'): void {
    this.tell({ type: 'stop-requested', reason: 'test', signal: null, budgetMs, next });
  }

  spawned(): void {
    const run = this.spawning;
    if (run === null) return;
    this.spawning = null;
    this.leader = run;
    this.tell({ type: 'spawned', run, pid: 100 + run, command: 'test' });
  }

  exit(code: number | null, signal: 'SIGTERM' | 'SIGKILL' | null = null): void {
    const run = this.leader;
    if (run === null) return;
    this.leader = null;
    this.tell({ type: 'exited', run, code, signal });
  }

  /** What was asked of the host is answered. */
  answer(): void {
    const { run } = this.state;
    if (this.looking) {
      this.looking = false;
      this.tell({ type: 'survivors-found', run, survivors: this.survivors });
    } else if (this.draining) {
      this.draining = false;
      this.tell({ type: 'logs-ended', run });
    } else if (this.hooking) {
      this.hooking = false;
      this.tell({ type: 'hook-ended', run, reason: null });
    }
  }

  emptied(): void {
    this.survivors = [];
    this.tell({ type: 'group-emptied', run: this.state.run });
  }

  /** Time goes on to the next timer, which fires; false when there is none. */
  fire(): boolean {
    const next = [...this.timers].sort(([, a], [, b]) => a.at - b.at)[0];
    if (!next) return false;
    const [timer, { at, run }] = next;
    this.timers.delete(timer);
    this.now = Math.max(this.now, at);
    this.tell({ type: 'timed-out', run, timer });
    return true;
  }

  #obey(effect: InstanceEffect): void {
    switch (effect.do) {
      case 'spawn':
        this.spawning = effect.run;
        this.survivors = [];
        break;
      case 'arm':
        this.timers.set(effect.timer, { at: this.now + effect.ms, run: effect.run });
        break;
      case 'disarm':
        this.timers.delete(effect.timer);
        break;
      case 'find-survivors':
        this.looking = true;
        break;
      case 'drain-logs':
        this.draining = true;
        break;
      case 'run-hook':
        this.hooking = true;
        break;
      case 'end-hook':
        this.hooking = false;
        break;
      case 'release':
        this.looking = this.draining = this.hooking = false;
        break;
      case 'record':
        this.records.push(effect.record);
        this.told.push({ service: 'api', instance: 'api:0', ...effect.record, at: this.now, mono: this.now / 2 });
        break;
      default:
        break;
    }
  }
}
