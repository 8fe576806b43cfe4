/** The logs of all instances and what reads into them: made when they are asked for, kept until an instance is no more. */
import { join } from 'node:path';
import type { Home } from '../api/home.ts';
import type { InstanceRef, Slot } from '../core/event.ts';
import { instanceName, slotName } from '../core/name.ts';
import type { LogPolicy, ServiceSpec } from '../core/service.ts';
import type { Streams } from '../host/host.ts';
import { identityOf } from '../host/identity.ts';
import { Capture, makeStreams } from './capture.ts';
import { InstanceLog } from './instance-log.ts';
import type { Spool } from './spool.ts';

export type InstanceLogsOptions = {
  readonly home: Home;
  readonly spool: Spool | null;
  policyOf(service: string): LogPolicy;
  now(): number;
  /** Something for people. */
  notice(reason: string, level: 'warn' | 'error', of: InstanceRef): void;
};

export class InstanceLogs {
  readonly #options: InstanceLogsOptions;
  /** By the name of the instance. */
  readonly #logs = new Map<string, InstanceLog>();
  /** By the name of the slot. */
  readonly #captures = new Map<string, Capture>();

  constructor(options: InstanceLogsOptions) {
    this.#options = options;
  }

  logOf({ service, index }: InstanceRef): InstanceLog {
    const instance = instanceName(service, index);
    const known = this.#logs.get(instance);
    if (known !== undefined) return known;
    const { home, policyOf, now } = this.#options;
    const log = new InstanceLog({ path: join(home.logs, `${instance}.log`), policy: policyOf(service), now });
    this.#logs.set(instance, log);
    return log;
  }

  /** By the name of the instance. */
  logged(): ReadonlyMap<string, InstanceLog['logged']> {
    return new Map([...this.#logs].map(([instance, log]) => [instance, log.logged]));
  }

  captureOf(of: Slot): Capture {
    const place = slotName(of);
    const known = this.#captures.get(place);
    if (known !== undefined) return known;
    const { home, spool, now, notice } = this.#options;
    const capture = new Capture({
      place,
      folder: home.streams,
      log: this.logOf(of),
      spool,
      now,
      notice: (reason, level) => notice(reason, level, of),
    });
    this.#captures.set(place, capture);
    return capture;
  }

  /** The streams of a run about to be spawned or adopted. */
  streamsOf(of: Slot, spec: ServiceSpec): Streams {
    const capture = this.captureOf(of);
    capture.setPolicy(spec.logs);
    capture.setOwner(ownerOf(spec));
    return { stdin: 'ignore', output: capture, isInTerminal: false, onChunk: () => true };
  }

  /** Makes the pipes of many in one go. @throws when they can't be made. */
  prepare(slots: readonly Slot[]): void {
    makeStreams(slots.flatMap((of) => this.captureOf(of).files));
  }

  /** Opens every file anew; how many there are. */
  reopen(): number {
    for (const log of this.#logs.values()) log.reopen();
    return this.#logs.size;
  }

  /** `isLast`: nothing of the instance is left. Its log file stays. */
  forget(of: Slot, isLast: boolean): void {
    this.captureOf(of).close(true);
    this.#captures.delete(slotName(of));
    if (!isLast) return;
    this.logOf(of).close();
    this.#logs.delete(instanceName(of.service, of.index));
  }

  close(): void {
    for (const capture of this.#captures.values()) capture.close(false);
    for (const log of this.#logs.values()) log.close();
  }
}

function ownerOf(spec: ServiceSpec): { uid: number; gid: number } | null {
  if (process.getuid?.() !== 0) return null;
  try {
    return identityOf(spec);
  } catch {
    // The spawn will say so.
    return null;
  }
}
