/** What restarts services without being asked: files that change, moments that come. */
import type { InstanceRef, SupervisorEvent } from '../core/event.ts';
import type { PhaseRecord } from '../core/record.ts';
import type { SupervisorState } from '../core/root-state.ts';
import type { ServiceSpec } from '../core/service.ts';
import type { InstanceState } from '../core/state.ts';
import { systemClock } from './clock.ts';
import { onSchedule } from './schedule.ts';
import { onChange } from './watch.ts';

export type AutomationOptions = {
  readonly state: () => SupervisorState;
  dispatch(event: SupervisorEvent): void;
  tell(record: PhaseRecord): void;
};

type Running = { readonly key: string; end(): void };

/** Follows the state: what is watched is what is up. */
export class AutomaticRestarts {
  readonly #options: AutomationOptions;
  readonly #running = new Map<string, Running>();

  constructor(options: AutomationOptions) {
    this.#options = options;
    this.update();
  }

  /** The state has changed. */
  update(): void {
    const { services, shutdown } = this.#options.state();
    const wanted = new Map<string, ServiceSpec>();
    if (shutdown === null) {
      for (const [name, { spec, instances }] of Object.entries(services))
        if ((spec.watch !== null || spec.schedule !== null) && instances.some(isUp)) wanted.set(name, spec);
    }
    for (const [name, { key, end }] of [...this.#running]) {
      if (keyOf(wanted.get(name)) === key) continue;
      this.#running.delete(name);
      end();
    }
    for (const [name, spec] of wanted) if (!this.#running.has(name)) this.#running.set(name, this.#begin(spec));
  }

  close(): void {
    for (const { end } of this.#running.values()) end();
    this.#running.clear();
  }

  #begin(spec: ServiceSpec): Running {
    const { name, watch, schedule, cwd, user } = spec;
    const problem = (reason: string) => this.#options.tell({ phase: 'notice', level: 'warn', service: name, reason });
    const ends = [
      ...(watch === null
        ? []
        : [
            onChange({
              policy: watch,
              folder: cwd,
              isForeign: user !== null,
              clock: systemClock,
              changed: (file) => this.#restart(name, `${file} has changed`, isUp),
              problem,
            }),
          ]),
      // What is not up then has its own reasons.
      ...(schedule === null ? [] : [onSchedule(schedule, () => this.#restart(name, `schedule ${schedule}`, isSteady))]),
    ];
    return {
      key: keyOf(spec),
      end: () => {
        for (const end of ends) end();
      },
    };
  }

  #restart(service: string, reason: string, which: (instance: InstanceState) => boolean): void {
    const { services } = this.#options.state();
    const instances = (services[service]?.instances ?? []).flatMap((instance, index): InstanceRef[] =>
      which(instance) ? [{ service, index }] : [],
    );
    if (instances.length === 0) return;
    this.#options.dispatch({ type: 'restart', at: systemClock.now(), instances, reason });
  }
}

/** It was asked to run: by the next change it may do better. */
function isUp({ name }: InstanceState): boolean {
  return name !== 'stopped';
}

function isSteady({ name }: InstanceState): boolean {
  return name === 'running';
}

function keyOf(spec: ServiceSpec | undefined): string {
  return spec === undefined ? '' : JSON.stringify([spec.watch, spec.schedule, spec.cwd, spec.user]);
}
