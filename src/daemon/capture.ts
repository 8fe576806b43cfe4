/** The output of one instance: two FIFOs that are its stdout and stderr, read into its log file as they fill. */
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
import { checkRoom } from '../host/descriptor-limit.ts';
import { makeFifos } from '../host/fifo.ts';
import type { OutputChannel, StreamName } from '../host/host.ts';
import { nativeNow } from '../host/native.ts';
import { type Readable, whenReadable } from '../host/readable.ts';
import { LineFormatter } from '../logs/format.ts';
import type { InstanceLog } from './instance-log.ts';
import { CHUNK_BYTES, type Spool } from './spool.ts';

/** All streams share it: what is read is written before anything else happens. */
const CHUNK = Buffer.allocUnsafe(CHUNK_BYTES);
/** A writer can go so far ahead, and so much waits in the kernel while no daemon lives; the kernel's own default is 64 KiB. */
const PIPE_BYTES = 256 * 1024;
/** Chunks of one stream before others have their turn. */
const CHUNKS_A_TURN = 4;
/** Until another try, where no descriptor is left for the log file. */
const SHORTAGE_WAIT_MS = 500;

const STREAMS = ['stdout', 'stderr'] as const;

export type CaptureOptions = {
  /** `api:0`, or `api:0+` for the other place of it. */
  readonly place: string;
  /** Where the FIFOs are. */
  readonly folder: string;
  readonly log: InstanceLog;
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
  #format: LogPolicy['format'];
  #formatters: Readonly<Record<StreamName, LineFormatter>>;
  readonly #streams: { stdout: Stream | null; stderr: Stream | null } = { stdout: null, stderr: null };
  #owner: { readonly uid: number; readonly gid: number } | null = null;
  #listener: ((stream: StreamName, chunk: Buffer) => void) | null = null;
  #whenDrained: (() => void)[] = [];
  #isFailing = false;
  /** Descriptors of the files of begun lines, opened when one is needed. */
  readonly #rests: { stdout: number | null; stderr: number | null } = { stdout: null, stderr: null };

  constructor(options: CaptureOptions) {
    this.#options = options;
    const { folder, place, log } = options;
    this.#paths = { stdout: join(folder, `${place}.stdout`), stderr: join(folder, `${place}.stderr`) };
    this.files = Object.values(this.#paths);
    this.#format = log.policy.format;
    this.#formatters = formatters(this.#format);
    for (const name of STREAMS) this.#formatters[name].restore(readRest(this.#paths[name]));
  }

  /** From now on; the format too, for what is written next. */
  setPolicy(policy: LogPolicy): void {
    this.#options.log.setPolicy(policy);
    if (policy.format === this.#format) return;
    this.#format = policy.format;
    this.#formatters = formatters(policy.format);
  }

  /** Who the instance runs as: it may want to open /dev/stdout anew. */
  setOwner(owner: { readonly uid: number; readonly gid: number } | null): void {
    this.#owner = owner;
  }

  open(): ReturnType<OutputChannel['open']> {
    makeStreams(this.files);
    if (this.#owner !== null) for (const file of this.files) chownSync(file, this.#owner.uid, this.#owner.gid);
    // Read-write: the child has a reader in itself, so it never gets SIGPIPE, nor EOF while no daemon lives.
    const opened: number[] = [];
    const close = () => opened.forEach(closeSync);
    try {
      for (const path of this.files) opened.push(openSync(path, constants.O_RDWR));
      this.read();
      for (const name of STREAMS) checkRoom(this.#streams[name]?.fd ?? 0);
    } catch (error) {
      close();
      for (const name of STREAMS) this.#end(name);
      throw error;
    }
    const [stdout = -1, stderr = -1] = opened;
    return { stdout, stderr, close };
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
    const { readLines } = await import('../logs/reader.ts');
    for await (const { at, stream, line } of readLines(this.#options.log.files, this.#format, { sinceMs })) {
      if (at !== null && stream !== null) listener(stream, Buffer.from(`${line}\n`));
    }
  }

  drained(): Promise<void> {
    if (STREAMS.every((name) => this.#streams[name] === null)) return Promise.resolve();
    return new Promise((resolve) => this.#whenDrained.push(resolve));
  }

  /** Reads no more. `isGone`: the instance is no more, its FIFOs go too; the logs stay. */
  close(isGone: boolean): void {
    for (const name of STREAMS) this.#end(name);
    for (const name of STREAMS) {
      const fd = this.#rests[name];
      if (fd !== null) closeSync(fd);
      this.#rests[name] = null;
    }
    if (!isGone) return;
    for (const file of this.files) for (const each of [file, `${file}.rest`]) rmSync(each, { force: true });
  }

  /** Writes the chunk that the daemon before had read, from the place where it began. */
  recover({ stream, at, file, rest, chunk }: NonNullable<ReturnType<Spool['leftover']>>): void {
    const { file: written } = this.#options.log;
    if (written.position().ino === file.ino) written.truncateTo(file.size);
    this.#formatters[stream].restore(rest);
    this.#write(this.#formatters[stream].push(chunk, at));
    this.#keepRest(stream, rest.length > 0);
  }

  #take(name: StreamName): void {
    const stream = this.#streams[name];
    if (stream === null) return;
    const formatter = this.#formatters[name];
    if (this.#options.spool?.isFilled(stream.fd) === true && !this.#options.log.file.isReachable()) {
      // Nothing is lost in the FIFO.
      stream.readable.pause();
      setTimeout(() => this.#streams[name] === stream && stream.readable.resume(), SHORTAGE_WAIT_MS).unref();
      return;
    }
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
    const { spool, place, log } = this.#options;
    // A log is opened when there is something for it: of a thousand quiet instances each would take a descriptor.
    const isSpooled = spool?.isFilled(fd) === true;
    if (spool === null || isSpooled) log.file.rotateIfDue();
    if (spool !== null && isSpooled) {
      const rest = this.#formatters[stream].rest;
      const chunk = spool.read(fd, { place, stream, at, file: log.file.position(), rest });
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
    this.#options.log.write(bytes);
    this.#tellDrops();
  }

  #tellDrops(): void {
    const { place, notice, log } = this.#options;
    const { isFailing } = log.file;
    if (isFailing !== null) {
      if (!this.#isFailing)
        notice(`the log of ${place} can't be written (${isFailing}): its output is dropped`, 'error');
      this.#isFailing = true;
    } else if (this.#isFailing) {
      this.#isFailing = false;
      const dropped = log.file.takeDropped();
      notice(`the log of ${place} is written again; ${dropped?.bytes ?? 0} bytes were dropped`, 'warn');
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

/** Creates those that are missing. */
export function makeStreams(files: readonly string[]): void {
  makeFifos(files.filter((file) => !existsSync(file)));
}

function formatters(format: LogPolicy['format']): Readonly<Record<StreamName, LineFormatter>> {
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
  // Of most streams there is none, and an error costs more than the question.
  if (!existsSync(`${path}.rest`)) return Buffer.alloc(0);
  try {
    const bytes = readFileSync(`${path}.rest`);
    return bytes.subarray(REST_HEADER, REST_HEADER + bytes.readUInt32LE(0));
  } catch {
    return Buffer.alloc(0);
  }
}
