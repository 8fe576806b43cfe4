/** Whether an instance has come up, or gone down, since it was asked to; pure. */
import type { Outcome } from '../api/types.ts';
import { formatAddress } from '../core/address.ts';
import { formatDuration } from '../core/duration.ts';
import type { InstanceRef } from '../core/event.ts';
import { NOT_READY } from '../core/life.ts';
import { describeExit } from '../core/record.ts';
import type { SupervisorState } from '../core/root-state.ts';
import { type InstanceState, isDown, isGoingDown } from '../core/state.ts';

export type StartStatus = {
  readonly isOver: boolean;
  /** Why it is not up; `null` when it is, or may still come. */
  readonly problem: string | null;
  readonly message: string;
  /** It did not get ready in time. */
  readonly isTimeout: boolean;
  /** Time alone can decide: look again after so many ms. */
  readonly lookAgainMs: number | null;
};

/** Number of the present or last run. */
export function runOf(state: SupervisorState, { service, index }: InstanceRef): number {
  return state.services[service]?.instances[index]?.run ?? 0;
}

/** How far a start is. Without a check an instance is up when it has lived for `settledMs`. */
export function startStatus(
  whole: SupervisorState,
  watch: { readonly of: InstanceRef; readonly runBefore: number },
  now: number,
  settledMs: number,
): StartStatus {
  const service = whole.services[watch.of.service];
  const state = service?.instances[watch.of.index];
  if (service === undefined || state === undefined) return over('it was deleted meanwhile');
  if (whole.shutdown !== null) return over('gsup is stopping everything');
  if (service.waiting?.indexes.includes(watch.of.index)) {
    const failed = Object.keys(service.spec.dependsOn).find((name) => hasFailed(whole, name));
    return failed === undefined ? open : over(`waits for ${failed}, which does not come up`);
  }
  // The first run that came of it has ended: what follows is another try.
  if (state.run > watch.runBefore + 1) return over(endOf(state, now));
  switch (state.name) {
    case 'running': {
      const livedMs = now - state.startedAt;
      if (service.spec.ready !== null) return up(`ready as ${state.pid}`);
      return livedMs >= settledMs ? up(`running as ${state.pid}`) : { ...open, lookAgainMs: settledMs - livedMs + 1 };
    }
    case 'exited':
      if (state.run === watch.runBefore) return over('it did not start');
      return state.reached.completed
        ? up(`completed: ${describeExit(exitOf(state))}`)
        : over(describeExit(exitOf(state)));
    case 'failed':
    case 'backoff':
      return over(endOf(state, now), state.reason.startsWith(NOT_READY));
    case 'stopped':
      return over('it was stopped meanwhile');
    case 'starting':
    case 'stopping':
      return open;
  }
}

/** Whether it is down, and what is wrong with that. */
export function stopStatus(
  whole: SupervisorState,
  { service, index }: InstanceRef,
): { readonly isOver: boolean; readonly problem: string | null } {
  const state = whole.services[service]?.instances[index];
  if (state === undefined) return { isOver: true, problem: null };
  const spare = whole.services[service]?.spares[index];
  if (spare !== undefined && !isDown(spare)) return { isOver: false, problem: null };
  if (state.name === 'failed' && state.stuckPid !== null) return { isOver: true, problem: state.reason };
  if (isDown(state)) return { isOver: true, problem: null };
  // A stop that something else has overruled never comes to its end.
  return isGoingDown(state)
    ? { isOver: false, problem: null }
    : { isOver: true, problem: 'it was started again meanwhile' };
}

/** Also when what it waits for has: dependencies have no circles. */
function hasFailed(whole: SupervisorState, name: string): boolean {
  const service = whole.services[name];
  if (service === undefined) return false;
  if (service.instances.some((instance) => instance.name === 'backoff' || instance.name === 'failed')) return true;
  return service.waiting !== null && Object.keys(service.spec.dependsOn).some((other) => hasFailed(whole, other));
}

function endOf(state: InstanceState, now: number): string {
  if (state.name === 'failed') return `failed: ${state.reason}`;
  if (state.name !== 'backoff') return `${describeExit(exitOf(state))}, and was started again`;
  return `${state.reason}; next try in ${formatDuration(state.until - now)}`;
}

function exitOf({ lastExit }: InstanceState): Parameters<typeof describeExit>[0] {
  return lastExit ?? { code: null, signal: null };
}

const open: StartStatus = { isOver: false, problem: null, message: '', isTimeout: false, lookAgainMs: null };

function over(problem: string, isTimeout = false): StartStatus {
  return { isOver: true, problem, message: problem, isTimeout, lookAgainMs: null };
}

function up(message: string): StartStatus {
  return { isOver: true, problem: null, message, isTimeout: false, lookAgainMs: null };
}

/** A service that is down keeps its sockets: who connects waits. That is said behind the last of its instances. */
export function withOpenSockets(whole: SupervisorState, outcomes: readonly Outcome[]): readonly Outcome[] {
  const last = outcomes.at(-1);
  const { spec, instances = [] } = whole.services[last?.instance.split(':')[0] ?? ''] ?? {};
  if (last === undefined || spec === undefined || spec.sockets.length === 0 || !instances.every(isDown))
    return outcomes;
  const where = spec.sockets.map(({ address }) => formatAddress(address)).join(', ');
  const message = `${last.message}; connections to ${where} wait ("gsup delete ${spec.name}" closes it)`;
  return [...outcomes.slice(0, -1), { ...last, message }];
}
