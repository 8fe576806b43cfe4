/**
 * Makes a Node script listen on the sockets that gsup has bound for it: loaded before it, by NODE_OPTIONS. The first
 * listen() that means one of their addresses gets that socket; all else of Node stays as it is.
 */
import type { Server } from 'node:net';
import { resolve } from 'node:path';

/** As gsup writes it to GSUP_SOCKETS. */
type Inherited = {
  readonly fd: number;
  readonly host?: string;
  readonly port?: number;
  readonly path?: string;
  readonly backlog?: number;
};
type Wanted =
  | { readonly path: string }
  /** `host` is undefined when the caller names none. */
  | { readonly port: number; readonly host: string | undefined };
type Options = Readonly<Record<string, unknown>>;
type Listen = (this: Server, ...args: unknown[]) => Server;

/** Hosts that mean this machine, and leave open which of its addresses. */
const ANY_HOST: readonly unknown[] = [undefined, '', '::', '0.0.0.0', 'localhost'];

const inherited = takeFromEnvironment();
if (inherited.length > 0) wrapListen(inherited);

/** What is for this process; nobody after it, a child of its own least of all, is to see it. */
function takeFromEnvironment(): Inherited[] {
  const { GSUP_SOCKETS: sockets, NODE_OPTIONS: options, LISTEN_PID: pid } = process.env;
  // In a thread, say, where the options are the user's own.
  if (sockets === undefined) return [];
  delete process.env['GSUP_SOCKETS'];
  const own = /^--require=(?:"(?:[^"\\]|\\.)*listen\.cjs"|[^ "]*listen\.cjs)(?= |$)/.exec(options ?? '')?.[0];
  if (own === options) delete process.env['NODE_OPTIONS'];
  else if (own !== undefined) process.env['NODE_OPTIONS'] = options?.slice(own.length + 1);
  if (pid !== String(process.pid) || !isMainThread()) return [];
  return JSON.parse(sockets);
}

// Required where they are needed: to load them takes longer than all else here.
function isMainThread(): boolean {
  const threads: typeof import('node:worker_threads') = require('node:worker_threads');
  return threads.isMainThread;
}

function wrapListen(free: Inherited[]): void {
  const { Server }: typeof import('node:net') = require('node:net');
  const descriptor = Object.getOwnPropertyDescriptor(Server.prototype, 'listen');
  if (typeof descriptor?.value !== 'function') return;
  const original: Listen = descriptor.value;
  const listen: Listen = function (...args) {
    const wanted = wantedBy(args);
    const socket = wanted === null || this.listening ? undefined : choose(free, wanted);
    if (socket === undefined) return Reflect.apply(original, this, args);
    Reflect.apply(original, this, argumentsFor(socket, args));
    if (!this.listening) return this;
    // Node closes it together with the server: it is to be had once.
    free.splice(free.indexOf(socket), 1);
    // What server.address() tells of a Unix socket.
    if (socket.path !== undefined) Object.assign(this, { _pipeName: socket.path });
    return this;
  };
  for (const key of ['name', 'length'] as const) {
    Object.defineProperty(listen, key, { value: original[key], configurable: true });
  }
  Object.defineProperty(Server.prototype, 'listen', { ...descriptor, value: listen });
}

/** The forms of net.Server's listen() that name an address: (port, host?, …), (path, …), ({ port, host }), ({ path }). */
function wantedBy([first, second]: readonly unknown[]): Wanted | null {
  if (typeof first === 'object' && first !== null) {
    const { port, host, path, fd, handle, _handle } = first as Options;
    // A descriptor or a handle of the caller's own.
    if (typeof fd === 'number' || handle || _handle) return null;
    if (port !== undefined && port !== null) return { port: Number(port), host: nameOf(host) };
    return typeof path === 'string' ? { path: resolve(path) } : null;
  }
  // As Node tells a path from a port.
  if (typeof first === 'string' && !(Number(first) >= 0)) return { path: resolve(first) };
  return typeof first === 'number' || typeof first === 'string' ? { port: Number(first), host: nameOf(second) } : null;
}

function nameOf(host: unknown): string | undefined {
  return typeof host === 'string' ? host.toLowerCase() : undefined;
}

/** The one with that very address, else one that it may mean. */
function choose(free: readonly Inherited[], wanted: Wanted): Inherited | undefined {
  if ('path' in wanted) return free.find(({ path }) => path === wanted.path);
  const { port, host } = wanted;
  const ofPort = free.filter((socket) => socket.port === port);
  const isLocal = (socket: Inherited) => socket.host === '127.0.0.1' || socket.host === '::1';
  return (
    ofPort.find((socket) => socket.host === host) ??
    (host === 'localhost' ? ofPort.find(isLocal) : undefined) ??
    ofPort.find((socket) => ANY_HOST.includes(host) || socket.host === '::' || socket.host === '0.0.0.0')
  );
}

/** The same call for the descriptor: Node reads a backlog that goes with one from the second argument only. */
function argumentsFor({ fd, backlog }: Inherited, args: readonly unknown[]): unknown[] {
  const [first, second, third] = args;
  const options = typeof first === 'object' && first !== null ? (first as Options) : {};
  const kept = Object.fromEntries(
    ['exclusive', 'signal'].flatMap((key) => (key in options ? [[key, options[key]]] : [])),
  );
  const callback = args.at(-1);
  const its = [options['backlog'], second, third].find((value) => Number(value) > 0) ?? backlog;
  return [{ ...kept, fd }, ...(its === undefined ? [] : [its]), ...(typeof callback === 'function' ? [callback] : [])];
}
