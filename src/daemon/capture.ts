/** The output of one instance: two FIFOs that are its stdout and stderr, read into its log file as they fill. */
import { execFileSync } from 'node:child_process';
import {
  chownSync,
  closeSync,
  constants,
  existsSync,
  openSync,
  readFileSync,
  readSync,
  rmSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import type { LogPolicy } from '../core/service.ts';
import type { OutputChannel, StreamName } from '../host/host.ts';
import { nativeNow } from '../host/native.ts';
import { type Readable, whenReadable } from '../host/readable.ts';
import { LineFormatter } from '../logs/format.ts';
import { LogFile } from '../logs/log-file.ts';
import { readLines } from '../logs/reader.ts';
import { CHUNK_BYTES, type Spool } from './spool.ts';

/** All streams share it: what is read is written before anything else happens. */
const CHUNK = Buffer.allocUnsafe(CHUNK_BYTES);
/** A writer can go so far ahead, and so much waits in the kernel while no daemon lives; the kernel's own default is 64 KiB. */
const PIPE_BYTES = 256 * 1024;
/** Chunks of one stream before others have their turn. */
const CHUNKS_A_TURN = 16;

const STREAMS = ['stdout', 'stderr'] as const;

export type CaptureOptions = {
  /** `api:0`. */
  readonly instance: string;
  /** Where the FIFOs are. */
  readonly folder: string;
  readonly logFile: string;
  readonly policy: LogPolicy;
  /** Keeps what is on its way, so that no kill loses it; `null`: there is none. */
  readonly spool: Spool | null;
  now(): number;
  /** Something for people: output is lost, or is kept again. */
  notice(text: string, level: 'warn' | 'error'): void;
};

type Stream = { readonly fd: number; readonly readable: Readable };

/** Reads as long as somebody can write; the next run of the instance takes the same FIFOs. */
export class Capture implements OutputChannel {
  readonly files: readonly string[];
  readonly #options: CaptureOptions;
  readonly #paths: Readonly<Record<StreamName, string>>;
  #file: LogFile;
  #policy: LogPolicy;
  #formatters: Readonly<Record<StreamName, LineFormatter>>;
  readonly #streams: { stdout: Stream | null; stderr: Stream | null } = { stdout: null, stderr: null };
  #owner: { readonly uid: number; readonly gid: number } | null = null;
  #listener: ((stream: StreamName, chunk: Buffer) => void) | null = null;
  readonly #followers = new Set<() => void>();
  #whenDrained: (() => void)[] = [];
  #isFailing = false;
  /** Descriptors of the files of begun lines, opened when one is needed. */
  readonly #rests: { stdout: number | null; stderr: number | null } = { stdout: null, stderr: null };

  constructor(options: CaptureOptions) {
    this.#options = options;
    const { folder, instance } = options;
    this.#paths = { stdout: join(folder, `${instance}.stdout`), stderr: join(folder, `${instance}.stderr`) };
    this.files = Object.values(this.#paths);
    this.#policy = options.policy;
    this.#formatters = formatters(options.policy);
    for (const name of STREAMS) this.#formatters[name].restore(readRest(this.#paths[name]));
    this.#file = this.#newFile();
  }

  get policy(): LogPolicy {
    return this.#policy;
  }

  /** The one that is written. */
  get logFile(): string {
    return this.#options.logFile;
  }

  /** All there are, oldest first. */
  get logFiles(): readonly string[] {
    return this.#file.files();
  }

  /** From now on; the format too, for what is written next. */
  setPolicy(policy: LogPolicy): void {
    if (JSON.stringify(policy) === JSON.stringify(this.#policy)) return;
    if (policy.format !== this.#policy.format) this.#formatters = formatters(policy);
    this.#policy = policy;
    this.#file.close();
    this.#file = this.#newFile();
  }

  /** Who the instance runs as: it may want to open /dev/stdout anew. */
  setOwner(owner: { readonly uid: number; readonly gid: number } | null): void {
    this.#owner = owner;
  }

  open(): ReturnType<OutputChannel['open']> {
    makeFifos(this.files);
    if (this.#owner !== null) for (const file of this.files) chownSync(file, this.#owner.uid, this.#owner.gid);
    // Read-write: the child has a reader in itself, so it never gets SIGPIPE, nor EOF while no daemon lives.
    const stdout = openSync(this.#paths.stdout, constants.O_RDWR);
    const stderr = openSync(this.#paths.stderr, constants.O_RDWR);
    this.read();
    return {
      stdout,
      stderr,
      close: () => {
        closeSync(stdout);
        closeSync(stderr);
      },
    };
  }

  /** Begins to read what is there: of a run that is about to be spawned, or of one that was adopted. */
  read(): void {
    for (const name of STREAMS) {
      if (this.#streams[name] !== null || !existsSync(this.#paths[name])) continue;
      const fd = openSync(this.#paths[name], constants.O_RDONLY | constants.O_NONBLOCK);
      nativeNow()?.widenPipe(fd, PIPE_BYTES);
      this.#streams[name] = { fd, readable: whenReadable(fd, () => this.#take(name)) };
      // Of a FIFO whose writers were gone before it was opened, the kernel tells no end.
      setImmediate(() => this.#take(name));
    }
  }

  listen(listener: ((stream: StreamName, chunk: Buffer) => void) | null): void {
    this.#listener = listener;
  }

  /** Of a format without times it can't be told. */
  async recall(sinceMs: number, listener: (stream: StreamName, chunk: Buffer) => void): Promise<void> {
    for await (const { at, stream, line } of readLines(this.logFiles, this.#policy.format, { sinceMs })) {
      if (at !== null && stream !== null) listener(stream, Buffer.from(`${line}\n`));
    }
  }

  drained(): Promise<void> {
    if (STREAMS.every((name) => this.#streams[name] === null)) return Promise.resolve();
    return new Promise((resolve) => this.#whenDrained.push(resolve));
  }

  /** Called whenever the log file has grown; the result ends it. */
  follow(callback: () => void): () => void {
    this.#followers.add(callback);
    return () => this.#followers.delete(callback);
  }

  /** Opens the log file anew, after somebody has moved it. */
  reopen(): void {
    this.#file.reopen();
  }

  /** Reads no more. `isGone`: the instance is no more, its FIFOs go too; the logs stay. */
  close(isGone: boolean): void {
    for (const name of STREAMS) this.#end(name);
    this.#file.close();
    for (const name of STREAMS) {
      const fd = this.#rests[name];
      if (fd !== null) closeSync(fd);
      this.#rests[name] = null;
    }
    if (!isGone) return;
    for (const file of this.files) for (const each of [file, `${file}.rest`]) rmSync(each, { force: true });
  }

  #newFile(): LogFile {
    const { logFile: path, now } = this.#options;
    return new LogFile({ path, policy: this.#policy, now });
  }

  /** Writes the chunk that the daemon before had read, from the place where it began. */
  recover({ stream, at, file, rest, chunk }: NonNullable<ReturnType<Spool['leftover']>>): void {
    if (this.#file.position().ino === file.ino) this.#file.truncateTo(file.size);
    this.#formatters[stream].restore(rest);
    this.#write(this.#formatters[stream].push(chunk, at));
    this.#keepRest(stream, rest.length > 0);
  }

  #take(name: StreamName): void {
    const stream = this.#streams[name];
    if (stream === null) return;
    const formatter = this.#formatters[name];
    for (let count = 0; count < CHUNKS_A_TURN; count++) {
      const at = this.#options.now();
      const hadRest = formatter.rest.length > 0;
      const chunk = this.#read(stream.fd, name, at);
      if (chunk === null) return;
      if (chunk.length === 0) {
        this.#write(formatter.end(at));
        this.#keepRest(name, hadRest);
        this.#end(name);
        return;
      }
      this.#write(formatter.push(chunk, at));
      this.#keepRest(name, hadRest);
      this.#options.spool?.done();
      this.#listener?.(name, chunk);
      if (chunk.length < CHUNK.length) return;
    }
  }

  /** The next chunk; empty at the end, `null` when there is nothing now. */
  #read(fd: number, stream: StreamName, at: number): Buffer | null {
    const { spool, instance } = this.#options;
    this.#file.rotateIfDue();
    if (spool !== null) {
      const rest = this.#formatters[stream].rest;
      const chunk = spool.read(fd, { instance, stream, at, file: this.#file.position(), rest });
      if (chunk !== null) return chunk;
    }
    const length = readSome(fd);
    return length === null ? null : CHUNK.subarray(0, length);
  }

  /** The begin of a line waits on disk for its end, beside the FIFO. */
  #keepRest(name: StreamName, hadRest: boolean): void {
    const { rest } = this.#formatters[name];
    if (rest.length === 0 && !hadRest) return;
    try {
      this.#rests[name] ??= openRest(this.#paths[name]);
      const length = Buffer.alloc(REST_HEADER);
      length.writeUInt32LE(rest.length);
      writeSync(this.#rests[name] ?? -1, Buffer.concat([length, rest]), 0, REST_HEADER + rest.length, 0);
    } catch {
      // A full disk: it is in memory, and lost only with the daemon.
    }
  }

  #write(bytes: Buffer): void {
    if (bytes.length === 0) return;
    this.#file.write(bytes);
    this.#tellDrops();
    for (const callback of this.#followers) callback();
  }

  #tellDrops(): void {
    const { isFailing } = this.#file;
    const { instance, notice } = this.#options;
    if (isFailing !== null) {
      if (!this.#isFailing)
        notice(`the log of ${instance} can't be written (${isFailing}): its output is dropped`, 'error');
      this.#isFailing = true;
    } else if (this.#isFailing) {
      this.#isFailing = false;
      const dropped = this.#file.takeDropped();
      notice(`the log of ${instance} is written again; ${dropped?.bytes ?? 0} bytes were dropped`, 'warn');
    }
  }

  #end(name: StreamName): void {
    this.#streams[name]?.readable.close();
    this.#streams[name] = null;
    if (STREAMS.some((one) => this.#streams[one] !== null)) return;
    for (const resolve of this.#whenDrained) resolve();
    this.#whenDrained = [];
  }
}

/** Creates those that are missing; without koffi by one call of mkfifo(1), for Node has none of its own. */
export function makeFifos(files: readonly string[]): void {
  const native = nativeNow();
  const missing = files.filter((file) => !existsSync(file));
  const left = native === null ? missing : missing.filter((file) => !native.makeFifo(file));
  if (left.length > 0) execFileSync('mkfifo', ['-m', '600', ...left], { stdio: ['ignore', 'ignore', 'pipe'] });
}

function formatters({ format }: LogPolicy): Readonly<Record<StreamName, LineFormatter>> {
  return { stdout: new LineFormatter(format, 'stdout'), stderr: new LineFormatter(format, 'stderr') };
}

/** Bytes read into the shared buffer; 0 at the end, `null` when there is nothing now. */
function readSome(fd: number): number | null {
  try {
    return readSync(fd, CHUNK);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EAGAIN') return null;
    return 0;
  }
}

/** Length and bytes, in one write; the rest of the file is older. */
const REST_HEADER = 4;

function openRest(path: string): number {
  return openSync(`${path}.rest`, constants.O_RDWR | constants.O_CREAT, 0o600);
}

function readRest(path: string): Buffer {
  try {
    const bytes = readFileSync(`${path}.rest`);
    return bytes.subarray(REST_HEADER, REST_HEADER + bytes.readUInt32LE(0));
  } catch {
    return Buffer.alloc(0);
  }
}
