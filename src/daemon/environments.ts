/** The environments of the commands that started services: kept once each, in files of mode 0600. */
import { existsSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { EXIT, GsupError, isShortage } from '../core/error.ts';
import { replaceFile } from '../supervisor/store.ts';

export type Environment = Readonly<Record<string, string>>;

/** Which service has which environment. */
export class Environments {
  readonly #folder: string;
  readonly #cache = new Map<string, Environment>();
  readonly #ofService: Map<string, string>;
  #names: Readonly<Record<string, string>> | null = null;

  constructor(folder: string, names: Readonly<Record<string, string>>) {
    this.#folder = folder;
    this.#ofService = new Map(Object.entries(names));
    this.#removeUnused();
  }

  /** Service → name of its file; the same object as long as nothing changes. */
  get names(): Readonly<Record<string, string>> {
    this.#names ??= Object.fromEntries(this.#ofService);
    return this.#names;
  }

  /** Keeps it for a service. @throws {GsupError} when the disk refuses. */
  set(service: string, environment: Environment): void {
    this.#keep(service, service, environment);
  }

  /** Keeps it for the spec that a rolling restart brings to a service, until `settle`. */
  stage(service: string, environment: Environment): void {
    this.#keep(nextOf(service), service, environment);
  }

  /** The rolling restart is over: what it brought counts from now on, or never did. */
  settle(service: string, isCommitted: boolean): void {
    const next = this.#ofService.get(nextOf(service));
    if (next === undefined) return;
    this.#names = null;
    if (isCommitted) this.#ofService.set(service, next);
    this.#ofService.delete(nextOf(service));
    this.#removeUnused();
  }

  #keep(key: string, service: string, environment: Environment): void {
    const sorted = Object.fromEntries(Object.entries(environment).sort(([a], [b]) => (a < b ? -1 : 1)));
    const text = JSON.stringify(sorted);
    const name = this.#nameOf(text) ?? newName();
    const file = join(this.#folder, `${name}.json`);
    if (!existsSync(file)) keep(service, file, text);
    this.#cache.set(name, sorted);
    this.#names = null;
    this.#ofService.set(key, name);
  }

  /** Services that were started from the same place share one. */
  #nameOf(text: string): string | undefined {
    return [...new Set(this.#ofService.values())].find((name) => JSON.stringify(this.#read(name)) === text);
  }

  /** Its file goes too, when no other service has the same. */
  forget(service: string): void {
    this.#names = null;
    this.#ofService.delete(service);
    this.#ofService.delete(nextOf(service));
    this.#removeUnused();
  }

  /** What a service inherits; empty when its file is lost. `isNext`: under the spec that a rolling restart brings. */
  of(service: string, isNext = false): Environment {
    const name = (isNext ? this.#ofService.get(nextOf(service)) : undefined) ?? this.#ofService.get(service);
    return name === undefined ? {} : this.#read(name);
  }

  #read(name: string): Environment {
    const known = this.#cache.get(name);
    if (known !== undefined) return known;
    let environment: Environment = {};
    try {
      environment = JSON.parse(readFileSync(join(this.#folder, `${name}.json`), 'utf8'));
    } catch {
      // Said by doctor; a service that needs nothing of it still runs.
    }
    this.#cache.set(name, environment);
    return environment;
  }

  #removeUnused(): void {
    const used = new Set([...this.#ofService.values()].map((name) => `${name}.json`));
    try {
      for (const file of readdirSync(this.#folder)) {
        if (file.endsWith('.json') && !used.has(file)) rmSync(join(this.#folder, file), { force: true });
      }
    } catch (error) {
      // They go with the next one that is not used any more.
      if (!isShortage(error)) throw error;
    }
  }
}

/** The kernel's uuid: no crypto library needs to be loaded for it. */
function newName(): string {
  return readFileSync('/proc/sys/kernel/random/uuid', 'latin1').trim();
}

/** No name of a service: it has a space. */
function nextOf(service: string): string {
  return `${service} next`;
}

function keep(service: string, file: string, text: string): void {
  try {
    replaceFile(file, text, true);
  } catch (cause) {
    const why = (cause as NodeJS.ErrnoException).code ?? (cause as Error).message;
    throw new GsupError(`cannot keep the environment of ${service} in ${file}: ${why}`, {
      exitStatus: EXIT.failed,
      hint: why === 'ENOSPC' ? 'make room on that disk' : '"gsup doctor" looks at what the daemon needs',
      cause,
    });
  }
}
