/** What is to be done: effects as data, imperatives. What comes of one is told by an event. */
import type { Slot, Timer } from './event.ts';
import type { PhaseRecord } from './record.ts';
import type { SignalName } from './signal.ts';

/** An effect for one instance; `run` names the life it is for. */
export type InstanceEffect =
  | { readonly do: 'spawn'; readonly run: number }
  | { readonly do: 'signal'; readonly run: number; readonly signal: SignalName; readonly target: 'leader' | 'group' }
  | { readonly do: 'send-shutdown'; readonly run: number }
  /** The deadline and the reason, to an app that is on the link. */
  | { readonly do: 'tell-app'; readonly run: number; readonly deadline: number; readonly reason: string }
  /** What it still has to do, of an app that is on the link. */
  | { readonly do: 'ask-app'; readonly run: number }
  | { readonly do: 'check-ready'; readonly run: number }
  | { readonly do: 'check-live'; readonly run: number }
  | { readonly do: 'end-check'; readonly run: number }
  | { readonly do: 'run-hook'; readonly run: number }
  | { readonly do: 'end-hook'; readonly run: number }
  /** Whether the kernel did it, of a SIGKILL that was not ours. */
  | { readonly do: 'find-killer'; readonly run: number; readonly pid: number; readonly exitedAt: number }
  | { readonly do: 'find-survivors'; readonly run: number }
  | { readonly do: 'signal-survivors'; readonly run: number; readonly signal: SignalName; readonly hasGroupIt: boolean }
  | { readonly do: 'kill-survivors'; readonly run: number }
  | { readonly do: 'drain-logs'; readonly run: number }
  | { readonly do: 'release'; readonly run: number }
  | { readonly do: 'arm'; readonly run: number; readonly timer: Timer; readonly ms: number }
  | { readonly do: 'disarm'; readonly timer: Timer }
  | { readonly do: 'record'; readonly record: PhaseRecord };

/** An effect of the root: an instance's, or a record of the whole, or the end. */
export type Effect =
  | { readonly do: 'for'; readonly of: Slot; readonly effect: InstanceEffect }
  | { readonly do: 'record'; readonly record: PhaseRecord }
  /** An instance, or a whole service, is no more. */
  | { readonly do: 'forget'; readonly of: Slot }
  | { readonly do: 'forget-service'; readonly service: string }
  /** The spec of a service is another now, or stays what it was after all. */
  | { readonly do: 'commit-spec'; readonly service: string }
  | { readonly do: 'revert-spec'; readonly service: string }
  | { readonly do: 'end' };
