/** The end of a leader: by whom, and how it is told. */
import type { InstanceEffect } from './effect.ts';
import type { InstanceEvent } from './event.ts';
import type { SignalName } from './signal.ts';
import type { LastExit, Stopping } from './state.ts';

/** Of an exit by a signal that gsup was told to send. */
const PASSED_ON = 'by a signal that gsup passed on';

/** By whom an end was: a signal is somebody's, a code is its own. */
export function lastExit(event: Extract<InstanceEvent, { type: 'exited' }>, bySignal: LastExit['by']): LastExit {
  const { code, signal, at } = event;
  const by = signal !== null ? bySignal : code === null ? 'unknown' : 'self';
  return { code, signal: signal as SignalName | null, by, at };
}

/** The record of the leader's end. */
export function exitRecord(was: Stopping, at: number): InstanceEffect {
  const { code, signal } = was.exit ?? { code: null, signal: null };
  const isStop = was.isAsked && signal === was.signal;
  const reason = wasPassedOn(was, signal) && !isStop && !was.hasKilled ? { reason: PASSED_ON } : {};
  const elapsedMs = at - was.startedAt;
  const told = { pid: was.pid, exitCode: code, exitSignal: signal, elapsedMs, ...reason };
  return { do: 'record', record: { phase: 'exited', ...told } };
}

/** Somebody had gsup send it that signal. */
export function wasPassedOn(was: { readonly forwarded?: readonly SignalName[] }, signal: string | null): boolean {
  return was.forwarded?.some((one) => one === signal) === true;
}
