/** The one place that every text of a supervisor passes before it goes out: without the secrets of its service. */
import type { PhaseRecord } from '../core/record.ts';
import type { ServiceState } from '../core/root-state.ts';
import { maskedCommand, maskedRecord, secretValues } from '../core/secrets.ts';
import type { ServiceSpec } from '../core/service.ts';

type Inherited = Readonly<Record<string, string | undefined>>;

export type MaskingOptions = {
  readonly serviceOf: (service: string) => ServiceState | undefined;
  /** What a service inherits; `isNext`: under the spec that a rolling restart brings. */
  readonly environmentOf: (service: string, isNext: boolean) => Inherited;
  /** All that an instance gets; reads env files. */
  readonly fullEnvironment: (spec: ServiceSpec, inherited: Inherited) => Readonly<Record<string, string>>;
};

/** The secrets of a service, and what they were computed from. */
type Known = {
  readonly sources: readonly unknown[];
  readonly own: readonly string[];
  /** Those before included: what was started with them may still run. */
  readonly values: readonly string[];
};

export class Masking {
  readonly #options: MaskingOptions;
  readonly #known = new Map<string, Known>();

  constructor(options: MaskingOptions) {
    this.#options = options;
  }

  /** The values of a service's secrets; computed when its spec or environment changes. */
  valuesOf(service: string): readonly string[] {
    return this.#valuesOf(service, false);
  }

  record<R extends PhaseRecord>(record: R): R {
    // Env files are read at each start.
    const { service, phase } = record;
    return maskedRecord(record, service === undefined ? [] : this.#valuesOf(service, phase === 'spawned'));
  }

  /** Any text about a service. */
  text(service: string, text: string): string {
    return maskedCommand(text, this.valuesOf(service));
  }

  forget(service: string): void {
    this.#known.delete(service);
  }

  #valuesOf(service: string, isStart: boolean): readonly string[] {
    const state = this.#options.serviceOf(service);
    const known = this.#known.get(service);
    if (state === undefined) return known?.values ?? [];
    const { spec, rolling } = state;
    const { environmentOf, fullEnvironment } = this.#options;
    const specs = [[spec, environmentOf(service, false)] as const];
    if (rolling !== null) specs.push([rolling.target, environmentOf(service, true)]);
    const sources = specs.flat();
    const isKnown = known !== undefined && sources.every((one, index) => one === known.sources[index]);
    const readsFiles = specs.some(([{ envFiles }]) => envFiles.length > 0);
    if (isKnown && !(isStart && readsFiles)) return known.values;
    const own = [...new Set(specs.flatMap(([one, inherited]) => secretValues(fullEnvironment(one, inherited))))];
    const values = known === undefined ? own : [...new Set([...own, ...known.own])];
    this.#known.set(service, { sources, own, values });
    return values;
  }
}
