/** A small app in a process of its own: its script, what it prints, its signals, its end. */
import { type ChildProcess, spawn } from 'node:child_process';
import { resolve } from 'node:path';
import type { ShutdownReport } from '../../src/app/index.ts';
import { News } from './news.ts';

const ROOT = resolve(import.meta.dirname, '../..');

type Ended = { readonly code: number | null; readonly signal: NodeJS.Signals | null };

export class App implements AsyncDisposable {
  readonly child: ChildProcess;
  readonly ended: Promise<Ended>;
  readonly #stdout = new News<string>();
  readonly #stderr = new News<string>();

  /** `script`: an ES module that may import `gsup/app`. */
  constructor(script: string, { env = {}, ipc = false }: { env?: Record<string, string>; ipc?: boolean } = {}) {
    const { GSUP_LINK: _, GSUP_GRACE_MS: __, KUBERNETES_SERVICE_HOST: ___, ...own } = process.env;
    this.child = spawn(process.env['TEST_NODE'] ?? process.execPath, ['--input-type=module', '-e', script], {
      cwd: ROOT,
      env: { ...own, ...env },
      stdio: ['ignore', 'pipe', 'pipe', ...(ipc ? (['ipc'] as const) : [])],
    });
    this.child.stdout?.setEncoding('utf8').on('data', this.#stdout.tell);
    this.child.stderr?.setEncoding('utf8').on('data', this.#stderr.tell);
    this.ended = new Promise((end) => this.child.once('close', (code, signal) => end({ code, signal })));
  }

  get stdout(): string {
    return this.#stdout.all.join('');
  }

  get stderr(): string {
    return this.#stderr.all.join('');
  }

  get lines(): readonly string[] {
    return this.stdout.split('\n').filter((line) => line !== '');
  }

  /** Resolves when stdout holds this line. */
  async said(line: string): Promise<void> {
    await this.#stdout.until(() => this.lines.includes(line));
  }

  /** Its port, from a line `port N`. */
  async port(): Promise<number> {
    await this.#stdout.until(() => /^port \d+$/m.test(this.stdout));
    return Number(/^port (\d+)$/m.exec(this.stdout)?.[1]);
  }

  /** The report on its stderr. */
  get report(): ShutdownReport & { readonly msg: string } {
    const line = this.stderr.split('\n').find((one) => one.includes('"type":"report"'));
    if (line === undefined) throw new Error(`no report: ${this.stderr}`);
    return JSON.parse(line);
  }

  kill(signal: NodeJS.Signals): void {
    this.child.kill(signal);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.child.exitCode === null && this.child.signalCode === null) this.child.kill('SIGKILL');
    await this.ended;
  }
}
