/** One spare instance under a supervisor of its own: started, waited for, stopped by the ladder, cleared away. */
import { dirname } from 'node:path';
import type { PhaseRecord, Survivor } from '../core/record.ts';
import { initialState } from '../core/root-state.ts';
import { maskedRecord, secretValues, withoutSecrets } from '../core/secrets.ts';
import type { ServiceSpec } from '../core/service.ts';
import { type InstanceState, isDown } from '../core/state.ts';
import { knownEnvironment } from '../host/environment.ts';
import { listenersOf } from '../host/socket-table.ts';
import { LineSplitter } from '../logs/lines.ts';
import { systemClock } from '../supervisor/clock.ts';
import { Supervisor } from '../supervisor/supervisor.ts';
import { guard } from './guard.ts';
import { lateLink } from './link.ts';
import type { SpareHost } from './spare-host.ts';

/** Of its output, for people. */
const LINES_KEPT = 20;
const LONGEST_LINE = 500;

export type Told = PhaseRecord & { readonly at: number };

export type SpareOptions = {
  readonly spec: ServiceSpec;
  readonly index: number;
  readonly host: SpareHost;
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly onRecord: (record: Told) => void;
  /** Of the drill, to be gone even when it is killed; `null`: there is none. */
  readonly folder: string | null;
};

export class Spare {
  readonly #options: SpareOptions;
  readonly #supervisor: Supervisor;
  readonly #link: ReturnType<typeof lateLink>;
  readonly #records: Told[] = [];
  readonly #lines: string[] = [];
  readonly #looks = new Set<() => void>();
  /** Values of its secrets: no text about it has them. */
  readonly secrets: readonly string[];
  #dismiss = () => {};

  constructor(options: SpareOptions) {
    this.#options = options;
    const { spec, index, host, environment } = options;
    this.secrets = secretValues(knownEnvironment(spec, index, { token: '', linkPath: null }, environment));
    this.#link = lateLink();
    const splitters = { stdout: this.#splitter(), stderr: this.#splitter() };
    this.#supervisor = new Supervisor({
      state: initialState({ services: [spec], shutdownTimeoutMs: null }),
      host,
      clock: systemClock,
      journal: {
        write: (record, at) => this.#take({ ...maskedRecord(record, this.secrets), at }),
        close: () => Promise.resolve(),
      },
      random: Math.random,
      environmentOf: () => environment,
      ...(this.#link === null ? {} : { link: this.#link }),
      onChange: () => {
        for (const look of [...this.#looks]) look();
      },
      streamsOf: () => ({
        stdin: 'ignore',
        output: 'pipe',
        isInTerminal: false,
        onChunk: (stream, chunk) => {
          splitters[stream].push(chunk);
          return true;
        },
      }),
    });
  }

  get records(): readonly Told[] {
    return this.#records;
  }

  /** The end of what it wrote. */
  get lines(): readonly string[] {
    return this.#lines;
  }

  get state(): InstanceState {
    const { spec, index } = this.#options;
    const state = this.#supervisor.state.services[spec.name]?.instances[index];
    if (state === undefined) throw new Error(`no instance ${index} of ${spec.name}`);
    return state;
  }

  async start(): Promise<void> {
    const { spec, index } = this.#options;
    const supervisor = this.#supervisor;
    await this.#link?.open({
      leaderOf: (token) => supervisor.leaderOf(token),
      hear: (token, message) => supervisor.hear(token, message),
    });
    const at = systemClock.now();
    supervisor.dispatch({ type: 'start', at, services: [spec.name], reason: 'drill', indexes: [index] });
  }

  /** By the ladder, as `gsup stop` does. */
  stop(reason: string): void {
    const { spec, index } = this.#options;
    this.#supervisor.dispatch({
      type: 'stop',
      at: systemClock.now(),
      instances: [{ service: spec.name, index }],
      reason,
    });
  }

  /** No more grace. */
  force(): void {
    const { spec, index } = this.#options;
    const event = { type: 'forced', at: systemClock.now() } as const;
    this.#supervisor.dispatch({ type: 'instance', of: { service: spec.name, index }, event });
  }

  /** Resolves when its state is as wanted, or it is down. */
  until(isSo: (state: InstanceState) => boolean): Promise<void> {
    return new Promise((resolve) => {
      const look = (): void => {
        if (!isSo(this.state) && !isDown(this.state)) return;
        this.#looks.delete(look);
        resolve();
      };
      this.#looks.add(look);
      look();
    });
  }

  /** What its processes listen on now. */
  listeners(): ReturnType<typeof listenersOf> {
    const stats = [...this.#supervisor.processes().values()].flat();
    return listenersOf(stats.map(({ pid }) => pid));
  }

  findLeft(): Promise<readonly Survivor[]> {
    return this.#options.host.findLeft();
  }

  /** Nothing of it is left afterwards. It has to be down. */
  async clear(): Promise<void> {
    await this.#options.host.clear();
    this.#link?.close();
    this.#dismiss();
  }

  #take(record: Told): void {
    this.#records.push(record);
    if (record.phase === 'spawned' && record.pid != null) {
      const { folder } = this.#options;
      const folders = [
        ...(this.#link === null ? [] : [dirname(this.#link.path)]),
        ...(folder === null ? [] : [folder]),
      ];
      this.#dismiss = guard(record.pid, folders);
    }
    this.#options.onRecord(record);
  }

  #splitter(): LineSplitter {
    return new LineSplitter((line) => {
      this.#lines.push(withoutSecrets(line.toString(), this.secrets).slice(0, LONGEST_LINE));
      if (this.#lines.length > LINES_KEPT) this.#lines.shift();
    });
  }
}
