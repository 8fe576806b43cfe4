/** How a rolling restart came out for each instance, and what to do about one that failed; pure. */
import type { Outcome, Told } from '../api/types.ts';
import { formatAddress } from '../core/address.ts';
import type { InstanceRef, SupervisorEvent } from '../core/event.ts';
import { instanceName } from '../core/name.ts';
import type { Verdict } from '../core/record.ts';
import type { SupervisorState } from '../core/root-state.ts';
import type { ServiceSpec } from '../core/service.ts';
import { pidOf } from '../core/state.ts';

/** What is asked of the core. */
export type Roll = Required<Omit<Extract<SupervisorEvent, { type: 'roll' }>, 'type' | 'at' | 'indexes'>>;

/** Whether nothing of it is under way any more. */
export function isRolled(state: SupervisorState, service: string): boolean {
  const { rolling = null, spares = {} } = state.services[service] ?? {};
  return rolling === null && Object.values(spares).every((spare) => spare.name === 'failed');
}

/** Whether no rolling restart of it is under way; a run of one may still be on its way out. */
export function isFree(state: SupervisorState, service: string): boolean {
  return state.services[service]?.rolling == null;
}

export function pidAt(state: SupervisorState, { service, index }: InstanceRef): number | null {
  const instance = state.services[service]?.instances[index];
  return instance === undefined ? null : pidOf(instance);
}

type Work = (refs: readonly InstanceRef[], service: string) => Promise<readonly Outcome[]>;

/** `roll` for one service after the other; after one that failed the next ones are left as they are. */
export function rollInTurn(roll: Work): Work {
  let failed: string | null = null;
  return async (refs, service) => {
    if (failed !== null) return refs.map((of) => leftAlone(of, `left as it is, because ${failed} failed`));
    const outcomes = await roll(refs, service);
    if (outcomes.some(({ isOk, verdict }) => !isOk && verdict !== 'killed')) failed = service;
    return outcomes;
  };
}

type Rolled = {
  readonly of: InstanceRef;
  readonly spec: Pick<ServiceSpec, 'sockets'>;
  /** `null`: it went to its end. */
  readonly aborted: Told | null;
  /** The end of what the new run wrote to stderr. */
  readonly errors: readonly string[];
  /** Of the stop of the run before. */
  readonly verdict: Verdict | null;
  readonly pidBefore: number | null;
  readonly pidNow: number | null;
};

export function rolledOutcome({ of, spec, aborted, errors, verdict, pidBefore, pidNow }: Rolled): Outcome {
  const instance = instanceName(of.service, of.index);
  const isReplaced = pidNow !== null && pidNow !== pidBefore && aborted?.instance !== instance;
  if (aborted !== null && !isReplaced && (aborted.instance ?? instance) === instance) {
    // Given up for a stop, it does not go on for long.
    const isServing = aborted.instance !== undefined && pidNow !== null && pidNow === pidBefore;
    const kept = isServing ? `; ${pidNow} goes on serving` : '';
    const message = `not replaced: ${aborted.reason}${kept}${adviceFor(errors, spec)}`;
    return { instance, isOk: false, message, verdict: null, isTimeout: false, stderr: errors };
  }
  if (pidNow === pidBefore) return leftAlone(of, `not replaced${pidNow === null ? '' : `; ${pidNow} goes on serving`}`);
  const change =
    pidBefore === null ? `running as ${pidNow ?? 'nothing'}` : `replaced: ${pidBefore} → ${pidNow ?? 'ended'}`;
  const isKilled = verdict === 'killed' && aborted === null;
  const message = `${change}${isKilled ? '; the run before needed SIGKILL' : ''}`;
  return { instance, isOk: !isKilled, message, verdict, isTimeout: false, stderr: [] };
}

/** A stop was requested while its operation waited for its turn. */
export function stoppedMeanwhile({ service, index }: InstanceRef, notDone: 'replaced' | 'started'): Outcome {
  const instance = instanceName(service, index);
  const message = `not ${notDone}: it was stopped meanwhile`;
  return { instance, isOk: false, message, verdict: null, isTimeout: false, stderr: [] };
}

export function deletedMeanwhile({ service, index }: InstanceRef): Outcome {
  const instance = instanceName(service, index);
  return { instance, isOk: false, message: 'it was deleted meanwhile', verdict: null, isTimeout: false, stderr: [] };
}

function leftAlone({ service, index }: InstanceRef, message: string): Outcome {
  return { instance: instanceName(service, index), isOk: true, message, verdict: null, isTimeout: false, stderr: [] };
}

/** What to do about a port that is in use; empty when that is not the trouble. */
export function adviceFor(errors: readonly string[], { sockets }: Pick<ServiceSpec, 'sockets'>): string {
  const isInUse = errors.some((line) => /EADDRINUSE|address (is )?already in use/i.test(line));
  if (!isInUse) return '';
  const own = sockets.find(({ address }) => {
    const word = address.kind === 'unix' ? address.path : String(address.port);
    return errors.some((line) => line.includes(word));
  });
  if (own !== undefined) {
    const where = formatAddress(own.address);
    return `; gsup holds ${where} for it (sockets) and the program did not take it over: only the first process gets it (LISTEN_FDS, LISTEN_PID), so name the program itself instead of a shell or npm, or leave out the socket`;
  }
  return '; it binds its port itself, so two can\'t run at once: give the service that address as "sockets" (gsup binds it once and hands it over), or replace in place with "rolling: { maxSurge: 0 }"';
}
