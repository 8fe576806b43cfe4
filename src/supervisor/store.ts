/** What outlives a supervisor on disk: written whole (temporary file, fsync, rename), read back or put aside; changes between. */
import { closeSync, fsyncSync, openSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { EXIT, GsupError } from '../core/error.ts';
import type { ServiceSpec } from '../core/service.ts';
import { DEFAULT_LOGS } from '../core/service.ts';
import { changesSince, type IdentityOf, withChanges } from './changes.ts';
import { ChangesFile, changesFileOf } from './changes-file.ts';
import type { Snapshot } from './supervisor.ts';

/** Changes when an older reader would misread it. */
const FORMAT = 1;

/** A snapshot with what else the next supervisor has to know. */
export type Saved = Snapshot & {
  /** Of /proc: what ran in another boot runs no more. */
  readonly bootId: string;
  /** What moments of the state are measured from: epoch ms at zero of CLOCK_MONOTONIC; `null`: unknown. */
  readonly clockBase: number | null;
  /** Service → the name of its kept environment. */
  readonly environments: Readonly<Record<string, string>>;
  /** The file of the last apply, read again at SIGHUP. */
  readonly file: string | null;
};

export type Loaded = {
  /** `null`: there is none. */
  readonly saved: Saved | null;
  /** What went wrong with which file, for people. */
  readonly problems: readonly string[];
};

function textOf(body: string, revision: number): string {
  return `{"format":${FORMAT},"revision":${revision},${body.slice(1)}\n`;
}

/**
 * A file of the state, a copy of it beside for the day that it is broken, and the changes since it was written. What
 * was written outlives us in the memory of the kernel; what must outlive the machine is forced to the disk (`write`).
 */
export class Store {
  readonly #file: string;
  readonly #copy: string;
  readonly #settle: () => void;
  readonly #tail: ChangesFile;
  #copyTimer: NodeJS.Timeout | null = null;
  #settleTimer: NodeJS.Timeout | null = null;
  #settleAfterMs = SETTLE_AFTER_MS;
  #kept: Saved | null = null;
  #body = '';
  #revision = 0;

  /** `settle`: called some time after `append`, to `write` what there is then. */
  constructor(file: string, settle: () => void = () => {}) {
    this.#file = file;
    this.#copy = `${file}.last-good`;
    this.#settle = settle;
    this.#tail = new ChangesFile(changesFileOf(file));
  }

  /** Writes it whole, on the disk before it returns. @throws when the disk refuses. */
  write(saved: Saved): void {
    const began = performance.now();
    const body = JSON.stringify(saved);
    this.#endSettling();
    if (body !== this.#body || !this.#tail.isEmpty) {
      const revision = this.#tail.nextRevision();
      replaceFile(this.#file, textOf(body, revision), true);
      this.#tail.begin(revision);
      [this.#body, this.#revision] = [body, revision];
      // The copy is for a file that was broken by others: it may be late, and needs no fsync.
      this.#copyTimer ??= setTimeout(() => this.flush(), COPY_AFTER_MS);
    }
    this.#kept = saved;
    // A large state is written whole more seldom: at most a fiftieth of the time goes into it.
    this.#settleAfterMs = Math.max(SETTLE_AFTER_MS, (performance.now() - began) * SETTLE_SHARE);
  }

  /**
   * Writes what is other than before: it is there for the next supervisor when this returns, whatever ends this one,
   * and on the disk soon. @throws when the disk refuses.
   */
  append(saved: Saved, identityOf: IdentityOf): void {
    if (this.#kept === null) {
      this.write(saved);
      return;
    }
    const changes = changesSince(this.#kept, saved, identityOf);
    if (changes === null) return;
    try {
      this.#tail.append(changes);
    } catch {
      // A line that stands there by half is in the way of the next ones.
      this.write(saved);
      return;
    }
    this.#kept = saved;
    this.#settleTimer ??= setTimeout(() => this.#settle(), this.#settleAfterMs);
  }

  #endSettling(): void {
    if (this.#settleTimer !== null) clearTimeout(this.#settleTimer);
    this.#settleTimer = null;
  }

  /** Lets go of its files; nothing is written afterwards. */
  close(): void {
    this.#endSettling();
    this.flush();
    this.#tail.close();
  }

  /** Writes the copy now, if it is late. */
  flush(): void {
    if (this.#copyTimer === null) return;
    clearTimeout(this.#copyTimer);
    this.#copyTimer = null;
    try {
      replaceFile(this.#copy, textOf(this.#body, this.#revision), false);
    } catch {
      // The file itself is there; the next write tries again.
    }
  }

  /** The last state; a broken file is kept aside and the copy taken. @throws {GsupError} for a file of a later gsup. */
  read(): Loaded {
    const problems: string[] = [];
    const written = this.#readOne(this.#file, problems) ?? this.#readOne(this.#copy, problems);
    if (written === null) return { saved: null, problems };
    return { saved: this.#tail.read(written.revision).reduce(withChanges, written.saved), problems };
  }

  #readOne(file: string, problems: string[]): Written | null {
    let text: string;
    try {
      text = readFileSync(file, 'utf8');
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT')
        problems.push(`cannot read ${file}: ${(error as Error).message}`);
      return null;
    }
    const parsed = parse(text);
    if (typeof parsed !== 'string') return parsed;
    if (parsed.startsWith('format ') && isNewer(text)) throw newerError(file);
    const aside = `${file}.broken-${new Date().toISOString().replace(/[:.]/g, '-')}`;
    try {
      renameSync(file, aside);
      problems.push(`${file} is broken (${parsed}); it is kept as ${aside}`);
    } catch (error) {
      problems.push(`${file} is broken (${parsed}) and can't be kept aside: ${(error as Error).message}`);
    }
    return null;
  }
}

type Written = { readonly saved: Saved; readonly revision: number };

const COPY_AFTER_MS = 200;
const SETTLE_AFTER_MS = 200;
const SETTLE_SHARE = 50;

function isNewer(text: string): boolean {
  return Number((JSON.parse(text) as { format?: unknown }).format) > FORMAT;
}

function newerError(file: string): GsupError {
  const hint = 'start it with that version, or move the file away to begin with nothing';
  return new GsupError(`cannot read ${file}: it was written by a newer gsup`, { exitStatus: EXIT.failed, hint });
}

/**
 * Replaces a file by one with these bytes, whole or not at all; mode 0600. Only one process may do so at a time: what a
 * kill -9 leaves of the new one is in the way of nobody, and gone with the next.
 */
export function replaceFile(file: string, bytes: string | Buffer, isDurable: boolean): void {
  const temporary = `${file}.tmp`;
  const fd = openSync(temporary, 'w', 0o600);
  try {
    try {
      writeFileSync(fd, bytes);
      if (isDurable) fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
    renameSync(temporary, file);
    if (isDurable) syncFolder(dirname(file));
  } catch (error) {
    rmSync(temporary, { force: true });
    throw error;
  }
}

/** A rename is on disk when its folder is. */
function syncFolder(folder: string): void {
  const fd = openSync(folder, 'r');
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

/** The state, or why it is none. Written by us into a folder that is ours: its shape is looked at, not every value. */
function parse(text: string): Written | string {
  let value: Partial<Saved> & { readonly format?: unknown; readonly revision?: unknown };
  try {
    value = JSON.parse(text);
  } catch (error) {
    return (error as Error).message;
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return 'it is no map';
  if (value.format !== FORMAT) return `format ${String(value.format)}, expected ${FORMAT}`;
  const { format: _format, revision, ...rest } = value;
  const { state, runs, environments, bootId, file, clockBase } = rest;
  if (
    !isMap(state) ||
    !isMap(state['services']) ||
    !isMap(runs) ||
    !isMap(environments) ||
    typeof bootId !== 'string'
  ) {
    return 'parts of it are missing';
  }
  const broken = Object.entries(state['services']).find(([, service]) => !isService(service));
  if (broken !== undefined) return `the service ${broken[0]} has no spec or no instances`;
  const full = { ...rest, file: file ?? null, clockBase: Number.isFinite(clockBase) ? clockBase : null } as Saved;
  const saved = { ...full, state: { ...full.state, services: withNewKeys(full.state.services) } };
  return { saved, revision: typeof revision === 'number' ? revision : 0 };
}

/** Keys that specs of an older version don't have get their defaults. */
function withNewKeys(services: Saved['state']['services']): Saved['state']['services'] {
  const entries = Object.entries(services).map(([name, service]) => {
    const spec: ServiceSpec = { ...service.spec, logs: { ...DEFAULT_LOGS, ...service.spec.logs } };
    return [name, { ...service, spec }];
  });
  return Object.fromEntries(entries);
}

function isService(value: unknown): boolean {
  if (!isMap(value) || !isMap(value['spec']) || !Array.isArray(value['instances'])) return false;
  const { spec } = value;
  const hasParts = ['program', 'env', 'dependsOn', 'restart', 'stop'].every((key) => isMap(spec[key]));
  return hasParts && typeof spec['name'] === 'string' && value['instances'].every(isInstance);
}

function isInstance(value: unknown): boolean {
  if (!isMap(value) || !isMap(value['history']) || !isMap(value['reached'])) return false;
  return typeof value['name'] === 'string' && typeof value['run'] === 'number';
}

function isMap(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
