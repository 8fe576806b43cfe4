/** A disposable GSUP_HOME: commands against it, its daemon found and killed, its files read, all of it cleared away. */
import { spawn, spawnSync } from 'node:child_process';
import {
  appendFileSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  watch,
  writeFileSync,
} from 'node:fs';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { homeKey, homeOf, socketPath } from '../../src/api/home.ts';
import type { InstanceView } from '../../src/api/types.ts';
import { findHolder } from '../../src/daemon/lock.ts';
import { type LogLine, parseLine } from '../../src/logs/format.ts';
import { Gsup, isAlive, type PhaseLine, type StartOptions } from './gsup.ts';

const CEILING_MS = 15_000;
/** For facts of which the file system tells nothing: the end of a process, a rename within a mounted folder. */
const LOOK_MS = 50;

/** A line of events.ndjson. */
export type JournalLine = PhaseLine & { readonly deadline?: number };
export type Done = { readonly status: number | null; readonly stdout: string; readonly stderr: string };
export type Answer = { readonly status: number; readonly headers: Record<string, unknown>; readonly body: string };
type Call = { readonly method?: string; readonly headers?: Record<string, string>; readonly body?: string };

export class Home implements AsyncDisposable {
  /** A folder of the test's own; the home is in it. */
  readonly folder = mkdtempSync(join(tmpdir(), 'gsup-home-'));
  readonly path: string;
  readonly #mounts: string[] = [];
  readonly #running = new Set<Gsup>();
  #link: string | null = null;

  /** `name`: of the home within its folder; it is not made. */
  constructor(name = 'home') {
    this.path = join(this.folder, name);
  }

  /** Runs a command to its end. */
  async run(args: readonly string[], options: StartOptions = {}): Promise<Done> {
    await using gsup = this.begin(args, options);
    const status = await gsup.status();
    return { status, stdout: gsup.output, stderr: gsup.stderr };
  }

  /** A command of which the test wants to see more than the end. What it starts is this home's, not its own. */
  begin(args: readonly string[], { env = {}, ...options }: StartOptions = {}): Gsup & AsyncDisposable {
    const gsup = new Gsup(args, { ...options, env: { ...env, GSUP_HOME: this.path } });
    this.#running.add(gsup);
    gsup[Symbol.asyncDispose] = async () => {
      if (gsup.child.exitCode === null && gsup.child.signalCode === null) gsup.kill('SIGKILL');
      await gsup.ended;
    };
    return gsup;
  }

  /** Runs a command that has to work; fails with what it said. */
  async ok(args: readonly string[], options: StartOptions = {}): Promise<Done> {
    const done = await this.run(args, options);
    if (done.status !== 0) throw new Error(`gsup ${args.join(' ')}: ${done.status}\n${done.stdout}${done.stderr}`);
    return done;
  }

  /** The rows of ls: from the daemon itself when one answers (a command takes 50 times as long), else by the command. */
  async ls(): Promise<readonly InstanceView[]> {
    const answer = await this.call('/v1/instances').catch(() => null);
    return JSON.parse(answer?.status === 200 ? answer.body : (await this.ok(['ls', '--json'])).stdout);
  }

  /** One row of ls. */
  async instance(name: string): Promise<InstanceView> {
    const found = (await this.ls()).find(({ instance }) => instance === name);
    if (found === undefined) throw new Error(`no instance ${name}`);
    return found;
  }

  /** Instance → pid. */
  async pids(): Promise<Record<string, number | null>> {
    return Object.fromEntries((await this.ls()).map(({ instance, pid }) => [instance, pid]));
  }

  /** A file of the test's own. */
  write(name: string, text: string): string {
    const file = join(this.folder, name);
    writeFileSync(file, text);
    return file;
  }

  file(name: string): string {
    return join(this.path, name);
  }

  /** Resolves when a daemon listens. */
  async answering(): Promise<void> {
    await this.until('the socket', () => (existsSync(this.file('gsup.sock')) ? true : undefined));
  }

  /** The daemon that answers. */
  async daemonPid(): Promise<number> {
    return JSON.parse((await this.call('/v1/ping')).body).pid;
  }

  /** All processes that are daemons of this home, whether they answer or not. */
  daemonPids(): readonly number[] {
    return this.alive().filter((pid) => / daemon( --background)?$/.test(commandOf(pid)));
  }

  /** kill -9 of the daemon; resolves when it is gone. */
  async killDaemon(): Promise<void> {
    const gone = this.daemonGone();
    process.kill(await this.daemonPid(), 'SIGKILL');
    await gone;
  }

  /** Resolves when the process that holds the lock of the home is gone. */
  async daemonGone(): Promise<void> {
    const holder = await findHolder(homeOf({ GSUP_HOME: this.path }));
    const isGone = (await holder?.gone(CEILING_MS)) ?? true;
    holder?.release();
    if (!isGone) throw new Error('the daemon does not end');
  }

  /** The journal. */
  get records(): readonly JournalLine[] {
    return this.read('events.ndjson')
      .split('\n')
      .filter((line) => line.endsWith('}'))
      .map((line): JournalLine => JSON.parse(line));
  }

  /** Phases of one instance, as far as people see them. */
  phases(instance: string): readonly string[] {
    return this.records.filter((one) => one.instance === instance).map(({ phase }) => phase);
  }

  /** Waits for the n-th record of this phase (and instance). */
  record(phase: string, instance?: string, nth = 1): Promise<JournalLine> {
    const isIt = (one: JournalLine) => one.phase === phase && (instance === undefined || one.instance === instance);
    return this.until(`record ${phase} ${instance ?? ''}`, () => this.records.filter(isIt)[nth - 1]);
  }

  /** A file of the home as text; empty when it is not there. */
  read(name: string): string {
    try {
      return readFileSync(this.file(name), 'utf8');
    } catch {
      return '';
    }
  }

  bytes(name: string): Buffer {
    return readFileSync(this.file(name));
  }

  /** What the kernel says of a process: proc_pid_status(5). */
  status(pid: number): string {
    return readFileSync(`/proc/${pid}/status`, 'utf8');
  }

  /** How many descriptors a process has open. */
  descriptors(pid: number): number {
    return readdirSync(`/proc/${pid}/fd`).length;
  }

  /** Writes zeros to a file until its disk has no room. */
  fill(file: string): void {
    try {
      for (;;) appendFileSync(file, Buffer.alloc(64 * 1024));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
    }
  }

  /** What an instance wrote, oldest first, over rotated files. */
  lines(instance: string, stream?: 'stdout' | 'stderr'): readonly string[] {
    return this.entries(instance)
      .filter((line) => stream === undefined || line.stream === stream)
      .map(({ line }) => line);
  }

  /** The same with time and stream, as it stands in files of format CRI. */
  entries(instance: string): readonly LogLine[] {
    const base = `${instance}.log`;
    const files = (existsSync(this.file('logs')) ? readdirSync(this.file('logs')) : [])
      .filter((name) => name === base || name.startsWith(`${base}.`))
      .sort((a, b) => Number(b.slice(base.length + 1)) - Number(a.slice(base.length + 1)));
    const whole = files.map((name) => this.read(join('logs', name))).join('');
    return whole
      .split('\n')
      .slice(0, -1)
      .map((line) => parseLine(line, 'cri'));
  }

  /** Waits for a line that an instance has written. */
  said(instance: string, pattern: RegExp): Promise<string> {
    return this.until(`${instance} to say ${pattern}`, () => this.lines(instance).find((line) => pattern.test(line)));
  }

  /** Waits until `find` has something; looked at whenever a file of the home changes. */
  until<T>(what: string, find: () => T | undefined): Promise<T> {
    return new Promise((found, fail) => {
      const end = (): void => {
        clearTimeout(ceiling);
        clearInterval(timer);
        for (const watcher of watchers) watcher.close();
      };
      const look = (): void => {
        const result = find();
        if (result === undefined) return;
        end();
        found(result);
      };
      const ceiling = setTimeout(() => {
        end();
        fail(
          new Error(
            `waited in vain for ${what}\n--- events\n${this.read('events.ndjson')}\n${this.read('daemon.log')}`,
          ),
        );
      }, CEILING_MS);
      const folders = [this.path, this.file('logs')].filter((folder) => existsSync(folder));
      const watchers = folders.map((folder) => watch(folder, look));
      const timer = setInterval(look, LOOK_MS);
      look();
    });
  }

  /** Waits until a process is no more. */
  async gone(pid: number): Promise<void> {
    await this.until(`the end of ${pid}`, () => (isAlive(pid) ? undefined : true));
  }

  /** One call of the control socket, by plain HTTP. */
  call(path: string, { method = 'GET', headers = {}, body }: Call = {}): Promise<Answer> {
    const { path: socket, release } = existsSync(this.path)
      ? socketPath(this.file('gsup.sock'), this.path)
      : { path: this.file('gsup.sock'), release: () => {} };
    return new Promise<Answer>((resolve, reject) => {
      const call = request({ socketPath: socket, path, method, headers, agent: false }, (response) => {
        let text = '';
        response.setEncoding('utf8').on('data', (part: string) => {
          text += part;
        });
        response.on('end', () => resolve({ status: response.statusCode ?? 0, headers: response.headers, body: text }));
        response.on('error', reject);
      });
      call.on('error', reject);
      call.end(body);
    }).finally(release);
  }

  /** Mounts a small tmpfs there; false (with the reason printed) when that is not allowed. */
  mountTmpfs(folder: string, size: string): boolean {
    const { status, stderr } = spawnSync('mount', ['-t', 'tmpfs', '-o', `size=${size},mode=0700`, 'tmpfs', folder]);
    if (status === 0) this.#mounts.push(folder);
    else console.warn(`skipped: no tmpfs can be mounted here: ${stderr}`);
    return status === 0;
  }

  /** Everything that descends from this home and lives. */
  alive(): readonly number[] {
    return readdirSync('/proc')
      .map(Number)
      .filter((pid) => Number.isInteger(pid) && pid !== process.pid && isAlive(pid) && this.#isOurs(pid));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // The daemon first: it would start again what ends.
    for (const pid of this.daemonPids()) end(pid);
    for (let pids = this.alive(); pids.length > 0; pids = this.alive()) {
      for (const pid of pids) end(pid);
      await this.until('the end of all', () => (pids.some(isAlive) ? undefined : true));
    }
    await Promise.all([...this.#running].map((gsup) => gsup.ended));
    for (const folder of this.#mounts) spawnSync('umount', ['-l', folder]);
    const link = this.#linkFolder();
    if (link !== null) rmSync(link, { recursive: true, force: true });
    rmSync(this.folder, { recursive: true, force: true });
  }

  #isOurs(pid: number): boolean {
    try {
      const environment = readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0');
      const link = this.#linkFolder();
      return (
        environment.includes(`GSUP_HOME=${this.path}`) ||
        (link !== null && environment.some((variable) => variable.startsWith(`GSUP_LINK=${link}/`)))
      );
    } catch {
      return false;
    }
  }

  /** Where the link of a home is when it can't be in it. */
  #linkFolder(): string | null {
    if (this.#link === null && existsSync(this.path)) {
      const base = process.getuid?.() === 0 ? '/run' : tmpdir();
      const key = homeKey(homeOf({ GSUP_HOME: this.path }));
      this.#link = join(base, `gsup-${process.getuid?.() ?? 0}-${key}`);
    }
    return this.#link;
  }
}

/** A process that has nothing to do with any home, ended afterwards. */
export class Stranger implements Disposable {
  readonly child = spawn('sleep', ['1000'], { stdio: 'ignore', env: {}, detached: true });

  get pid(): number {
    return this.child.pid ?? 0;
  }

  /** Field 22 of proc_pid_stat(5). */
  get startTicks(): number {
    const text = readFileSync(`/proc/${this.pid}/stat`, 'latin1');
    return Number(text.slice(text.lastIndexOf(')') + 2).split(' ')[19]);
  }

  [Symbol.dispose](): void {
    this.child.kill('SIGKILL');
  }
}

/** The command line of a process, empty when it is gone. */
function commandOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replace(/\0+$/, '').replaceAll('\0', ' ');
  } catch {
    return '';
  }
}

function end(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // Gone already.
  }
}
