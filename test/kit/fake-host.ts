/** A machine for tests: processes as data, a clock that is moved by hand, and a host that outlives its supervisors. */
import type { InstanceRef } from '../../src/core/event.ts';
import { instanceName } from '../../src/core/name.ts';
import type { PhaseRecord, Survivor } from '../../src/core/record.ts';
import { restoreState } from '../../src/core/restore.ts';
import { initialState } from '../../src/core/root-state.ts';
import type { ServiceSpec } from '../../src/core/service.ts';
import type { SignalName } from '../../src/core/signal.ts';
import type { InstanceState } from '../../src/core/state.ts';
import type { Host, HostRun, RunIdentity, RunListener, RunProcesses, SpawnRequest } from '../../src/host/host.ts';
import type { Clock } from '../../src/supervisor/clock.ts';
import { type Snapshot, Supervisor } from '../../src/supervisor/supervisor.ts';

/** What a program does; absent: it runs until its first signal, and ends at once. */
export type Manner = {
  /** The spawn fails so. */
  readonly refuses?: { readonly reason: string; readonly exitStatus: number | null };
  /** ms from a soft signal to the end; `Infinity`: it ignores them. Default 0. */
  readonly stopsAfterMs?: number;
  /** It ends by itself after so many ms with this code. */
  readonly ends?: { readonly afterMs: number; readonly code: number };
  /** A child of it that outlives it; SIGKILL ends it, and a soft signal unless it is stubborn. */
  readonly child?: 'soft' | 'stubborn';
  /** Not even SIGKILL ends it. */
  readonly isStuck?: boolean;
};

export type FakeProcess = {
  readonly pid: number;
  readonly token: string;
  readonly instance: string;
  readonly isLeader: boolean;
  readonly manner: Manner;
  isAlive: boolean;
  exit: { code: number | null; signal: SignalName | null } | null;
  /** Who is told of its end; nobody after its supervisor died. */
  tell: ((code: number | null, signal: SignalName | null) => void) | null;
};

const START_TICKS = 7;

/** What stays when a supervisor dies: time, processes, and the snapshot on disk. */
export class FakeMachine {
  readonly processes: FakeProcess[] = [];
  /** Deeds in their order: `saved`, `spawn api:0`, `SIGTERM 101`, `kill-survivors api:0`. */
  readonly deeds: string[] = [];
  /** What each instance's program does, for each start anew. */
  readonly manners = new Map<string, Manner | ((start: number) => Manner)>();
  /** Whether the exit status of an adopted process can be learned. */
  tellsStatusOfAdopted = false;
  /** Whether the news of a spawn is held back. */
  holdsSpawnNews = false;
  saved: string | null = null;
  /** Thrown by the next saves, as a full disk does. */
  #now = 1_000_000;
  #nextPid = 101;
  #tokens = 0;
  #later: { readonly at: number; readonly callback: () => void; readonly owner: object }[] = [];

  get now(): number {
    return this.#now;
  }

  /** The wall clock is set while no supervisor lives. */
  set now(at: number) {
    const by = at - this.#now;
    this.#later = this.#later.map((one) => ({ ...one, at: one.at + by }));
    this.#now = at;
  }

  newToken(): string {
    this.#tokens += 1;
    return `token-${this.#tokens}`;
  }

  living(instance?: string): readonly FakeProcess[] {
    return this.processes.filter((one) => one.isAlive && (instance === undefined || one.instance === instance));
  }

  leader(instance: string): FakeProcess | undefined {
    return this.living(instance).find(({ isLeader }) => isLeader);
  }

  after(ms: number, callback: () => void, owner: object = this): () => void {
    const one = { at: this.#now + Math.max(0, ms), callback, owner };
    this.#later.push(one);
    return () => {
      this.#later = this.#later.filter((other) => other !== one);
    };
  }

  forgetTimersOf(owner: object): void {
    this.#later = this.#later.filter((one) => one.owner !== owner);
  }

  timersOf(owner: object): number {
    return this.#later.filter((one) => one.owner === owner).length;
  }

  /** Lets `ms` go by, timer by timer; what the effects promise is settled in between. */
  async pass(ms: number): Promise<void> {
    const until = this.#now + ms;
    await turn();
    for (let count = 0; count < 10_000; count++) {
      const next = this.#later.toSorted((a, b) => a.at - b.at)[0];
      if (next === undefined || next.at > until) break;
      this.#later = this.#later.filter((one) => one !== next);
      this.#now = Math.max(this.#now, next.at);
      next.callback();
      await turn();
    }
    this.#now = Math.max(this.#now, until);
  }

  begin(instance: string, token: string, isLeader: boolean, manner: Manner): FakeProcess {
    const pid = this.#nextPid++;
    const born: FakeProcess = { pid, token, instance, isLeader, manner, isAlive: true, exit: null, tell: null };
    this.processes.push(born);
    const { ends } = manner;
    if (isLeader && ends !== undefined) this.after(ends.afterMs, () => this.end(born, ends.code, null));
    return born;
  }

  end(process: FakeProcess, code: number | null, signal: SignalName | null): void {
    if (!process.isAlive) return;
    process.isAlive = false;
    process.exit = { code, signal };
    process.tell?.(code, signal);
  }

  signal(process: FakeProcess, signal: SignalName): void {
    if (!process.isAlive) return;
    this.deeds.push(`${signal} ${process.pid}`);
    if (signal === 'SIGKILL') {
      if (process.manner.isStuck !== true) this.after(0, () => this.end(process, null, 'SIGKILL'));
      return;
    }
    const ms = process.isLeader ? (process.manner.stopsAfterMs ?? 0) : process.manner.child === 'stubborn' ? null : 0;
    if (ms !== null && Number.isFinite(ms)) this.after(ms, () => this.end(process, 0, null));
  }
}

/** Everything that is ready to run has run. */
export async function turn(): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve));
  await new Promise((resolve) => setImmediate(resolve));
}

/** One supervisor's hands on the machine. */
class FakeHost implements Host {
  readonly #machine: FakeMachine;
  readonly #starts: Map<string, number>;
  isGone = false;

  constructor(machine: FakeMachine, starts: Map<string, number>) {
    this.#machine = machine;
    this.#starts = starts;
  }

  newToken(): string {
    return this.#machine.newToken();
  }

  spawn({ of, token }: SpawnRequest, listener: RunListener): HostRun {
    const instance = instanceName(of.service, of.index);
    const machine = this.#machine;
    machine.deeds.push(`spawn ${instance}`);
    const start = (this.#starts.get(instance) ?? 0) + 1;
    this.#starts.set(instance, start);
    const known = machine.manners.get(instance) ?? {};
    const manner = typeof known === 'function' ? known(start) : known;
    if (manner.refuses !== undefined) {
      const { reason, exitStatus } = manner.refuses;
      machine.after(0, () => listener.spawnFailed(reason, exitStatus), this);
      return new FakeRun(machine, token, null);
    }
    const leader = machine.begin(instance, token, true, manner);
    if (manner.child !== undefined) machine.begin(instance, token, false, manner);
    leader.tell = (code, signal) => machine.after(0, () => listener.exited(code, signal), this);
    if (!machine.holdsSpawnNews) machine.after(0, () => listener.spawned(leader.pid, 'program'), this);
    return new FakeRun(machine, token, leader);
  }

  adopt(_request: SpawnRequest, identity: RunIdentity, listener: RunListener): HostRun {
    const machine = this.#machine;
    const leader = machine
      .living()
      .find(({ isLeader, token, pid }) => isLeader && token === identity.token && (identity.pid ?? pid) === pid);
    if (leader !== undefined) {
      leader.tell = (code, signal) => {
        const [knownCode, knownSignal] = machine.tellsStatusOfAdopted ? [code, signal] : [null, null];
        machine.after(0, () => listener.exited(knownCode, knownSignal), this);
      };
    }
    return new FakeRun(machine, identity.token, leader ?? null, identity.pid);
  }

  placeOf() {
    return { cwd: '/', environment: {} };
  }

  openSockets(): void {}

  keepSockets(): void {}

  statsOf(runs: readonly HostRun[]) {
    return runs.map(() => []);
  }
}

class FakeRun implements HostRun, RunProcesses {
  readonly #machine: FakeMachine;
  readonly #token: string;
  readonly #leader: FakeProcess | null;
  readonly pid: number | null;
  #isReleased = false;

  constructor(machine: FakeMachine, token: string, leader: FakeProcess | null, pid: number | null = null) {
    this.#machine = machine;
    this.#token = token;
    this.#leader = leader;
    this.pid = leader?.pid ?? pid;
  }

  get identity(): RunIdentity {
    return {
      token: this.#token,
      pid: this.pid,
      startTicks: this.pid === null ? 0 : START_TICKS,
      channel: null,
      sockets: {},
    };
  }

  get processes(): RunProcesses {
    return this;
  }

  get isAlive(): boolean {
    return this.#leader?.isAlive === true;
  }

  signal(signal: SignalName | null, target: 'leader' | 'group'): void {
    if (signal === null) return;
    if (this.#leader !== null) this.#machine.signal(this.#leader, signal);
    if (target === 'group') for (const child of this.#children()) this.#machine.signal(child, signal);
  }

  forward(signal: SignalName): void {
    if (this.#leader !== null) this.#machine.signal(this.#leader, signal);
  }

  sendShutdown(): void {
    this.signal('SIGTERM', 'leader');
  }

  isListening(): null {
    return null;
  }

  answers(): null {
    return null;
  }

  findKiller(): Promise<null> {
    return Promise.resolve(null);
  }

  findSurvivors(): Promise<readonly Survivor[]> {
    const found = this.#children().map(({ pid }) => ({
      pid,
      startTicks: START_TICKS,
      command: 'child',
      isInGroup: true,
    }));
    return Promise.resolve(found);
  }

  signalSurvivors(signal: SignalName, skipGroup: boolean): Promise<void> {
    if (!skipGroup) for (const child of this.#children()) this.#machine.signal(child, signal);
    return this.#emptied();
  }

  killSurvivors(): Promise<void> {
    for (const child of this.#children()) this.#machine.signal(child, 'SIGKILL');
    return this.#emptied();
  }

  memory(): Promise<number> {
    return Promise.resolve(this.isAlive ? 1_000 : 0);
  }

  drained(): Promise<void> {
    return Promise.resolve();
  }

  resume(): void {}

  release(): void {
    this.#isReleased = true;
  }

  #children(): readonly FakeProcess[] {
    return this.#machine.living().filter(({ isLeader, token }) => !isLeader && token === this.#token);
  }

  /** Looked at whenever one of them ends. */
  #emptied(): Promise<void> {
    return new Promise((resolve) => {
      const look = (): void => {
        if (!this.#isReleased && this.#children().length === 0) resolve();
      };
      for (const child of this.#children()) child.tell = look;
      look();
    });
  }
}

export type Told = PhaseRecord & { readonly at: number };

/** A supervisor on a machine; it can die as by kill -9, and the next one takes up what it kept. */
export class FakeSupervision {
  readonly machine: FakeMachine;
  readonly records: Told[] = [];
  readonly onChange = new Set<() => void>();
  readonly onRecord = new Set<(record: Told) => void>();
  readonly #starts: Map<string, number>;
  supervisor: Supervisor;
  #host: FakeHost;

  constructor(machine: FakeMachine, services: readonly ServiceSpec[]) {
    this.machine = machine;
    this.#starts = new Map();
    this.#host = new FakeHost(machine, this.#starts);
    this.supervisor = this.#supervisor(initialState({ services, shutdownTimeoutMs: null }, true));
  }

  get clock(): Clock {
    const owner = this.#host;
    return { now: () => this.machine.now, after: (ms, callback) => this.machine.after(ms, callback, owner) };
  }

  get phases(): readonly string[] {
    return this.records.map(({ phase, instance }) => (instance === undefined ? phase : `${instance} ${phase}`));
  }

  /** How many timers the present supervisor has. */
  get timers(): number {
    return this.machine.timersOf(this.#host);
  }

  stateOf(service: string, index = 0): InstanceState {
    const state = this.supervisor.state.services[service]?.instances[index];
    if (state === undefined) throw new Error(`there is no ${service}:${index}`);
    return state;
  }

  start(...services: readonly string[]): void {
    this.supervisor.start(services, 'test');
  }

  stop(service: string, index = 0): void {
    const instances: InstanceRef[] = [{ service, index }];
    this.supervisor.dispatch({ type: 'stop', at: this.machine.now, instances, reason: 'test' });
  }

  /** kill -9 of the supervisor: its timers, promises and listeners are gone, the processes are not. */
  die(): void {
    this.#host.isGone = true;
    this.machine.forgetTimersOf(this.#host);
    for (const process of this.machine.processes) process.tell = null;
  }

  /** The next supervisor, from what is on disk, as the daemon does it. */
  reborn({ isSameBoot = true }: { readonly isSameBoot?: boolean } = {}): void {
    const { state, runs } = JSON.parse(this.machine.saved ?? 'null') as Snapshot;
    this.machine.forgetTimersOf(this.#host);
    this.#host = new FakeHost(this.machine, this.#starts);
    const restored = restoreState(state, isSameBoot);
    this.supervisor = this.#supervisor(restored.state);
    this.supervisor.restore(runs);
    if (restored.toStop.length > 0) {
      this.supervisor.dispatch({ type: 'stop', at: this.machine.now, instances: restored.toStop, reason: 'test' });
    }
    for (const service of new Set(restored.toStart.map((of) => of.service))) {
      const indexes = restored.toStart.filter((of) => of.service === service).map(({ index }) => index);
      this.supervisor.dispatch({ type: 'start', at: this.machine.now, services: [service], indexes, reason: 'test' });
    }
  }

  #supervisor(state: Snapshot['state']): Supervisor {
    const host = this.#host;
    const { machine } = this;
    const stops = () => ({ stdin: 'ignore', output: 'inherit', isInTerminal: false, onChunk: () => true }) as const;
    return new Supervisor({
      state,
      host,
      clock: this.clock,
      random: () => 0.5,
      environmentOf: () => ({}),
      streamsOf: stops,
      save: (snapshot) => {
        if (host.isGone) return;
        machine.deeds.push('saved');
        machine.saved = JSON.stringify(snapshot);
      },
      onChange: () => {
        for (const listener of this.onChange) listener();
      },
      journal: {
        write: (record, at) => {
          if (host.isGone) return;
          const told = { ...record, at };
          this.records.push(told);
          for (const listener of this.onRecord) listener(told);
        },
        close: () => Promise.resolve(),
      },
    });
  }
}
