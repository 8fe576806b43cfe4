/** A run that this process has spawned: its exit, streams and channel are a child's. */
import type { Readable } from 'node:stream';
import { EXIT, isGsupError, isShortage } from '../core/error.ts';
import type { ServiceSpec } from '../core/service.ts';
import type { SignalName } from '../core/signal.ts';
import { makeCgroup } from './cgroup.ts';
import { type Channel, type ChannelPair, channelEnvironment, makeChannel } from './channel.ts';
import { layDescriptors } from './descriptors.ts';
import { instanceEnvironment } from './environment.ts';
import type { Given, Handover } from './handover.ts';
import type { HostRun, RunIdentity, RunListener, SpawnRequest, Streams } from './host.ts';
import { uidOf } from './identity.ts';
import { type Command, resolveCommand } from './interpreter.ts';
import type { Child } from './native-child.ts';
import { forksBefore } from './pid-order.ts';
import { isShort } from './proc-file.ts';
import { ProcessTree } from './process-tree.ts';
import { readStat } from './processes.ts';
import { applyNice, checkCwd, spawnFailure, startProcess } from './spawn.ts';

export class LocalRun implements HostRun {
  readonly #request: SpawnRequest;
  readonly #handover: Handover | null;
  #given: Given | null = null;
  #subprocess: Child | null = null;
  #tree: ProcessTree | null = null;
  #channel: Channel | null = null;
  #ended: Promise<unknown> = Promise.resolve();

  /** `handover`: where the service wants something of it. */
  constructor(request: SpawnRequest, listener: RunListener, handover: Handover | null) {
    this.#request = request;
    this.#handover = handover;
    this.#spawn(listener);
  }

  get pid(): number | null {
    return this.#tree?.identity.pid ?? null;
  }

  get identity(): RunIdentity {
    return this.#tree?.identity ?? unspawned(this.#request.token);
  }

  get isAlive(): boolean {
    return this.#tree?.isAlive === true;
  }

  get processes(): ProcessTree | null {
    return this.#tree;
  }

  sendShutdown(): void {
    if (this.#channel !== null) this.#channel.send('shutdown');
    else if (this.#subprocess?.connected) this.#subprocess.send('shutdown', () => {});
    else if (this.isAlive) this.#tree?.signal('SIGTERM', 'leader');
  }

  async drained(): Promise<void> {
    this.resume();
    const { output } = this.#request.streams;
    await (typeof output === 'string' ? this.#ended : output.drained());
  }

  resume(): void {
    this.#subprocess?.stdout?.resume();
    this.#subprocess?.stderr?.resume();
  }

  release(): void {
    this.#tree?.release();
    this.#subprocess?.stdout?.destroy();
    this.#subprocess?.stderr?.destroy();
    this.#channel?.close();
    this.#given?.close();
    if (this.#subprocess?.connected) this.#subprocess.disconnect();
  }

  #spawn(listener: RunListener): void {
    const { spec, of, environment, streams, token, linkPath } = this.#request;
    let command: Command;
    let subprocess: Child;
    let pair: ChannelPair | null = null;
    try {
      const given = this.#handover?.give(this.#request, listener, () => this.pid) ?? null;
      this.#given = given;
      const env = {
        ...instanceEnvironment(spec, of.index, { token, linkPath }, environment),
        ...given?.environment,
      };
      checkCwd(spec);
      command = resolveCommand(spec, env['PATH']);
      pair = wantsChannel(spec, command) && typeof streams.output !== 'string' ? makeChannel() : null;
      const channel = pair?.ends ?? (wantsOwnChannel(spec, command, streams) ? 'ipc' : null);
      const { others, channelFd } = layDescriptors(given?.descriptors ?? new Map(), channel);
      if (pair !== null) Object.assign(env, channelEnvironment(channelFd));
      const launch = given === null ? { ...command, env } : given.launch(command, env);
      subprocess = startProcess(spec, launch, launch.env, { streams, others });
    } catch (error) {
      pair?.discard();
      this.#given?.handedOver();
      this.#given?.close();
      listener.spawnFailed(...failureOf(error));
      return;
    }
    this.#subprocess = subprocess;
    this.#given?.handedOver();
    const { pid } = subprocess;
    if (pid === undefined) {
      pair?.discard();
      this.#given?.close();
      subprocess.once('error', (error) => {
        const [reason, exitStatus] = spawnFailure(command.file, error);
        listener.spawnFailed(reason, isShortage(error) ? 'shortage' : exitStatus);
      });
      return;
    }
    // Of a process that runs, these are failed kills and sends: the exit tells all that is to be known.
    subprocess.on('error', () => {});
    this.#channel = pair?.open((message) => listener.message(message)) ?? null;
    this.#follow(subprocess, pid, listener);
    listener.spawned(pid, [command.file, ...command.args].join(' '));
  }

  #follow(subprocess: Child, pid: number, listener: RunListener): void {
    const { spec, streams, token } = this.#request;
    const startTicks = readStat(pid)?.startTicks ?? 0;
    // In kill mode leader nobody will ask for what else there is.
    const cgroup = spec.stop.killMode === 'leader' ? null : makeCgroup({ pid, startTicks });
    const sockets = this.#given?.sockets ?? {};
    const identity = { token, pid, startTicks, channel: this.#channel?.name ?? null, sockets };
    const marks = { hasGroup: !streams.isInTerminal, cgroup, forks: forksBefore(), uid: uidOf(spec) };
    const tree = new ProcessTree(identity, marks);
    this.#tree = tree;
    if (spec.nice !== null) applyNice(pid, spec.nice);
    this.#ended = Promise.all([this.#read(subprocess.stdout, 'stdout'), this.#read(subprocess.stderr, 'stderr')]);
    subprocess.once('exit', (code, signal) => {
      tree.leaderEnded();
      tellTogether(() => listener.exited(code, signal as SignalName | null));
    });
    subprocess.on('message', (message) => listener.message(message));
  }

  #read(stream: Readable | null, name: 'stdout' | 'stderr'): Promise<void> {
    if (stream === null) return Promise.resolve();
    const { streams } = this.#request;
    stream.on('data', (chunk: Buffer) => {
      if (!streams.onChunk(name, chunk)) stream.pause();
    });
    stream.on('error', () => {});
    return new Promise((resolve) => stream.once('close', resolve));
  }
}

/** Why it could not be spawned. @throws what is a bug. */
function failureOf(error: unknown): [reason: string, exitStatus: number | 'shortage' | null] {
  // What could not be opened may look as if it were not there.
  const isPassing = isShortage(error) || (isGsupError(error) && (isShortage(error.cause) || isShort()));
  if (!isGsupError(error)) {
    if (!isPassing) throw error;
    return [`cannot start it: no descriptor is left (${(error as NodeJS.ErrnoException).code})`, 'shortage'];
  }
  const reason = error.hint ? `${error.message}; ${error.hint}` : error.message;
  if (isPassing) return [reason, 'shortage'];
  const isFinal = error.exitStatus === EXIT.notFound || error.exitStatus === EXIT.notExecutable;
  return [reason, isFinal ? error.exitStatus : null];
}

let untold: (() => void)[] = [];

/** Node tells the ends of many in one turn, each as if it were alone: they are passed on behind each other, so that they are decided as one. */
function tellTogether(tell: () => void): void {
  untold.push(tell);
  if (untold.length > 1) return;
  setImmediate(() => {
    const these = untold;
    untold = [];
    for (const one of these) one();
  });
}

/** What is known of a run before it has a process. */
function unspawned(token: string): RunIdentity {
  return { token, pid: null, startTicks: 0, channel: null, sockets: {} };
}

/** PM2's apps know it: 'ready' up, 'shutdown' down. */
function wantsChannel(spec: ServiceSpec, { isNodeScript }: Command): boolean {
  return isNodeScript && (spec.program.kind === 'script' || usesMessages(spec));
}

/** Node's own channel ends with us: where we may be replaced, only who needs one gets it. */
function wantsOwnChannel(spec: ServiceSpec, command: Command, { output }: Streams): boolean {
  return wantsChannel(spec, command) && (typeof output === 'string' || usesMessages(spec));
}

function usesMessages({ stop, ready }: ServiceSpec): boolean {
  return stop.message || ready?.check.kind === 'message';
}
