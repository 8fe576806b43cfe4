/** The built `gsup` under test: started, listened to, signalled, and cleared away afterwards with all that it started. */
import { type ChildProcess, spawn } from 'node:child_process';
import { randomInt, randomUUID } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

const ROOT = resolve(import.meta.dirname, '../..');
const FIXTURES = join(ROOT, 'fixtures');
const CEILING_MS = 15_000;

export type PhaseLine = {
  time: number;
  phase: string;
  service?: string;
  instance?: string;
  pid?: number;
  msg: string;
  reason?: string;
  verdict?: string;
  signal?: string;
  exitCode?: number | null;
  exitSignal?: string | null;
  graceMs?: number;
  elapsedMs?: number;
  survivors?: { pid: number; command: string }[];
  instances?: string[];
  graceUsed?: number;
};
export type End = { code: number | null; signal: string | null };

export type StartOptions = {
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  readonly input?: string;
};

/** One run of the command line. */
export class Gsup implements AsyncDisposable {
  readonly token = randomUUID();
  readonly child: ChildProcess;
  readonly ended: Promise<End>;
  stdout: Buffer = Buffer.alloc(0);
  stderr = '';
  readonly #waiting = new Set<() => void>();

  constructor(args: readonly string[], { env = {}, cwd = ROOT, input }: StartOptions = {}) {
    const { NO_COLOR: _, GSUP_LOG: __, ...own } = process.env;
    this.child = spawn(process.env['TEST_NODE'] ?? process.execPath, [join(ROOT, 'bin/gsup.js'), ...args], {
      cwd,
      env: { ...own, ...env, TEST_TOKEN: this.token },
      stdio: ['pipe', 'pipe', 'pipe'],
    });
    this.child.stdin?.on('error', () => {});
    if (input !== undefined) this.child.stdin?.end(input);
    this.child.stdout?.on('data', (chunk: Buffer) => {
      this.stdout = Buffer.concat([this.stdout, chunk]);
      this.#wake();
    });
    this.child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.stderr += text;
      this.#wake();
    });
    this.ended = new Promise((end) => {
      this.child.once('close', (code, signal) => {
        end({ code, signal });
        this.#wake();
      });
    });
  }

  get output(): string {
    return this.stdout.toString();
  }

  get records(): readonly PhaseLine[] {
    return this.stderr.split('\n').flatMap((line) => {
      if (!line.startsWith('{"level"') || !line.endsWith('}')) return [];
      const record: PhaseLine = JSON.parse(line);
      return [record];
    });
  }

  /** Phases of the instances of a service (of all: no name), without what only frames them. */
  phases(service?: string): readonly string[] {
    return this.records
      .filter((record) => record.instance !== undefined && (service === undefined || record.service === service))
      .map(({ phase }) => phase);
  }

  kill(signal: NodeJS.Signals): void {
    this.child.kill(signal);
  }

  /** Waits for a record of this phase (and service). */
  record(phase: string, service?: string, nth = 1): Promise<PhaseLine> {
    const name = `record ${phase} ${service ?? ''}`;
    return this.until(name, () => {
      const found = this.records.filter(
        (one) => one.phase === phase && (service === undefined || one.service === service),
      );
      return found[nth - 1];
    });
  }

  /** Waits until stdout matches. */
  said(pattern: RegExp): Promise<RegExpExecArray> {
    return this.until(`output ${pattern}`, () => pattern.exec(this.output) ?? undefined);
  }

  /** Waits for the end; its exit status. */
  async status(): Promise<number | null> {
    let end: End | undefined;
    void this.ended.then((result) => {
      end = result;
      this.#wake();
    });
    return (await this.until('the end', () => end)).code;
  }

  /** Waits until `find` has something, looked at whenever something comes. */
  until<T>(what: string, find: () => T | undefined): Promise<T> {
    return new Promise((found, fail) => {
      const look = (): void => {
        const result = find();
        if (result === undefined) return;
        end();
        found(result);
      };
      const timer = setTimeout(() => {
        end();
        fail(new Error(`waited in vain for ${what}\n--- stdout\n${this.output}\n--- stderr\n${this.stderr}`));
      }, CEILING_MS);
      const end = (): void => {
        clearTimeout(timer);
        this.#waiting.delete(look);
      };
      this.#waiting.add(look);
      look();
    });
  }

  /** Everything that descends from this run and lives. */
  alive(): readonly number[] {
    return readdirSync('/proc')
      .map(Number)
      .filter((pid) => Number.isInteger(pid) && pid !== process.pid && this.#isOurs(pid));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const pid of this.alive()) end(pid);
    if (this.child.exitCode === null && this.child.signalCode === null) this.child.kill('SIGKILL');
    await this.ended;
    for (const pid of this.alive()) end(pid);
  }

  #isOurs(pid: number): boolean {
    try {
      if (/^\d+ \(.*\) [ZX]/s.test(readFileSync(`/proc/${pid}/stat`, 'latin1'))) return false;
      return readFileSync(`/proc/${pid}/environ`, 'latin1').includes(this.token);
    } catch {
      return false;
    }
  }

  #wake(): void {
    for (const look of [...this.#waiting]) look();
  }
}

function end(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // Gone already.
  }
}

/** Whether a process lives and is no zombie. */
export function isAlive(pid: number): boolean {
  try {
    return !/^\d+ \(.*\) [ZX]/s.test(readFileSync(`/proc/${pid}/stat`, 'latin1'));
  } catch {
    return false;
  }
}

/** A folder with these files, gone afterwards. */
export class Folder implements Disposable {
  readonly path = mkdtempSync(join(tmpdir(), 'gsup-test-'));

  constructor(files: Readonly<Record<string, string>> = {}) {
    for (const [name, text] of Object.entries(files)) this.write(name, text);
  }

  write(name: string, text: string | Buffer): string {
    const file = join(this.path, name);
    writeFileSync(file, text);
    return file;
  }

  [Symbol.dispose](): void {
    rmSync(this.path, { recursive: true, force: true });
  }
}

/** A fixture's path. */
export function fixture(name: string): string {
  return join(FIXTURES, name);
}

/**
 * A port of 127.0.0.1 that nobody has at this moment, below those that the kernel gives to outgoing connections
 * (32768 and up): one of these keeps its port for a minute after its end, against everybody who would listen there.
 */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = randomInt(10_000, 32_768);
    const server = createServer();
    const isFree = await new Promise<boolean>((resolve) => {
      server.once('error', () => resolve(false));
      server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
    });
    if (isFree) return port;
  }
}
