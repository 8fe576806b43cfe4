/** SIGHUP of `gsup run -c FILE`: the services become as the file says now, what has changed by a rolling restart. */
import type { SupervisorEvent } from '../core/event.ts';
import { startOrder } from '../core/graph.ts';
import { planChanges } from '../core/plan.ts';
import type { SupervisorState } from '../core/root-state.ts';
import type { SupervisorSpec } from '../core/service.ts';
import { isDown } from '../core/state.ts';

const REASON = 'SIGHUP';

export type ReloadHost = {
  state(): SupervisorState;
  now(): number;
  dispatch(event: SupervisorEvent): void;
  /** Something for people. */
  notice(text: string): void;
  /** Calls back after every change; the result ends it. */
  onChange(callback: () => void): () => void;
};

/** One service after the other along the dependencies; after a rolling restart that was given up nothing more is replaced. */
export async function reload(host: ReloadHost, { services, shutdownTimeoutMs }: SupervisorSpec): Promise<void> {
  const present = Object.values(host.state().services).map(({ spec }) => spec);
  const changes = new Map(planChanges(present, services, true).map((change) => [change.service, change.action]));
  const specs = new Map(services.map((spec) => [spec.name, spec]));
  const at = () => host.now();
  host.dispatch({ type: 'configure', at: at(), shutdownTimeoutMs });
  const gone = [...changes].flatMap(([name, action]) => (action === 'remove' ? [name] : []));
  // First, for another service may get their addresses; but something has to run all the time, or this is the end.
  const isFirst = Object.keys(host.state().services).some((name) => !gone.includes(name) && isUp(host.state(), name));
  if (isFirst) await removed(host, gone);
  const dependencies = services.map(({ name, dependsOn }): [string, string[]] => [name, Object.keys(dependsOn)]);
  for (const name of startOrder(Object.fromEntries(dependencies))) {
    const spec = specs.get(name);
    if (spec === undefined || host.state().shutdown !== null) continue;
    const action = changes.get(name);
    if (action === 'replace' && isUp(host.state(), name)) {
      host.dispatch({ type: 'roll', at: at(), service: name, spec, reason: REASON });
      await rolled(host, name);
      if (JSON.stringify(host.state().services[name]?.spec) !== JSON.stringify(spec))
        return host.notice(`${name} was not replaced: what comes behind it in the file is left for another SIGHUP`);
    } else if (action !== 'none') host.dispatch({ type: 'define', at: at(), spec, reason: REASON, replaces: false });
    if (action !== 'none') host.dispatch({ type: 'start', at: at(), services: [name], reason: REASON });
  }
  if (!isFirst) await removed(host, gone);
}

function removed(host: ReloadHost, services: readonly string[]): Promise<void> {
  if (services.length === 0) return Promise.resolve();
  host.dispatch({ type: 'remove', at: host.now(), services, reason: REASON });
  return until(
    host,
    ({ services: there, shutdown }) => shutdown !== null || !services.some((name) => isUp({ services: there }, name)),
  );
}

function rolled(host: ReloadHost, service: string): Promise<void> {
  return until(host, ({ services }) => {
    const { rolling = null, spares = {} } = services[service] ?? {};
    return rolling === null && Object.values(spares).every(isDown);
  });
}

function until(host: ReloadHost, isSo: (state: SupervisorState) => boolean): Promise<void> {
  return new Promise((resolve) => {
    const look = (): void => {
      if (!isSo(host.state())) return;
      end();
      resolve();
    };
    const end = host.onChange(look);
    look();
  });
}

function isUp(state: Pick<SupervisorState, 'services'>, service: string): boolean {
  return (state.services[service]?.instances ?? []).some((instance) => !isDown(instance));
}
