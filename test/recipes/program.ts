/** A recipe of docs/recipes.md: its program runs, alone or under gsup, and tells its story. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer, type Server, type ServerResponse } from 'node:http';
import { join, resolve } from 'node:path';
import { transformSync } from 'esbuild';
import { expect } from 'vitest';
import type { Phase, ShutdownReport } from '../../src/app/index.ts';
import { portOf } from '../kit/client.ts';
import { fixture, Gsup } from '../kit/gsup.ts';
import { News } from '../kit/news.ts';
import { shownReport } from './page.ts';

const ROOT = resolve(import.meta.dirname, '../..');

/** How each recipe is run. */
export const WAYS = ['alone', 'under gsup run'] as const;
export type Way = (typeof WAYS)[number];

/** The whole shutdown in a story. */
export const PHASES: readonly Phase[] = ['draining', 'closing-servers', 'waiting', 'persisting', 'closing', 'flushing'];

export class Program implements AsyncDisposable {
  readonly #name: string;
  readonly #process: Alone | Gsup;

  /** `name`: a file of fixtures/recipes. It listens on a port of its own. */
  constructor(name: string, way: Way, given: Readonly<Record<string, string>> = {}) {
    this.#name = name;
    const args = commandOf(fixture(join('recipes', name)));
    const env = { PORT: '0', HEALTH_PORT: '0', ...given };
    const options = ['--log-format', 'json', '--name', 'app', '--ready', 'message', '--', process.execPath, ...args];
    this.#process = way === 'alone' ? new Alone(args, env) : new Gsup(['run', ...options], { env });
  }

  async port(): Promise<number> {
    return Number((await this.said(/^port (\d+)/m))[1]);
  }

  async said(pattern: RegExp): Promise<RegExpExecArray> {
    await this.#process.said(pattern);
    const found = pattern.exec(this.#process.output);
    if (found === null) throw new Error(`not said: ${pattern}`);
    return found;
  }

  /** SIGTERM to the program, or to gsup, that hands it on; not before gsup knows that it is ready. */
  async stop(): Promise<void> {
    if (this.#process instanceof Gsup) await this.#process.record('ready');
    this.#process.kill('SIGTERM');
  }

  /** Resolves when it is in this phase. */
  async entered(phase: Phase): Promise<void> {
    await this.said(new RegExp(`"phase":"${phase}"`));
  }

  /** Its lines, the log of its shutdown by phases: `port`, `[draining]`, …, `[report]`. */
  story(output = this.#process.output): readonly string[] {
    return output
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => {
        if (!line.startsWith('{')) return line.replace(/^port .*/, 'port');
        const { type, phase, msg } = JSON.parse(line);
        return type === 'report' ? '[report]' : phase === undefined ? String(msg) : `[${phase}]`;
      });
  }

  /** Its end, clean, with the report as docs/recipes.md shows it; `output`: where that was logged instead of stdout. */
  async ended(output: () => string = () => this.#process.output): Promise<ShutdownReport> {
    expect(await this.#process.status(), this.#process.output + this.#process.stderr).toBe(0);
    const line = output()
      .split('\n')
      .find((one) => one.includes('"type":"report"'));
    const [, port] = /^port (\d+)/m.exec(this.#process.output) ?? [];
    const report: ShutdownReport = JSON.parse(line?.replaceAll(`:${port}"`, ':3000"') ?? '{}');
    expect(report).toMatchObject({ exitCode: 0, undone: [], errors: [] });
    expect(report.phases.map(({ phase, outcome }) => [phase, outcome])).toEqual(PHASES.map((phase) => [phase, 'done']));
    expect(report).toMatchObject(shownReport(this.#name));
    this.#checkSupervisor();
    return report;
  }

  /** What gsup has seen of it; of a program alone, that it said nothing on stderr. */
  #checkSupervisor(): void {
    if (this.#process instanceof Alone) {
      expect(this.#process.stderr).toBe('');
      return;
    }
    const { records } = this.#process;
    const told = records.flatMap((record) => ('appPhase' in record ? [String(record.appPhase)] : []));
    expect([...new Set(told)]).toEqual([...PHASES, 'report']);
    expect(records.find((record) => 'appPhase' in record && record.appPhase === 'report')).toMatchObject({
      pending: { exitCode: 0, undone: [] },
    });
    expect(records.find(({ phase }) => phase === 'stopped')).toMatchObject({ verdict: 'clean', exitCode: 0 });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#process[Symbol.asyncDispose]();
  }
}

/** What Node is called with; TypeScript it gets without the types. */
function commandOf(file: string): readonly string[] {
  if (!file.endsWith('.ts')) return [file];
  const { code } = transformSync(readFileSync(file, 'utf8'), { loader: 'ts' });
  return ['--input-type=module', '-e', code];
}

/** A program without gsup around it. */
class Alone implements AsyncDisposable {
  readonly #child: ChildProcess;
  readonly #stdout = new News<string>();
  readonly #stderr = new News<string>();
  readonly #ended = new News<number | null>();

  constructor(args: readonly string[], given: Readonly<Record<string, string>>) {
    const { GSUP_LINK: _, GSUP_GRACE_MS: __, KUBERNETES_SERVICE_HOST: ___, ...own } = process.env;
    const env = { ...own, ...given };
    this.#child = spawn(process.env['TEST_NODE'] ?? process.execPath, args, {
      cwd: ROOT,
      env,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.#child.stdout?.setEncoding('utf8').on('data', this.#stdout.tell);
    this.#child.stderr?.setEncoding('utf8').on('data', this.#stderr.tell);
    this.#child.once('close', this.#ended.tell);
  }

  get output(): string {
    return this.#stdout.all.join('');
  }

  get stderr(): string {
    return this.#stderr.all.join('');
  }

  async said(pattern: RegExp): Promise<void> {
    await this.#stdout.until(() => pattern.test(this.output));
  }

  kill(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  async status(): Promise<number | null> {
    return (await this.#ended.until((all) => all.length > 0))[0] ?? null;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) this.#child.kill('SIGKILL');
    await this.status();
  }
}

/** What the programs ask for their work: it answers when the test says so. */
export class Backend implements AsyncDisposable {
  readonly #server: Server;
  readonly #asked = new News<{ readonly path: string; readonly response: ServerResponse }>();

  private constructor() {
    this.#server = createServer(({ url = '' }, response) => this.#asked.tell({ path: url, response }));
  }

  static async open(): Promise<Backend> {
    const backend = new Backend();
    backend.#server.listen(0, '127.0.0.1');
    await once(backend.#server, 'listening');
    return backend;
  }

  /** As the programs find it. */
  get env(): { readonly BACKEND: string } {
    return { BACKEND: `http://127.0.0.1:${portOf(this.#server)}` };
  }

  /** Everything that was asked for, in order. */
  get paths(): readonly string[] {
    return this.#asked.all.map(({ path }) => path);
  }

  /** Resolves when it was asked for this so many times. */
  async asked(path: string, times = 1): Promise<void> {
    await this.#asked.until(() => this.paths.filter((one) => one === path).length >= times);
  }

  async answer(path: string, text: string): Promise<void> {
    await this.asked(path);
    this.#asked.all.find((one) => one.path === path && !one.response.writableEnded)?.response.end(text);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    this.#server.close();
    await once(this.#server, 'close');
  }
}
