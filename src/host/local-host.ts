/** This machine as a host: each run in a session and group of its own, its streams, its signals, its survivors. */
import { type ChildProcess, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { setPriority } from 'node:os';
import type { Readable } from 'node:stream';
import { EXIT, GsupError } from '../core/error.ts';
import type { Survivor } from '../core/record.ts';
import type { ServiceSpec } from '../core/service.ts';
import type { SignalName } from '../core/signal.ts';
import { type Cgroup, makeCgroup } from './cgroup.ts';
import { instanceEnvironment } from './environment.ts';
import type { Host, HostRun, RunListener, SpawnRequest } from './host.ts';
import { type Command, resolveCommand, statOf } from './interpreter.ts';
import { type Belongings, findProcesses, isSame, readDescendants, readStat } from './processes.ts';
import { forwardSignal, sendSignal } from './signal.ts';
import { findSurvivors, killSurvivors, signalSurvivors } from './survivors.ts';
import { findGroup, findUser } from './user.ts';

/** A host that starts real processes here. */
export class LocalHost implements Host {
  spawn(request: SpawnRequest, listener: RunListener): HostRun {
    return new LocalRun(request, listener);
  }
}

class LocalRun implements HostRun {
  readonly #streams: SpawnRequest['streams'];
  readonly #released = new AbortController();
  readonly #token: string;
  #subprocess: ChildProcess | null = null;
  #startTicks = 0;
  #ended: Promise<unknown> = Promise.resolve();
  #isAlive = false;
  #isGroupKilled = false;
  #cgroup: Cgroup | null = null;
  /** As they were when the leader was first signalled: afterwards they may have another parent. */
  #descendants: readonly { readonly pid: number; readonly startTicks: number }[] = [];

  constructor(request: SpawnRequest, listener: RunListener) {
    this.#streams = request.streams;
    this.#token = newToken();
    this.#spawn(request, listener);
  }

  get pid(): number | null {
    return this.#subprocess?.pid ?? null;
  }

  signal(signal: SignalName | null, target: 'leader' | 'group'): void {
    const { pid } = this;
    if (pid === null) return;
    if (signal !== null && this.#isAlive) {
      this.#descendants = readDescendants(pid).map((one) => ({ pid: one, startTicks: readStat(one)?.startTicks ?? 0 }));
    }
    const hasGroup = target === 'group' && !this.#streams.isInTerminal;
    // A reaped leader's pid may be another's by now; its group's number can't, as long as the group has members.
    if (hasGroup) {
      sendSignal(-pid, signal);
      if (signal === 'SIGKILL') this.#isGroupKilled = true;
    } else if (this.#isAlive) sendSignal(pid, signal);
  }

  forward(signal: SignalName): void {
    if (this.pid !== null && this.#isAlive) forwardSignal(this.pid, signal);
  }

  sendShutdown(): void {
    const { pid } = this;
    if (this.#subprocess?.connected) this.#subprocess.send('shutdown', () => {});
    else if (pid !== null && this.#isAlive) sendSignal(pid, 'SIGTERM');
  }

  findSurvivors(): Promise<readonly Survivor[]> {
    return findSurvivors(() => this.#belongings(), this.#released.signal);
  }

  signalSurvivors(signal: SignalName, skipGroup: boolean): Promise<void> {
    const wants = ({ isInGroup }: Survivor) => !(skipGroup && isInGroup);
    return signalSurvivors(() => this.#belongings(), signal, wants, this.#released.signal);
  }

  killSurvivors(): Promise<void> {
    const killAll = () => this.#cgroup?.kill();
    return killSurvivors(() => this.#belongings(), killAll, this.#released.signal);
  }

  async memory(): Promise<number> {
    const { pid } = this;
    if (pid === null || !this.#isAlive) return 0;
    const { memoryOf } = await import('./usage.ts');
    const [found] = findProcesses([this.#belongings()]);
    return memoryOf([pid, ...(found?.alive ?? []).map((one) => one.pid)]);
  }

  async drained(): Promise<void> {
    this.resume();
    await this.#ended;
  }

  resume(): void {
    this.#subprocess?.stdout?.resume();
    this.#subprocess?.stderr?.resume();
  }

  release(): void {
    this.#released.abort();
    this.#cgroup?.remove();
    this.#subprocess?.stdout?.destroy();
    this.#subprocess?.stderr?.destroy();
    if (this.#subprocess?.connected) this.#subprocess.disconnect();
  }

  #belongings(): Belongings {
    const leader = this.pid ?? -1;
    return {
      leader,
      startTicks: this.#startTicks,
      token: this.#token,
      hasGroup: !this.#streams.isInTerminal,
      isGroupKilled: this.#isGroupKilled,
      known: [...this.#descendants.filter(isSame).map((one) => one.pid), ...(this.#cgroup?.pids() ?? [])],
    };
  }

  #spawn(request: SpawnRequest, listener: RunListener): void {
    const { spec, of, environment, streams } = request;
    let command: Command;
    let subprocess: ChildProcess;
    try {
      const env = instanceEnvironment(spec, of.index, this.#token, environment);
      checkCwd(spec.cwd);
      command = resolveCommand(spec.program, spec.cwd, env['PATH']);
      subprocess = start(spec, command, env, streams);
    } catch (error) {
      if (!(error instanceof GsupError)) throw error;
      const isFinal = error.exitStatus === EXIT.notFound || error.exitStatus === EXIT.notExecutable;
      const reason = error.hint ? `${error.message}; ${error.hint}` : error.message;
      listener.spawnFailed(reason, isFinal ? error.exitStatus : null);
      return;
    }
    this.#subprocess = subprocess;
    const { pid } = subprocess;
    if (pid === undefined) {
      subprocess.once('error', (error) => listener.spawnFailed(...spawnFailure(command.file, error)));
      return;
    }
    // Of a process that runs, these are failed kills and sends: the exit tells all that is to be known.
    subprocess.on('error', () => {});
    this.#isAlive = true;
    // In kill mode leader nobody will ask for what else there is.
    if (spec.stop.killMode !== 'leader') this.#cgroup = makeCgroup(this.#token, pid);
    this.#startTicks = readStat(pid)?.startTicks ?? 0;
    if (spec.nice !== null) applyNice(pid, spec.nice);
    this.#ended = Promise.all([this.#read(subprocess.stdout, 'stdout'), this.#read(subprocess.stderr, 'stderr')]);
    subprocess.once('exit', (code, signal) => {
      this.#isAlive = false;
      listener.exited(code, signal as SignalName | null);
    });
    subprocess.on('message', (message) => listener.message(message));
    listener.spawned(pid, [command.file, ...command.args].join(' '));
  }

  #read(stream: Readable | null, name: 'stdout' | 'stderr'): Promise<void> {
    if (stream === null) return Promise.resolve();
    stream.on('data', (chunk: Buffer) => {
      if (!this.#streams.onChunk(name, chunk)) stream.pause();
    });
    stream.on('error', () => {});
    return new Promise((resolve) => stream.once('close', resolve));
  }
}

/** Unguessable and of this run only; the kernel's uuid needs no crypto library to be loaded. */
function newToken(): string {
  return readFileSync('/proc/sys/kernel/random/uuid', 'latin1').trim();
}

function start(
  spec: ServiceSpec,
  command: Command,
  env: Record<string, string>,
  streams: SpawnRequest['streams'],
): ChildProcess {
  const hasChannel =
    command.isNodeScript &&
    (spec.program.kind === 'script' || spec.stop.message || spec.ready?.check.kind === 'message');
  const ids = identity(spec);
  // Inherited by the child at fork; nothing else of this process creates files in between, for spawning is synchronous.
  const before = spec.umask === null ? null : process.umask(spec.umask);
  try {
    return spawn(command.file, command.args, {
      cwd: spec.cwd,
      env,
      stdio: [streams.stdin, streams.output, streams.output, ...(hasChannel ? (['ipc'] as const) : [])],
      detached: !streams.isInTerminal,
      ...ids,
    });
  } catch (error) {
    const [reason, exitStatus] = spawnFailure(command.file, error);
    throw new GsupError(reason, { exitStatus: exitStatus ?? EXIT.failed, cause: error });
  } finally {
    if (before !== null) process.umask(before);
  }
}

function identity(spec: ServiceSpec): { uid?: number; gid?: number } {
  if (spec.user === null && spec.group === null) return {};
  const user = spec.user === null ? null : findUser(spec.user);
  const gid = spec.group === null ? (user?.gid ?? null) : findGroup(spec.group);
  if (process.getuid?.() !== 0 && user !== null && user.uid !== process.getuid?.()) {
    const hint = 'run gsup as root, or remove "user"';
    throw new GsupError(`cannot run as the user ${spec.user}: only root may`, { exitStatus: EXIT.notExecutable, hint });
  }
  return { ...(user === null ? {} : { uid: user.uid }), ...(gid === null ? {} : { gid }) };
}

function applyNice(pid: number, nice: number): void {
  try {
    setPriority(pid, nice);
  } catch {
    process.emitWarning(`cannot set nice ${nice} for ${pid}: only root may go below 0`);
  }
}

function checkCwd(cwd: string): void {
  const stat = statOf(cwd);
  if (stat?.isDirectory()) return;
  const why = stat ? 'is not a directory' : 'does not exist, or may not be entered';
  throw new GsupError(`cannot start in ${cwd}: it ${why}`, { exitStatus: EXIT.notExecutable, hint: 'check "cwd"' });
}

/** Errors of exec that no other try will help, and their exit status; everything else (no memory, no fds) may pass. */
const FINAL_ERRORS: Readonly<Record<string, number>> = {
  ENOENT: EXIT.notFound,
  EACCES: EXIT.notExecutable,
  EPERM: EXIT.notExecutable,
  ENOEXEC: EXIT.notExecutable,
  ENOTDIR: EXIT.notExecutable,
  EISDIR: EXIT.notExecutable,
  E2BIG: EXIT.notExecutable,
  ELOOP: EXIT.notExecutable,
};

function spawnFailure(file: string, error: unknown): [string, number | null] {
  const code = (error as NodeJS.ErrnoException).code ?? 'unknown error';
  const why = WHY[code] ?? code;
  return [`cannot execute ${file}: ${why}`, FINAL_ERRORS[code] ?? null];
}

const WHY: Readonly<Record<string, string>> = {
  ENOENT: 'it, or the interpreter in its first line, is not there',
  EACCES: 'no permission',
  EPERM: 'not permitted',
  ENOEXEC: 'not an executable format',
  E2BIG: 'its arguments and environment are too long',
  EAGAIN: 'too many processes (EAGAIN)',
  ENOMEM: 'not enough memory (ENOMEM)',
  EMFILE: 'too many open files (EMFILE)',
};
