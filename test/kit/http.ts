/** HTTP as gsup serves it, over an injected source: thousands of instances that nobody has to start. */
import { type IncomingHttpHeaders, request } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { LogEntry, OperationLine, Told } from '../../src/api/types.ts';
import { GsupError } from '../../src/core/error.ts';
import { instanceName, slotName } from '../../src/core/name.ts';
import { initialState, instancesOf, type SupervisorState } from '../../src/core/root-state.ts';
import type { HttpSpec, ServiceSpec } from '../../src/core/service.ts';
import { FRESH, type InstanceState } from '../../src/core/state.ts';
import { HttpServer } from '../../src/http/server.ts';
import type { HttpSource, LogQuery, Used, Verb } from '../../src/http/source.ts';
import { serviceSpec } from './spec.ts';

export type HttpAnswer = { readonly status: number; readonly headers: IncomingHttpHeaders; readonly body: string };
export type HttpCall = {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
};

/** One request, with whatever Host and Origin. */
export function ask(port: number, path: string, { method = 'GET', headers = {}, body }: HttpCall = {}) {
  return new Promise<HttpAnswer>((resolve, reject) => {
    const options = { host: '127.0.0.1', port, path, method, headers, agent: false, setHost: !('Host' in headers) };
    const call = request(options, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (part: string) => {
        text += part;
      });
      response.on('end', () => resolve({ status: response.statusCode ?? 0, headers: response.headers, body: text }));
      response.on('error', reject);
    });
    call.on('error', reject);
    call.end(body);
  });
}

export const TOKEN = 'a-token-of-the-tests';
const BEGAN = Date.now() - 3_600_000;

/** A state that tests set, and everything that was asked of it. */
export class FakeSource implements HttpSource {
  readonly version = '1.2.3';
  readonly place = '/home/me/.gsup';
  readonly mostConnections = 256;
  readonly startedAt = BEGAN;
  now = () => Date.now();
  readonly asked: { readonly verb: Verb; readonly names: readonly string[] }[] = [];
  readonly queries: LogQuery[] = [];
  readonly notices: string[] = [];
  lines: LogEntry[] = [];
  #state: SupervisorState;
  looks = 0;
  readonly #changes = new Set<() => void>();
  readonly #records = new Set<(record: Told) => void>();

  constructor(...specs: readonly ServiceSpec[]) {
    this.#state = initialState({ services: specs, shutdownTimeoutMs: null }, true);
    for (const { of } of instancesOf(this.#state)) this.#set(of.service, of.index, running(1000 + of.index));
  }

  state(): SupervisorState {
    return this.#state;
  }

  shown<T>(view: T): T {
    return view;
  }

  /** Another state of one instance, as the loop would tell it. */
  become(service: string, index: number, instance: InstanceState): void {
    this.#set(service, index, instance);
    this.change();
  }

  /** The shutdown of everything has been asked for. */
  shutDown(): void {
    const shutdown = { reason: 'SIGTERM', signal: null, startedAt: Date.now(), deadline: null };
    this.#state = { ...this.#state, shutdown: { ...shutdown, waves: [], wave: 0, isForced: false } };
    this.change();
  }

  change(): void {
    for (const callback of this.#changes) callback();
  }

  tell(record: Omit<Told, 'at'>): void {
    for (const callback of this.#records) callback({ ...record, at: Date.now() });
  }

  get listeners(): number {
    return this.#changes.size;
  }

  tokenOf: HttpSource['tokenOf'] = ({ service, index }) => `id-${service}-${index}`;
  statusOf: HttpSource['statusOf'] = () => null;

  async usage(): Promise<ReadonlyMap<string, Used>> {
    this.looks++;
    const used = { cpuPercent: 1.5, memoryBytes: 50_000_000, cpuMs: 1_234 };
    return new Map(instancesOf(this.#state).map(({ of }) => [slotName(of), used]));
  }

  logged(): ReturnType<HttpSource['logged']> {
    const names = instancesOf(this.state()).map(({ of }) => instanceName(of.service, of.index));
    return new Map(names.map((name) => [name, { bytes: 1_000, droppedBytes: 0 }]));
  }

  onChange(callback: () => void): () => void {
    this.#changes.add(callback);
    return () => this.#changes.delete(callback);
  }

  onRecord(callback: (record: Told) => void): () => void {
    this.#records.add(callback);
    return () => this.#records.delete(callback);
  }

  async *#entries(query: LogQuery, signal: AbortSignal): AsyncGenerator<LogEntry> {
    yield* this.lines.filter(({ line }) => line.includes(query.search ?? ''));
    if (query.isFollowed && !signal.aborted)
      await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
  }

  logs(query: LogQuery, signal: AbortSignal): AsyncIterable<LogEntry> {
    if (query.name === 'nobody') throw new GsupError('no service nobody', { exitStatus: 4 });
    this.queries.push(query);
    return this.#entries(query, signal);
  }

  async act(verb: Verb, names: readonly string[]): Promise<OperationLine> {
    this.asked.push({ verb, names });
    const outcome = { isOk: true, message: 'done', verdict: null, isTimeout: false, stderr: [] };
    const outcomes = names.map((name) => ({ ...outcome, instance: name as `${string}:${number}` }));
    return { type: 'result', exitStatus: 0, outcomes, error: null, hint: null };
  }

  notice(text: string): void {
    this.notices.push(text);
  }

  refusal(_host: string, _port: number, code: string): { readonly why: string } {
    return { why: code };
  }

  #set(service: string, index: number, instance: InstanceState): void {
    const was = this.#state.services[service];
    if (was === undefined) throw new Error(`no service ${service}`);
    const changed = { ...was, instances: was.instances.with(index, instance) };
    this.#state = { ...this.#state, services: { ...this.#state.services, [service]: changed } };
  }
}

export function running(pid: number): InstanceState {
  return { ...FRESH, name: 'running', run: 1, pid, startedAt: BEGAN, forwarded: [] };
}

/** A source served on a port of its own. */
export class Served implements AsyncDisposable {
  readonly source: FakeSource;
  readonly port: number;
  readonly #http: HttpServer;
  readonly #close: () => Promise<void>;

  private constructor(source: FakeSource, http: HttpServer, port: number, close: () => Promise<void>) {
    this.source = source;
    this.#http = http;
    this.port = port;
    this.#close = close;
  }

  static async begin(source: FakeSource, spec: Partial<HttpSpec> = {}): Promise<Served> {
    const whole = { host: '127.0.0.1', port: 0, token: null, hosts: [], ...spec };
    const http = new HttpServer({ source, spec: () => whole, pageFolder: `${process.cwd()}/dist/page` });
    const server = http.create();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const close = () =>
      new Promise<void>((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      });
    return new Served(source, http, (server.address() as AddressInfo).port, close);
  }

  ask(path: string, call: HttpCall = {}): Promise<HttpAnswer> {
    return ask(this.port, path, call);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#http.close();
    await this.#close();
  }
}

/** `count` instances in services of ten. */
export function manyServices(count: number): readonly ServiceSpec[] {
  return Array.from({ length: count / 10 }, (_, index) => serviceSpec({ name: `service-${index}`, instances: 10 }));
}
