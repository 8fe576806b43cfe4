/** The seam to a machine: what the supervisor may ask of one, types only. A host obeys and reports, it never decides. */
import type { InstanceRef } from '../core/event.ts';
import type { Survivor } from '../core/record.ts';
import type { ServiceSpec } from '../core/service.ts';
import type { SignalName } from '../core/signal.ts';

export type StreamName = 'stdout' | 'stderr';

/** What a run tells. `spawned` or `spawnFailed` comes first, exactly one of them. */
export type RunListener = {
  spawned(pid: number, command: string): void;
  /** `exitStatus` is 126 or 127 when no other try will help, else null. */
  spawnFailed(reason: string, exitStatus: number | null): void;
  exited(code: number | null, signal: SignalName | null): void;
  /** A message over Node's IPC channel. */
  message(message: unknown): void;
};

/** How a run's standard streams are laid. */
export type Streams = {
  readonly stdin: 'inherit' | 'ignore';
  /** `inherit`: the supervisor's own, untouched; `pipe`: chunk by chunk to `onChunk`, which answers false to be paused. */
  readonly output: 'inherit' | 'pipe';
  /** In the supervisor's own session and group, so that a shell or REPL owns the terminal. */
  readonly isInTerminal: boolean;
  onChunk(stream: StreamName, chunk: Buffer): boolean;
};

export type SpawnRequest = {
  readonly of: InstanceRef;
  readonly run: number;
  readonly spec: ServiceSpec;
  /** What the instance inherits, before `envFile` and `env`. */
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly streams: Streams;
};

/** One run of an instance on a machine, from spawn to release. */
export interface HostRun {
  readonly pid: number | null;
  /** SIGCONT follows every signal but SIGKILL and SIGSTOP, so that a stopped process gets it too. `null` sends nothing. */
  signal(signal: SignalName | null, target: 'leader' | 'group'): void;
  /** A signal to the leader alone, as it came; no SIGCONT behind it. */
  forward(signal: SignalName): void;
  /** PM2's `shutdown` message over IPC; a signal where there is no channel. */
  sendShutdown(): void;
  /** Every living process that belongs to the run beside its leader. */
  findSurvivors(): Promise<readonly Survivor[]>;
  /** The signal to each survivor; resolves when none is left. `skipGroup`: those in its group have had it. */
  signalSurvivors(signal: SignalName, skipGroup: boolean): Promise<void>;
  /** SIGKILL to each, and to what they start meanwhile; resolves when none is left. */
  killSurvivors(): Promise<void>;
  /** Resident bytes of the leader and all that belongs to it; 0 when it has ended. */
  memory(): Promise<number>;
  /** Resolves when its output has been read to the end. */
  drained(): Promise<void>;
  /** Resumes reading after `onChunk` answered false. */
  resume(): void;
  /** Lets go of pipes, channels and groups; waiting calls above never resolve after it. */
  release(): void;
}

export interface Host {
  spawn(request: SpawnRequest, listener: RunListener): HostRun;
}
