/** What is served, as the daemon and `gsup run` have it; types only. */
import type { InstanceView, LogEntry, OperationLine, Told } from '../api/types.ts';
import type { InstanceRef } from '../core/event.ts';
import type { SupervisorState } from '../core/root-state.ts';

export type Used = { readonly cpuPercent: number; readonly memoryBytes: number; readonly cpuMs: number };
type Logged = { readonly bytes: number; readonly droppedBytes: number };

/** What may be asked for by POST. */
export const VERBS = ['start', 'stop', 'restart', 'reload'] as const;
export type Verb = (typeof VERBS)[number];

export type LogQuery = {
  /** A service or an instance. */
  readonly name: string;
  readonly lines: number;
  /** A text that is looked for, whatever its case; `null`: every line. */
  readonly search: string | null;
  readonly isFollowed: boolean;
};

export type HttpSource = {
  readonly version: string;
  /** What people know it by: the home, or the file. */
  readonly place: string;
  /** Open at the same time. */
  readonly mostConnections: number;
  /** By the supervisor's clock. */
  readonly startedAt: number;
  /** Epoch ms by the supervisor's clock, which nobody can set: states and records are measured with it. */
  now(): number;
  state(): SupervisorState;
  /** GSUP_ID of the present run. */
  tokenOf(of: InstanceRef): string | null;
  /** What the app says of itself. */
  statusOf(of: InstanceRef): string | null;
  /** A row as it may go out: without secrets. */
  shown(view: InstanceView): InstanceView;
  /** What each run uses, by the name of its slot: one look at all processes. */
  usage(): Promise<ReadonlyMap<string, Used>>;
  /** What was written to logs since the begin of this process, by instance. */
  logged(): ReadonlyMap<string, Logged>;
  /** Calls back after every change of the state; the result ends it. */
  onChange(callback: () => void): () => void;
  /** Calls back for every record; the result ends it. */
  onRecord(callback: (record: Told) => void): () => void;
  /** @throws {GsupError} 4 for an unknown name. */
  logs(query: LogQuery, signal: AbortSignal): AsyncIterable<LogEntry>;
  /** Does it, tells its records, and resolves with the last line. @throws {GsupError} 4 for an unknown name. */
  act(verb: Verb, names: readonly string[], tell: (line: OperationLine) => void): Promise<OperationLine>;
  /** A picture of the last stops and starts of a service, as SVG; absent: there is none. */
  timeline?(service: string): Promise<string | null>;
  /** Why an instance is as it is, as JSON; absent: nobody can say. */
  why?(instance: string): Promise<object | null>;
  /** Something for people. */
  notice(text: string, level: 'info' | 'warn' | 'error'): void;
  /** Why an address can't be listened on, in words, and who has it. */
  refusal(host: string, port: number, code: string): { readonly why: string; readonly hint?: string };
};
