/** The seam to a machine: what the supervisor may ask of one, types only. A host obeys and reports, it never decides. */
import type { Slot } from '../core/event.ts';
import type { NotifyMessage } from '../core/notify.ts';
import type { OomFinding } from '../core/oom.ts';
import type { Survivor } from '../core/record.ts';
import type { ServiceSpec, SocketSpec } from '../core/service.ts';
import type { SignalName } from '../core/signal.ts';
import type { ProcessStat } from './processes.ts';

export type StreamName = 'stdout' | 'stderr';

/** What a run tells. `spawned` or `spawnFailed` comes first, exactly one of them. */
export type RunListener = {
  spawned(pid: number, command: string): void;
  /**
   * `exitStatus` is 126 or 127 when no other try will help, `shortage` when the supervisor itself has no descriptor left,
   * else null.
   */
  spawnFailed(reason: string, exitStatus: number | 'shortage' | null): void;
  exited(code: number | null, signal: SignalName | null): void;
  /** A message over Node's IPC channel. */
  message(message: unknown): void;
  /** A message of systemd's protocol, or a line on the descriptor that stands for `ready`. */
  notified(message: NotifyMessage): void;
};

/** How a run's standard streams are laid. */
export type Streams = {
  readonly stdin: 'inherit' | 'ignore';
  /**
   * `inherit`: the supervisor's own, untouched; `pipe`: chunk by chunk to `onChunk`, which answers false to be paused;
   * a channel: laid by somebody else, who reads it.
   */
  readonly output: 'inherit' | 'pipe' | OutputChannel;
  /** In the supervisor's own session and group, so that a shell or REPL owns the terminal. */
  readonly isInTerminal: boolean;
  onChunk(stream: StreamName, chunk: Buffer): boolean;
};

/** Output that somebody else reads: the ends for a child, and when what it wrote has been read. */
export type OutputChannel = {
  /** File descriptors for a child about to be spawned; closed by `close`. @throws when they can't be opened. */
  open(): { readonly stdout: number; readonly stderr: number; close(): void };
  /** Resolves when everything that was written has been read and nobody can write any more. */
  drained(): Promise<void>;
  /** Takes up reading what a run of before still writes. */
  read(): void;
  /** Where chunks go beside: to a check that waits for a line. */
  listen(listener: ((stream: StreamName, chunk: Buffer) => void) | null): void;
  /** Hands out once more what was read since a moment (epoch ms), as far as that is known. */
  recall(sinceMs: number, listener: (stream: StreamName, chunk: Buffer) => void): Promise<void>;
  /** What a child's stdout and stderr are, for those who look for it. */
  readonly files: readonly string[];
};

/** By what a run is known to a later supervisor: pid and start time together, and the token in its environment. */
export type RunIdentity = {
  readonly token: string;
  /** `null`: not known to have been spawned. */
  readonly pid: number | null;
  /** Clock ticks from boot to its start. */
  readonly startTicks: number;
  /** Its IPC channel, where it has one that outlives us. */
  readonly channel: string | null;
  /** The kernel's names of the sockets that it was given, by their names. */
  readonly sockets: Readonly<Record<string, string>>;
};

export type SpawnRequest = {
  readonly of: Slot;
  readonly token: string;
  readonly spec: ServiceSpec;
  /** What the instance inherits, before `envFile` and `env`. */
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly streams: Streams;
  /** What GSUP_LINK says; `null`: there is no link. */
  readonly linkPath: string | null;
};

/** Where programs of a service's own run, its checks and hooks: as its instances do. */
export type ProgramPlace = {
  readonly cwd: string;
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Starts a program as the user of the service, with these ids in its options. Default: as the user of gsup. */
  startAs?<T>(start: (ids: { readonly uid?: number; readonly gid?: number }) => T): T;
};

/** A TCP connection as its client sees it. */
export type Connection = {
  readonly localAddress?: string | undefined;
  readonly localPort?: number | undefined;
  readonly remoteAddress?: string | undefined;
  readonly remotePort?: number | undefined;
};

/** A run's leader and all that belongs to it. */
export interface RunProcesses {
  /** SIGCONT follows every signal but SIGKILL and SIGSTOP, so that a stopped process gets it too. `null` sends nothing. */
  signal(signal: SignalName | null, target: 'leader' | 'group'): void;
  /** A signal to the leader alone, as it came; no SIGCONT behind it. */
  forward(signal: SignalName): void;
  /** Whether the kernel's OOM killer ended the leader, asked right after its end; `null`: nothing is to be told. */
  findKiller(): Promise<OomFinding | null>;
  /** Every living process that belongs to the run beside its leader. */
  findSurvivors(): Promise<readonly Survivor[]>;
  /** The signal to each survivor; resolves when none is left. `skipGroup`: those in its group have had it. */
  signalSurvivors(signal: SignalName, skipGroup: boolean): Promise<void>;
  /** SIGKILL to each, and to what they start meanwhile; resolves when none is left. */
  killSurvivors(): Promise<void>;
  /** Whether it waits for connections on its sockets; `null`: that can't be told. */
  isListening(): boolean | null;
  /** Whether the leader, or `all` of them, have the other end of a connection; `null`: nobody has. */
  answers(connection: Connection, who: 'leader' | 'all'): boolean | null;
  /** Resident bytes of the leader and all that belongs to it; 0 when it has ended. */
  memory(): Promise<number>;
}

/** One run of an instance on a machine, from spawn to release. */
export interface HostRun {
  readonly pid: number | null;
  readonly identity: RunIdentity;
  /** Whether its leader lives. */
  readonly isAlive: boolean;
  /** `null`: it was never spawned. */
  readonly processes: RunProcesses | null;
  /** PM2's `shutdown` message over IPC; a signal where there is no channel. */
  sendShutdown(): void;
  /** Resolves when its output has been read to the end. */
  drained(): Promise<void>;
  /** Resumes reading after `onChunk` answered false. */
  resume(): void;
  /** Lets go of pipes, channels and groups; what waits for its processes never resolves after it. */
  release(): void;
}

export interface Host {
  spawn(request: SpawnRequest, listener: RunListener): HostRun;
  /** The run that a supervisor before this one spawned; its leader may have ended. Its exit is told as of any other. */
  adopt(request: SpawnRequest, identity: RunIdentity, listener: RunListener): HostRun;
  placeOf(request: SpawnRequest): ProgramPlace;
  /** Binds the sockets of a service ahead of its first spawn; what can't be had is told there. */
  openSockets(spec: ServiceSpec): void;
  /** Closes the sockets of a service that are none of these. */
  keepSockets(service: string, sockets: readonly SocketSpec[]): void;
  /** Unguessable and unique: by it, too, a run is recognised. */
  newToken(): string;
  /** What the kernel tells of everything that belongs to each run, in one look. */
  statsOf(runs: readonly HostRun[]): readonly (readonly ProcessStat[])[];
}
