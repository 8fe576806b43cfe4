/** The listening sockets of the services: bound once, kept over all their processes, handed down as descriptors. */
import { closeSync } from 'node:fs';
import type { HandedIn } from '../core/activation.ts';
import { formatAddress } from '../core/address.ts';
import type { SocketAddress, SocketSpec } from '../core/service.ts';
import type { Identity } from './identity.ts';
import { nativeNow } from './native.ts';
import { type BoundSocket, type ErrorCode, type NativeSockets, nativeSocketsNow } from './native-sockets.ts';
import { plainSockets } from './plain-sockets.ts';
import { cannotListen, heldBy, heldByService, refusalOf } from './socket-failure.ts';
import { changeMode, clearPath, fileIdentity, inFolder, removeFile } from './socket-file.ts';
import { descriptorsOf, findListener, inodeOf, isListening, isOnlyListener, nameOf } from './socket-table.ts';

type UnixAddress = Extract<SocketAddress, { kind: 'unix' }>;
type TcpAddress = Extract<SocketAddress, { kind: 'tcp' }>;

export type SocketsOptions = {
  /** What this process was started with: never bound, never closed, its files never removed. Default: nothing. */
  readonly handedIn?: readonly HandedIn[];
  /** The calls to use; `null`: those without koffi. Default: koffi's, once `loadNativeSockets` has found them. */
  readonly native?: NativeSockets | null;
};

type Held = {
  readonly spec: SocketSpec;
  readonly bound: BoundSocket;
  /** `socket:[inode]` */
  readonly kernelName: string;
  /** Of a Unix socket, where it is ours. */
  readonly file: string | null;
  /** The identity of its service when it was bound. */
  readonly owner: Identity | null;
};

/** What `::` may fail with where there is no IPv6. */
const NO_IPV6: readonly ErrorCode[] = ['EAFNOSUPPORT', 'EADDRNOTAVAIL', 'EINVAL'];

export class Sockets implements Disposable {
  readonly #native: NativeSockets | null | undefined;
  readonly #handedIn: readonly HandedIn[];
  /** By service, then by address. */
  readonly #held = new Map<string, Map<string, Held>>();
  readonly #owners = new Map<string, Identity | null>();

  constructor({ native, handedIn = [] }: SocketsOptions = {}) {
    this.#native = native;
    this.#handedIn = handedIn;
  }

  /** Sets the identity of a service, whose rights are used in folders that untrusted users can change. */
  setOwner(service: string, owner: Identity | null): void {
    this.#owners.set(service, owner);
  }

  /**
   * Descriptors for `specs`, in their order: listening, blocking, closed on exec (spawn passes them by number). Those
   * that are held already are given again. @throws {GsupError} when one can't be had; none is bound then that was not.
   */
  open(service: string, specs: readonly SocketSpec[]): readonly number[] {
    const fresh: SocketSpec[] = [];
    try {
      return specs.map((spec) => {
        const held = this.#find(service, spec.address);
        if (held !== undefined) return this.#renew(service, held, spec);
        const bound = this.#listen(service, spec);
        fresh.push(spec);
        return this.#hold(service, spec, bound);
      });
    } catch (error) {
      for (const { address } of fresh) this.#drop(service, address, true);
      throw error;
    }
  }

  /** A socket's name → `socket:[inode]`, by which a later owner knows it again. */
  names(service: string): Readonly<Record<string, string>> {
    const held = [...(this.#held.get(service)?.values() ?? [])];
    return Object.fromEntries(held.map(({ spec, kernelName }) => [spec.name, kernelName]));
  }

  /**
   * Takes what an earlier owner bound, and isn't held here, out of a living process that has it; `names` are those of
   * the earlier owner. Needs koffi (`loadNative`). The names of the specs that could not be taken.
   */
  retake(
    service: string,
    specs: readonly SocketSpec[],
    names: Readonly<Record<string, string>>,
    pid: number,
  ): readonly string[] {
    const missing: string[] = [];
    for (const spec of specs) {
      if (this.#find(service, spec.address) !== undefined) continue;
      const bound = this.#given(spec.address) ?? takeSocket(pid, names[spec.name] ?? '', spec.address);
      if (bound === null) missing.push(spec.name);
      else this.#hold(service, spec, bound);
    }
    return missing;
  }

  /**
   * Blocking again, as a new owner wants it that accepts without looking (Python), after a Node that made them
   * otherwise. Only when no process has them: one that relies on it not to block would hang.
   */
  makeBlocking(service: string): void {
    for (const { bound } of this.#held.get(service)?.values() ?? []) this.#calls.makeBlocking(bound.fd);
  }

  /** Closes those of the service that are in none of `specs`. */
  keep(service: string, specs: readonly SocketSpec[]): void {
    const wanted = new Set(specs.map(({ address }) => formatAddress(address)));
    for (const { spec } of [...(this.#held.get(service)?.values() ?? [])]) {
      if (!wanted.has(formatAddress(spec.address))) this.#drop(service, spec.address, true);
    }
  }

  close(service: string): void {
    this.keep(service, []);
  }

  /** Of all services; with `removeFiles` false another owner may find the Unix sockets where they are. */
  closeAll(removeFiles: boolean): void {
    for (const [service, held] of [...this.#held]) {
      for (const { spec } of [...held.values()]) this.#drop(service, spec.address, removeFiles);
    }
  }

  [Symbol.dispose](): void {
    this.closeAll(true);
  }

  get #calls(): NativeSockets {
    return (this.#native === undefined ? nativeSocketsNow() : this.#native) ?? plainSockets;
  }

  #listen(service: string, { address, backlog, mode }: SocketSpec): BoundSocket {
    this.#refuseOurOwn(address);
    const given = this.#given(address);
    if (given !== null) return given;
    const owner = this.#owners.get(service) ?? null;
    if (address.kind === 'unix') clearPath(address, owner);
    const bound = address.kind === 'unix' ? this.#bindFile(address, mode, owner) : this.#bind(address);
    if (typeof bound === 'string') throw this.#failure(address, bound);
    const code = this.#calls.listen(bound.fd, backlog);
    if (code === null) return bound;
    const file = address.kind === 'unix' ? fileIdentity(address.path) : null;
    bound.close();
    if (address.kind === 'unix' && file !== null) removeFile(address.path, file, owner);
    throw this.#failure(address, code);
  }

  #given(address: SocketAddress): BoundSocket | null {
    const found = this.#handedIn.find((one) => formatAddress(one.address) === formatAddress(address));
    return found === undefined ? null : { fd: found.fd, close: () => {} };
  }

  /** bind(2) itself gives the mode: a later chmod could change what another user has put at the path. */
  #bindFile(address: UnixAddress, mode: number | null, owner: Identity | null): BoundSocket | ErrorCode {
    const before = mode === null ? null : process.umask(0o777 & ~mode);
    try {
      return inFolder(address, owner, () => this.#calls.bind(address));
    } finally {
      if (before !== null) process.umask(before);
    }
  }

  #bind(address: TcpAddress): BoundSocket | ErrorCode {
    const bound = this.#calls.bind(address);
    const isFallback = address.host === '::' && NO_IPV6.includes(bound as ErrorCode);
    return isFallback ? this.#calls.bind({ ...address, host: '0.0.0.0' }) : bound;
  }

  #hold(service: string, spec: SocketSpec, bound: BoundSocket): number {
    const kernelName = nameOf('self', bound.fd);
    const file = this.#given(spec.address) === null ? ownFile(spec.address, kernelName) : null;
    const owner = this.#owners.get(service) ?? null;
    return this.#keep(service, { spec, bound, kernelName, file, owner });
  }

  /** A held one with what else its spec may have become. */
  #renew(service: string, held: Held, spec: SocketSpec): number {
    const { address, backlog, mode } = spec;
    if (backlog !== held.spec.backlog) this.#calls.setBacklog(held.bound.fd, backlog);
    const isChanged = mode !== null && mode !== held.spec.mode;
    if (address.kind === 'unix' && held.file !== null && isChanged) changeMode(address.path, held.file, mode);
    return this.#keep(service, { ...held, spec });
  }

  #keep(service: string, held: Held): number {
    const ofService = this.#held.get(service) ?? new Map<string, Held>();
    this.#held.set(service, ofService.set(formatAddress(held.spec.address), held));
    return held.bound.fd;
  }

  #find(service: string, address: SocketAddress): Held | undefined {
    return this.#held.get(service)?.get(formatAddress(address));
  }

  #drop(service: string, address: SocketAddress, removesFile: boolean): void {
    const held = this.#find(service, address);
    if (held === undefined) return;
    this.#held.get(service)?.delete(formatAddress(address));
    if (this.#held.get(service)?.size === 0) this.#held.delete(service);
    held.bound.close();
    if (removesFile && held.file !== null && address.kind === 'unix') removeFile(address.path, held.file, held.owner);
  }

  #refuseOurOwn(address: SocketAddress): void {
    for (const [service, held] of this.#held) {
      if (held.has(formatAddress(address))) throw cannotListen(address, heldByService(service));
    }
  }

  #failure(address: SocketAddress, code: ErrorCode): Error {
    if (code !== 'EADDRINUSE') return cannotListen(address, refusalOf(address, code));
    const inode = findListener(address);
    for (const [service, held] of this.#held) {
      const isIts = [...held.values()].some(({ kernelName }) => inode !== null && inodeOf(kernelName) === inode);
      if (isIts) return cannotListen(address, heldByService(service));
    }
    return cannotListen(address, heldBy(address, inode));
  }
}

/** A listening socket of another process as one of ours; `null` unless it is that one, on that address. */
function takeSocket(pid: number, name: string, address: SocketAddress): BoundSocket | null {
  const native = nativeNow();
  const inode = inodeOf(name);
  const [there] = inode === null ? [] : descriptorsOf(pid, name);
  if (native === null || inode === null || there === undefined || !isListening(inode, address)) return null;
  const pidfd = native.openPidfd(pid);
  if (pidfd < 0) return null;
  const fd = native.takeDescriptor(pidfd, there);
  closeSync(pidfd);
  if (fd < 0) return null;
  // Between looking and taking, the process may have put something else there.
  if (nameOf('self', fd) === name) return { fd, close: () => closeSync(fd) };
  closeSync(fd);
  return null;
}

/** Of what stands at a Unix socket's path, if it is that socket as far as can be told. */
function ownFile(address: SocketAddress, kernelName: string): string | null {
  const inode = inodeOf(kernelName);
  if (address.kind !== 'unix' || inode === null || !isOnlyListener(inode, address.path)) return null;
  return fileIdentity(address.path);
}
