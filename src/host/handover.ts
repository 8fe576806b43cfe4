/** What a run is given beside its streams: its sockets, NOTIFY_SOCKET, the descriptor that stands for ready. */
import { randomBytes } from 'node:crypto';
import {
  chmodSync,
  closeSync,
  constants,
  existsSync,
  fchmodSync,
  openSync,
  readFileSync,
  readSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import type { HandedIn } from '../core/activation.ts';
import { EXIT, GsupError } from '../core/error.ts';
import type { ServiceSpec, SocketSpec } from '../core/service.ts';
import { makeFifo } from './fifo.ts';
import type { RunListener, SpawnRequest } from './host.ts';
import { type Identity, identityOf, uidOf } from './identity.ts';
import { type Command, runsNode } from './interpreter.ts';
import { withListenPid } from './listen-pid.ts';
import { withListenPreload } from './listen-preload.ts';
import { loadNative } from './native.ts';
import { loadNativeNotify } from './native-notify.ts';
import { loadNativeSockets } from './native-sockets.ts';
import { openNotify } from './notify.ts';
import { isWithin } from './processes.ts';
import { whenReadable } from './readable.ts';
import { Sockets } from './sockets.ts';

/** Beside the bundle that this file is in. */
const PRELOAD = join(__dirname, 'listen.cjs');
const LINE_BYTES = 4096;
/** Between two reads of a descriptor that stands for ready: one line is all that is expected. */
const READY_PAUSE_MS = 100;

type Launch = {
  readonly file: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
};

/** For one run. */
export type Given = {
  readonly environment: Readonly<Record<string, string>>;
  /** Descriptors of the child by their number in it, from 3 on. */
  readonly descriptors: ReadonlyMap<number, number>;
  /** The kernel's names of its sockets. */
  readonly sockets: Readonly<Record<string, string>>;
  launch(command: Command, env: Readonly<Record<string, string>>): Launch;
  /** The child has its ends, or there was no child. */
  handedOver(): void;
  close(): void;
};

/** Owns the sockets of all services. */
export class Handover {
  readonly #sockets: Sockets;
  /** How many runs of a service have its sockets now. */
  readonly #users = new Map<string, number>();

  /** `handedIn`: the sockets that this process was started with. */
  static async load(handedIn: readonly HandedIn[]): Promise<Handover> {
    await Promise.all([loadNative(), loadNativeSockets(), loadNativeNotify()]);
    return new Handover(handedIn);
  }

  private constructor(handedIn: readonly HandedIn[]) {
    this.#sockets = new Sockets({ handedIn });
  }

  /** `leader`: asked once it is spawned. @throws {GsupError} when something can't be had. */
  give(request: SpawnRequest, listener: RunListener, leader: () => number | null): Given {
    const { spec, of } = request;
    this.#sockets.setOwner(of.service, identityOf(spec));
    const sockets = this.#sockets.open(of.service, spec.sockets);
    // Node makes what it shares with others non-blocking; who comes next may count on the opposite.
    if (!this.#users.has(of.service)) this.#sockets.makeBlocking(of.service);
    const told = openTold(request, listener, leader);
    const ready = spec.ready?.check.kind === 'fd' ? readyPipe(request, listener) : null;
    const fd = spec.ready?.check.kind === 'fd' ? spec.ready.check.fd : 0;
    const descriptors = new Map(sockets.map((socket, index) => [FIRST_FD + index, socket]));
    if (ready !== null) descriptors.set(fd, ready.childs);
    const leave = this.#join(of.service);
    return {
      environment: { ...listenEnvironment(spec.sockets), ...told.environment },
      descriptors,
      sockets: this.#sockets.names(of.service),
      launch: (command, env) => (sockets.length === 0 ? { ...command, env } : launchListening(command, env, request)),
      handedOver: () => ready?.handedOver(),
      close: () => {
        leave();
        told.close();
        ready?.close();
      },
    };
  }

  /** What a run of before was given; `missing` are the names of sockets that could not be taken back from it. */
  takeUp(
    request: SpawnRequest,
    { pid, sockets }: { readonly pid: number; readonly sockets: Readonly<Record<string, string>> },
    listener: RunListener,
  ): { readonly missing: readonly string[]; close(): void } {
    const { spec, of } = request;
    this.#sockets.setOwner(of.service, knownIdentity(spec));
    const missing = this.#sockets.retake(of.service, spec.sockets, sockets, pid);
    const told = openTold(request, listener, () => pid);
    const ready = spec.ready?.check.kind === 'fd' ? readyPipe(request, listener) : null;
    ready?.handedOver();
    const leave = this.#join(of.service);
    return {
      missing,
      close: () => {
        leave();
        told.close();
        ready?.close();
      },
    };
  }

  /** A run that ended while nobody looked has left its files. */
  discard(request: SpawnRequest): void {
    if (request.linkPath === null) return;
    for (const kind of ['n', 'r'] as const) rmSync(ownPath(request, kind), { force: true });
  }

  /** @throws {GsupError} when one can't be had. */
  open(spec: ServiceSpec): void {
    this.#sockets.setOwner(spec.name, identityOf(spec));
    this.#sockets.open(spec.name, spec.sockets);
  }

  keep(service: string, sockets: readonly SocketSpec[]): void {
    this.#sockets.keep(service, sockets);
  }

  #join(service: string): () => void {
    this.#users.set(service, (this.#users.get(service) ?? 0) + 1);
    let isIn = true;
    return () => {
      if (!isIn) return;
      isIn = false;
      const others = (this.#users.get(service) ?? 1) - 1;
      if (others === 0) this.#users.delete(service);
      else this.#users.set(service, others);
    };
  }

  /** `isForGood`: nobody will take them up; the files of Unix sockets go. */
  close(isForGood: boolean): void {
    this.#sockets.closeAll(isForGood);
  }
}

const FIRST_FD = 3;

/** What runs goes on, also where its user is gone meanwhile. */
function knownIdentity(spec: ServiceSpec): Identity | null {
  try {
    return identityOf(spec);
  } catch {
    return null;
  }
}

function listenEnvironment(sockets: readonly SocketSpec[]): Readonly<Record<string, string>> {
  if (sockets.length === 0) return {};
  return { LISTEN_FDS: String(sockets.length), LISTEN_FDNAMES: sockets.map(({ name }) => name).join(':') };
}

function launchListening(command: Command, env: Readonly<Record<string, string>>, request: SpawnRequest): Launch {
  const preloaded = runsNode(command, request.spec)
    ? withListenPreload(env, preloadFor(request), request.spec.sockets)
    : env;
  return withListenPid(command.file, command.args, preloaded);
}

/** Another user may not be able to read where gsup is installed. */
function preloadFor({ spec, linkPath }: SpawnRequest): string {
  if (spec.user === null || linkPath === null) return PRELOAD;
  const copy = join(dirname(linkPath), 'listen.cjs');
  const next = `${copy}.${randomBytes(4).toString('hex')}`;
  // Each time: it may be that of an older version. Another service may be reading it: it is replaced whole.
  const fd = openSync(next, 'wx', 0o644);
  try {
    writeFileSync(fd, readFileSync(PRELOAD));
    fchmodSync(fd, 0o644);
  } finally {
    closeSync(fd);
  }
  renameSync(next, copy);
  return copy;
}

/** systemd's protocol, where a check wants it. */
function openTold(
  request: SpawnRequest,
  listener: RunListener,
  leader: () => number | null,
): { readonly environment: Readonly<Record<string, string>>; close(): void } {
  const { ready, live } = request.spec;
  if (ready?.check.kind !== 'notify' && live?.check.kind !== 'notify') return { environment: {}, close: () => {} };
  const path = ownPath(request, 'n');
  const trusted = [0, process.getuid?.(), uidOf(request.spec)];
  const socket = openNotify(path, (message, sender) => {
    if (sender === null || trusted.includes(sender.uid) || isWithin(sender.pid, leader())) listener.notified(message);
  });
  if (socket === null) {
    throw new GsupError("systemd's notification protocol needs koffi, which is not installed or can't be loaded", {
      exitStatus: EXIT.notExecutable,
      hint: 'npm i koffi beside gsup, or choose another check',
    });
  }
  const watchdog: Record<string, string> = {};
  if (live?.check.kind === 'notify') watchdog['WATCHDOG_USEC'] = String(live.intervalMs * live.failureThreshold * 1000);
  return { environment: { NOTIFY_SOCKET: path, ...watchdog }, close: () => socket.close() };
}

/** A FIFO of which the child has both ends: it outlives us, and never brings SIGPIPE. */
function readyPipe(
  request: SpawnRequest,
  listener: RunListener,
): { readonly childs: number; handedOver(): void; close(): void } {
  const path = ownPath(request, 'r');
  if (!existsSync(path)) makeFifo(path);
  // A shell of another user may open it anew: echo > /dev/fd/3.
  chmodSync(path, 0o622);
  const childs = openSync(path, constants.O_RDWR);
  const ours = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  const buffer = Buffer.alloc(LINE_BYTES);
  let isOpen = true;
  const readable = whenReadable(ours, () => {
    const length = read(ours, buffer);
    if (buffer.subarray(0, length).includes('\n')) listener.notified({ ready: true });
    if (length === 0 || !isOpen) return;
    readable.pause();
    setTimeout(() => isOpen && readable.resume(), READY_PAUSE_MS).unref();
  });
  return {
    childs,
    handedOver: () => closeSync(childs),
    close: () => {
      if (!isOpen) return;
      isOpen = false;
      readable.close();
      rmSync(path, { force: true });
    },
  };
}

function read(fd: number, buffer: Buffer): number {
  try {
    return readSync(fd, buffer);
  } catch {
    // Nothing now.
    return 0;
  }
}

/** Beside the link, by the token: the next supervisor finds it there. */
function ownPath({ linkPath, token, spec }: SpawnRequest, kind: string): string {
  if (linkPath === null) {
    throw new GsupError(`cannot start ${spec.name}: there is no folder for its sockets`, {
      exitStatus: EXIT.failed,
      hint: 'check the temporary folder',
    });
  }
  // Every user can read the path of a socket (/proc/net/unix): that of the other must not follow from it.
  return join(dirname(linkPath), `${kind}-${kind === 'n' ? token.slice(0, 13) : token.slice(-12)}`);
}
