/** The one table of the control socket: method, path, input and reply of each call. Client and handlers are derived from it. */
import * as v from 'valibot';
import { specSchema } from './spec-schema.ts';
import type { EnvironmentView, InstanceView, LogEntry, OperationLine, PingReply, ServiceView, Told } from './types.ts';

/** Changes when an older client or daemon could misread the other. */
export const PROTOCOL = 1;

/** `isStream`: the reply is NDJSON, one `Reply` a line, until it ends. */
type Route<Input extends v.GenericSchema, Reply, IsStream extends boolean> = {
  readonly method: 'GET' | 'POST';
  /** `:name` stands for the input of that name. */
  readonly path: string;
  readonly input: Input;
  readonly isStream: IsStream;
  /** Only a type: never set. */
  readonly reply?: Reply;
};

const names = v.pipe(v.array(v.string()), v.minLength(1));
const environment = v.record(v.string(), v.string());
const nothing = v.object({});
/** Of a query: every value comes as text. */
const list = v.optional(
  v.pipe(
    v.string(),
    v.transform((text) => text.split(',').filter(Boolean)),
  ),
  '',
);
const number = v.optional(v.pipe(v.string(), v.transform(Number), v.finite()));
const flag = v.optional(
  v.pipe(
    v.string(),
    v.transform((text) => text === 'true' || text === '1'),
  ),
  'false',
);

export const ROUTES = {
  ping: call<PingReply>()('GET', '/v1/ping', nothing),
  list: call<readonly InstanceView[]>()('GET', '/v1/instances', v.object({ usage: flag })),
  show: call<ServiceView>()('GET', '/v1/services/:name', v.object({ name: v.string() })),
  environment: call<EnvironmentView>()(
    'POST',
    '/v1/services/:name/environment',
    v.object({ name: v.string(), compareWith: v.optional(environment) }),
  ),
  start: stream<OperationLine>()('POST', '/v1/start', v.object({ names, environment: v.optional(environment) })),
  stop: stream<OperationLine>()('POST', '/v1/stop', v.object({ names })),
  restart: stream<OperationLine>()('POST', '/v1/restart', v.object({ names, environment: v.optional(environment) })),
  reload: stream<OperationLine>()('POST', '/v1/reload', v.object({ names, environment: v.optional(environment) })),
  delete: stream<OperationLine>()('POST', '/v1/delete', v.object({ names })),
  scale: stream<OperationLine>()(
    'POST',
    '/v1/scale',
    v.object({ name: v.string(), instances: v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(1000)) }),
  ),
  signal: call<{ readonly signalled: number }>()('POST', '/v1/signal', v.object({ names, signal: v.string() })),
  apply: stream<OperationLine>()(
    'POST',
    '/v1/apply',
    v.object({
      services: v.array(specSchema),
      environment,
      /** Services that are not named are removed. */
      isWhole: v.boolean(),
      isDryRun: v.boolean(),
      /** Read again at SIGHUP; absent: there is none. */
      file: v.optional(v.string()),
      shutdownTimeoutMs: v.optional(v.nullable(v.number())),
    }),
  ),
  logs: stream<LogEntry>()(
    'GET',
    '/v1/logs',
    v.object({
      names: list,
      lines: number,
      since: number,
      until: number,
      grep: v.optional(v.string()),
      stderr: flag,
      follow: flag,
    }),
  ),
  events: stream<Told>()('GET', '/v1/events', v.object({ names: list, lines: number, since: number, follow: flag })),
  reopenLogs: call<{ readonly files: number }>()('POST', '/v1/reopen-logs', nothing),
  kill: stream<OperationLine>()('POST', '/v1/kill', nothing),
  /** The daemon ends and leaves everything running, for the next one to take up. */
  retire: call<{ readonly pid: number }>()('POST', '/v1/retire', nothing),
};

export type Routes = typeof ROUTES;
export type RouteName = keyof Routes;
export type InputOf<K extends RouteName> = v.InferOutput<Routes[K]['input']>;
/** What a caller writes. */
export type CallOf<K extends RouteName> = v.InferInput<Routes[K]['input']>;
export type ReplyOf<K extends RouteName> = Routes[K] extends Route<v.GenericSchema, infer R, boolean> ? R : never;

function call<Reply>() {
  return <Input extends v.GenericSchema>(
    method: 'GET' | 'POST',
    path: string,
    input: Input,
  ): Route<Input, Reply, false> => ({
    method,
    path,
    input,
    isStream: false,
  });
}

function stream<Reply>() {
  return <Input extends v.GenericSchema>(
    method: 'GET' | 'POST',
    path: string,
    input: Input,
  ): Route<Input, Reply, true> => ({
    method,
    path,
    input,
    isStream: true,
  });
}
