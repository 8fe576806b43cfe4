/** Children that inherit sockets the way a service's instances do, and do as the test tells them. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect } from 'node:net';
import { createInterface } from 'node:readline';
import type { SocketSpec } from '../../src/core/service.ts';
import { withListenPid } from '../../src/host/listen-pid.ts';
import { withListenPreload } from '../../src/host/listen-preload.ts';
import { fixture } from './gsup.ts';

const CEILING_MS = 15_000;

export type Inheritance = {
  readonly file?: string;
  readonly args?: readonly string[];
  /** Descriptors of this process: 3 and up in the child. */
  readonly fds?: readonly number[];
  readonly env?: Readonly<Record<string, string>>;
};

/** A child that speaks in lines. */
export class Heir implements AsyncDisposable {
  readonly child: ChildProcess;
  readonly #lines: AsyncIterator<string>;
  stderr = '';

  constructor({ file = process.execPath, args = [fixture('evaluating.cjs')], fds = [], env = {} }: Inheritance) {
    const launch = withListenPid(file, args, {
      PATH: process.env['PATH'] ?? '',
      // Where a test's packages are, when they aren't in node_modules.
      ...(process.env['NODE_PATH'] === undefined ? {} : { NODE_PATH: process.env['NODE_PATH'] }),
      ...env,
      LISTEN_FDS: String(fds.length),
    });
    this.child = spawn(launch.file, launch.args, { env: launch.env, stdio: ['pipe', 'pipe', 'pipe', ...fds] });
    this.child.stdin?.on('error', () => {});
    this.child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.stderr += text;
    });
    if (this.child.stdout === null) throw new Error('it has no stdout');
    this.#lines = createInterface({ input: this.child.stdout })[Symbol.asyncIterator]();
  }

  get pid(): number {
    return this.child.pid ?? 0;
  }

  async line(): Promise<string> {
    const late = AbortSignal.timeout(CEILING_MS);
    const isLate = once(late, 'abort').then(() => ({ done: true, value: '' }));
    const { done, value } = await Promise.race([this.#lines.next(), isLate]);
    if (done) throw new Error(`waited in vain for a line of ${this.child.spawnargs.join(' ')}\n${this.stderr}`);
    return value;
  }

  /** What the body of an async function returns there. */
  async do(body: string): Promise<unknown> {
    this.child.stdin?.write(`${JSON.stringify(body)}\n`);
    const answer: { value?: unknown; error?: string } = JSON.parse(await this.line());
    if (answer.error !== undefined) throw new Error(answer.error);
    return answer.value;
  }

  async end(): Promise<void> {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return;
    const ended = once(this.child, 'exit');
    this.child.kill('SIGKILL');
    await ended;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.end();
  }
}

/** A Node script with the preload in front. */
export function nodeHeir(preload: string, specs: readonly SocketSpec[], inheritance: Inheritance): Heir {
  return new Heir({ ...inheritance, env: withListenPreload(inheritance.env ?? {}, preload, specs) });
}

/** All that a server says to one who connects, says `sent` and waits for the end. */
export async function ask(address: { port: number; host?: string } | { path: string }, sent = ''): Promise<string> {
  const socket = connect('port' in address ? { host: '127.0.0.1', ...address } : address);
  socket.setTimeout(CEILING_MS, () => socket.destroy(new Error('waited in vain for an answer')));
  let said = '';
  socket.setEncoding('utf8').on('data', (text: string) => {
    said += text;
  });
  if (sent !== '') socket.write(sent);
  await once(socket, 'end');
  socket.destroy();
  return said;
}

export function tcpSpec(port: number, host = '127.0.0.1', more: Partial<SocketSpec> = {}): SocketSpec {
  return { name: 'web', address: { kind: 'tcp', host, port }, backlog: 511, mode: null, ...more };
}

export function unixSpec(path: string, more: Partial<SocketSpec> = {}): SocketSpec {
  return { name: 'web', address: { kind: 'unix', path }, backlog: 511, mode: null, ...more };
}
