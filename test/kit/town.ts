/** A town for the root reducer: services, leaders that live or not, timers and answers as data; its supervisor may die. */

import { availableOf, wantedOf } from '../../src/core/availability.ts';
import type { Effect, InstanceEffect } from '../../src/core/effect.ts';
import type { InstanceEvent, InstanceRef, Slot, SupervisorEvent, Timer } from '../../src/core/event.ts';
import { instanceName, slotName } from '../../src/core/name.ts';
import type { PhaseRecord } from '../../src/core/record.ts';
import { restoreState } from '../../src/core/restore.ts';
import { initialState, instancesOf, type SupervisorState, stateAt } from '../../src/core/root-state.ts';
import type { ServiceSpec } from '../../src/core/service.ts';
import type { SignalName } from '../../src/core/signal.ts';
import { type InstanceState, isDown } from '../../src/core/state.ts';
import { step } from '../../src/core/supervisor.ts';

type Distribute<E> = E extends { readonly at: number } ? Omit<E, 'at'> : never;
type Told = PhaseRecord & { readonly of: string | null };
type Answer = { readonly of: Slot; readonly kind: string; readonly event: Distribute<InstanceEvent> };
type Leader = { readonly run: number; readonly pid: number; readonly token: string };

/** What the next supervisor finds on disk; `tokens`: by what the run of each instance is known. */
type Saved = {
  readonly state: SupervisorState;
  readonly tokens: Readonly<Record<string, string>>;
  readonly byHand: readonly string[];
};

/** The reason of rolling restarts. */
const ROLL = 'roll';

const ENDED_BY = { 'end-hook': ['hook'], 'end-check': ['check'], release: ['look', 'drain', 'hook', 'check'] };

export class Town {
  state: SupervisorState;
  now = 1_000_000;
  readonly told: Told[] = [];
  readonly leaders = new Map<string, Leader>();
  readonly timers = new Map<string, { readonly of: Slot; readonly timer: Timer; run: number; at: number }>();
  answers: Answer[] = [];
  hasEnded = false;
  /** Stopped by hand and not started since. */
  #byHand = new Set<string>();
  #tokens = new Map<string, string>();
  #highestRun = new Map<string, number>();
  /** Instances with a stop that was told and has no verdict yet. */
  #openStops = new Set<string>();
  #nextPid = 101;
  #saved = '';
  #hasShutDown = false;
  /** Some have not been told yet whether their leader lives. */
  #isRestoring = false;

  constructor(services: readonly ServiceSpec[] = [], isLasting = true) {
    this.state = initialState({ services, shutdownTimeoutMs: null }, isLasting);
    this.save();
  }

  stateOf(service: string, index = 0): InstanceState {
    const state = this.state.services[service]?.instances[index];
    if (state === undefined) throw new Error(`there is no ${service}:${index}`);
    return state;
  }

  /** The names of states: `{ api: ['running', 'stopped'] }`. */
  get names(): Readonly<Record<string, readonly string[]>> {
    const entries = Object.entries(this.state.services);
    return Object.fromEntries(entries.map(([name, { instances }]) => [name, instances.map((one) => one.name)]));
  }

  phasesOf(instance: string): readonly string[] {
    return this.told.flatMap(({ of, phase }) => (of === instance ? [phase] : []));
  }

  dispatch(event: Distribute<SupervisorEvent> | Extract<SupervisorEvent, { type: 'instance' }>): void {
    if (this.hasEnded) return;
    const full = (event.type === 'instance' ? event : { ...event, at: this.now }) as SupervisorEvent;
    this.#note(full);
    const was = this.state;
    const [state, effects] = step(was, full, 0.5);
    this.state = JSON.parse(JSON.stringify(state)) as SupervisorState;
    const spawns = effects.flatMap((effect) =>
      effect.do === 'for' && effect.effect.do === 'spawn' ? [effect.of] : [],
    );
    for (const of of spawns) this.#tokens.set(nameOf(of), `token of pid ${this.#nextPid} and later`);
    if (spawns.length > 0) this.save();
    // What has ended by itself is nobody's choice.
    if (full.type !== 'instance' || full.event.type !== 'exited') this.#checkAvailability(was, effects);
    for (const effect of effects) this.#obey(effect);
    if (!this.#isRestoring) this.#check();
  }

  tell(of: InstanceRef, event: Distribute<InstanceEvent>): void {
    this.dispatch({ type: 'instance', of, event: { ...event, at: this.now } as InstanceEvent });
  }

  start(...services: readonly string[]): void {
    this.dispatch({ type: 'start', services, reason: 'test' });
  }

  stop(service: string, index = 0): void {
    this.dispatch({ type: 'stop', instances: [{ service, index }], reason: 'test' });
  }

  restart(service: string, index = 0): void {
    this.dispatch({ type: 'restart', instances: [{ service, index }], reason: 'test' });
  }

  define(spec: ServiceSpec, replaces = false): void {
    this.dispatch({ type: 'define', spec, reason: 'test', replaces });
  }

  roll(service: string, spec: ServiceSpec | null = null): void {
    this.dispatch({ type: 'roll', service, spec, reason: ROLL });
  }

  remove(...services: readonly string[]): void {
    this.dispatch({ type: 'remove', services, reason: 'test' });
  }

  /** The host's answer that has waited longest, or the n-th. */
  answer(n = 0): boolean {
    const picked = this.answers[n % Math.max(1, this.answers.length)];
    if (picked === undefined) return false;
    // Of a process nothing is heard before it is there.
    const isOfIt = ({ of }: Answer) => nameOf(of) === nameOf(picked.of);
    const next = this.answers.find((one) => isOfIt(one) && one.kind === 'spawn') ?? picked;
    this.answers = this.answers.filter((one) => one !== next);
    this.tell(next.of, next.event);
    return true;
  }

  /** Answers until nothing is outstanding. */
  answerAll(): void {
    for (let turns = 0; turns < 10_000 && this.answer(); turns++);
    must(this.answers.length === 0, 'answers bring answers for ever');
  }

  /** A leader ends by itself. */
  exit(service: string, index: number, code: number | null, signal: SignalName | null = null): void {
    const lane = this.state.services[service]?.instances[index]?.lane ?? 0;
    this.exitAt({ service, index, lane }, code, signal);
  }

  /** The same for one of the two places of an index. */
  exitAt(of: Slot, code: number | null, signal: SignalName | null = null): void {
    const leader = this.leaders.get(nameOf(of));
    if (leader === undefined) return;
    this.leaders.delete(nameOf(of));
    this.answers.push({ of, kind: 'exit', event: { type: 'exited', run: leader.run, code, signal } });
  }

  /** Time goes on to the next timer, which fires; false when there is none. */
  fire(): boolean {
    const next = [...this.timers].sort(([, a], [, b]) => a.at - b.at)[0];
    if (next === undefined) return false;
    const [key, { of, timer, run, at }] = next;
    this.timers.delete(key);
    this.now = Math.max(this.now, at);
    this.tell(of, { type: 'timed-out', run, timer });
    return true;
  }

  /** Everything answers and all time goes by. */
  rest(): void {
    for (let turns = 0; turns < 2_000; turns++) {
      this.answerAll();
      if (!this.fire()) return;
    }
  }

  save(): void {
    this.#saved = JSON.stringify({
      state: this.state,
      tokens: Object.fromEntries(this.#tokens),
      byHand: [...this.#byHand],
    });
  }

  /** kill -9, and the next supervisor; leaders for which `survives` says no end meanwhile, and nobody is told. */
  reborn(options: { survives?: (instance: string) => boolean; clockMs?: number; isSameBoot?: boolean } = {}): void {
    const { survives = () => true, clockMs = 0, isSameBoot = true } = options;
    const { state, tokens, byHand } = JSON.parse(this.#saved) as Saved;
    for (const instance of [...this.leaders.keys()]) {
      if (!isSameBoot || !survives(instance)) this.leaders.delete(instance);
    }
    this.timers.clear();
    this.answers = [];
    this.hasEnded = false;
    this.#hasShutDown = false;
    this.now += clockMs;
    const restored = restoreState(state, isSameBoot);
    this.state = restored.state;
    this.#byHand = new Set(byHand);
    this.#highestRun = new Map(instancesOf(state).map((one) => [nameOf(one.of), one.state.run]));
    this.#tokens = new Map(Object.entries(tokens));
    const open = instancesOf(this.state).filter((one) => one.state.name === 'stopping' && one.state.isAsked);
    this.#openStops = new Set(open.map(({ of }) => nameOf(of)));
    this.#isRestoring = true;
    for (const { of, state: was } of instancesOf(restored.state)) {
      const leader = this.leaders.get(nameOf(of));
      const isOurs = leader !== undefined && leader.token === tokens[nameOf(of)];
      this.tell(of, { type: 'restored', run: was.run, pid: isOurs ? leader.pid : null });
    }
    this.#isRestoring = false;
    this.#check();
    if (restored.toStop.length > 0) this.dispatch({ type: 'stop', instances: restored.toStop, reason: 'test' });
    for (const service of new Set(restored.toStart.map((of) => of.service))) {
      const indexes = restored.toStart.flatMap((of) => (of.service === service ? [of.index] : []));
      this.dispatch({ type: 'start', services: [service], indexes, reason: 'a new supervisor' });
    }
  }

  #note(event: SupervisorEvent): void {
    const instance = (of: InstanceRef) => instanceName(of.service, of.index);
    if (event.type === 'stop') for (const of of event.instances) this.#byHand.add(instance(of));
    if (event.type === 'restart') for (const of of event.instances) this.#byHand.delete(instance(of));
    if (event.type === 'start') {
      for (const service of event.services) {
        const indexes = event.indexes ?? [...(this.state.services[service]?.instances.keys() ?? [])];
        for (const index of indexes) this.#byHand.delete(instance({ service, index }));
      }
    }
    if (event.type === 'shutdown') {
      this.#hasShutDown = true;
      if (event.isByHand === true) for (const { of } of instancesOf(this.state)) this.#byHand.add(instance(of));
    }
  }

  #obey(effect: Effect): void {
    if (effect.do === 'end') {
      this.hasEnded = true;
      this.save();
      must(!this.state.isLasting || this.#hasShutDown || this.#hasCriticalFailure(), 'it ended without a shutdown');
    } else if (effect.do === 'record') this.told.push({ ...effect.record, of: null });
    else if (effect.do === 'for') this.#obeyFor(effect.of, effect.effect);
    else if (effect.do === 'forget') this.#forget(effect.of);
  }

  /** Instances go from the highest index, and only when nothing of them lives. */
  #forget(of: Slot): void {
    must(!this.leaders.has(nameOf(of)), `${nameOf(of)} is forgotten and lives`);
    const state = stateAt(this.state, of);
    // Its place may be taken again in the same step.
    const isAnother = state?.name === 'starting' && state.pid === null;
    must(state === undefined || isAnother, `${nameOf(of)} is forgotten and has a state`);
    this.#highestRun.delete(nameOf(of));
    if ((this.state.services[of.service]?.instances.length ?? 0) > of.index) return;
    this.#byHand.delete(instanceName(of.service, of.index));
  }

  #obeyFor(of: Slot, effect: InstanceEffect): void {
    const name = nameOf(of);
    const { leaders } = this;
    if (effect.do === 'spawn') this.#spawn(of, effect.run);
    else if (effect.do === 'record') this.#hear(name, effect.record);
    else if (effect.do === 'arm') {
      must(effect.ms >= 0, `${name} ${effect.timer} in ${effect.ms}`);
      const { run, timer } = effect;
      this.timers.set(`${name} ${timer}`, { of, timer, run, at: this.now + effect.ms });
    } else if (effect.do === 'disarm') this.timers.delete(`${name} ${effect.timer}`);
    else if (effect.do === 'signal' && effect.signal === 'SIGKILL') this.exitAt(of, null, 'SIGKILL');
    else if (effect.do === 'find-survivors') {
      must(!leaders.has(name), `${name} is looked through and its leader lives`);
      this.#ask(of, 'look', { type: 'survivors-found', run: effect.run, survivors: [] });
    } else if (effect.do === 'drain-logs') this.#ask(of, 'drain', { type: 'logs-ended', run: effect.run });
    else if (effect.do === 'run-hook') this.#ask(of, 'hook', { type: 'hook-ended', run: effect.run, reason: null });
    else if (effect.do === 'check-ready') this.#ask(of, 'check', { type: 'ready', run: effect.run, by: 'test' });
    else if (effect.do === 'end-hook' || effect.do === 'end-check' || effect.do === 'release') {
      const kinds = ENDED_BY[effect.do];
      this.answers = this.answers.filter((one) => nameOf(one.of) !== name || !kinds.includes(one.kind));
    }
  }

  #ask(of: Slot, kind: string, event: Distribute<InstanceEvent>): void {
    this.answers.push({ of, kind, event });
  }

  #spawn(of: Slot, run: number): void {
    const name = nameOf(of);
    must(!this.leaders.has(name), `two runs of ${name}`);
    must(!this.#byHand.has(instanceName(of.service, of.index)), `${name} was stopped by hand`);
    must(run > (this.#highestRun.get(name) ?? 0), `run ${run} of ${name} comes again`);
    this.#highestRun.set(name, run);
    const pid = this.#nextPid++;
    this.leaders.set(name, { run, pid, token: this.#tokens.get(name) ?? '' });
    this.#ask(of, 'spawn', { type: 'spawned', run, pid, command: 'program' });
  }

  /** Each stop that is told ends with one verdict, before the next is told. */
  #hear(name: string, record: PhaseRecord): void {
    this.told.push({ ...record, of: name });
    if (record.phase === 'stop-requested') {
      must(!this.#openStops.has(name), `${name} asked twice`);
      this.#openStops.add(name);
    }
    if (record.phase === 'stopped') this.#openStops.delete(name);
  }

  #hasCriticalFailure(): boolean {
    const services = Object.values(this.state.services);
    return services.some(({ spec, instances }) => spec.critical && instances.some(({ name }) => name === 'failed'));
  }

  /** What a rolling restart asks to leave is ready, and still enough are ready without it. */
  #checkAvailability(was: SupervisorState, effects: readonly Effect[]): void {
    for (const effect of effects) {
      if (effect.do !== 'for' || effect.effect.do !== 'record') continue;
      const { phase, reason } = effect.effect.record;
      const { of } = effect;
      if (phase !== 'stop-requested' || reason !== ROLL || stateAt(was, of)?.name !== 'running') continue;
      const service = this.state.services[of.service];
      if (service?.rolling == null) continue;
      const { maxSurge, maxUnavailable } = service.rolling.target.rolling;
      const bound = wantedOf(service).length - Math.max(maxUnavailable, maxSurge === 0 ? 1 : 0);
      const ready = availableOf(service);
      must(ready >= bound, `${ready} of ${service.spec.name} are ready without ${nameOf(of)}, ${bound} have to be`);
    }
  }

  #check(): void {
    for (const { spec, instances, spares, rolling } of Object.values(this.state.services)) {
      const beside = Object.keys(spares).length;
      const surge = rolling?.target.rolling.maxSurge ?? 0;
      const leftOver = Object.entries(spares).filter(([key]) => rolling?.underWay[Number(key)] === undefined).length;
      if (rolling !== null) must(beside <= surge + leftOver, `${beside} of ${spec.name} beside, ${surge} are allowed`);
      for (const [key, spare] of Object.entries(spares))
        must(spare.lane !== instances[Number(key)]?.lane, `${spec.name}:${key} has two in one place`);
    }
    for (const { of, state } of instancesOf(this.state)) {
      const name = nameOf(of);
      const isArmed = (timer: Timer) => this.timers.has(`${name} ${timer}`);
      const asked = (...kinds: readonly string[]) =>
        this.answers.some((one) => nameOf(one.of) === name && kinds.includes(one.kind));
      if (state.name === 'backoff') must(isArmed('backoff'), `${name} backs off without a timer`);
      if (state.name === 'stopping') must(isArmed('rung'), `${name} stops without a timer`);
      if (state.name === 'starting') {
        const isUnderWay = state.pid === null ? asked('spawn') : isArmed('ready') || asked('exit');
        must(isUnderWay, `${name} starts without news to come`);
      }
      if (isDown(state)) must(!this.#openStops.has(name), `the stop of ${name} has no verdict`);
      if (state.name === 'stopped' || state.name === 'exited' || state.name === 'backoff') {
        must(!this.leaders.has(name), `${name} is down and its leader lives`);
      }
      must(state.run >= (this.#highestRun.get(name) ?? 0), `${name} goes back to run ${state.run}`);
    }
  }
}

function nameOf(of: Slot): string {
  return slotName(of);
}

/** Thousands of towns are looked at after every step: `expect` would take most of the time. */
function must(isSo: boolean, otherwise: string): void {
  if (!isSo) throw new Error(otherwise);
}
