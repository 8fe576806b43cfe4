/** The one table of the control socket: method, path and reply of each call; what it takes stands in `inputs.ts`. Client and handlers are derived from it. */
import type { Occasion } from '../core/occasion.ts';
import type {
  EndOfPast,
  EnvironmentView,
  InstanceView,
  LogEntry,
  OperationLine,
  PingReply,
  ServiceView,
  SpareView,
  Told,
  WhyView,
} from './types.ts';

/** Changes when an older client or daemon could misread the other. */
export const PROTOCOL = 2;

/** `isStream`: the reply is NDJSON, one `Reply` a line, until it ends. */
type Route<Reply, IsStream extends boolean> = {
  readonly method: 'GET' | 'POST';
  /** `:name` stands for the input of that name. */
  readonly path: string;
  readonly isStream: IsStream;
  /** Only a type: never set. */
  readonly reply?: Reply;
};

export const ROUTES = {
  ping: call<PingReply>('GET', '/v1/ping'),
  list: call<readonly InstanceView[]>('GET', '/v1/instances'),
  show: call<ServiceView>('GET', '/v1/services/:name'),
  why: call<WhyView>('GET', '/v1/services/:name/why'),
  environment: call<EnvironmentView>('POST', '/v1/services/:name/environment'),
  /** With secrets in clear: for commands that start something themselves, never to be shown or served elsewhere. */
  spare: call<SpareView>('POST', '/v1/services/:name/spare'),
  start: stream<OperationLine>('POST', '/v1/start'),
  stop: stream<OperationLine>('POST', '/v1/stop'),
  restart: stream<OperationLine>('POST', '/v1/restart'),
  reload: stream<OperationLine>('POST', '/v1/reload'),
  delete: stream<OperationLine>('POST', '/v1/delete'),
  scale: stream<OperationLine>('POST', '/v1/scale'),
  signal: call<{ readonly signalled: number }>('POST', '/v1/signal'),
  apply: stream<OperationLine>('POST', '/v1/apply'),
  logs: stream<LogEntry | EndOfPast>('GET', '/v1/logs'),
  events: stream<Told>('GET', '/v1/events'),
  /** The last occasions, oldest first: shutdowns, reloads, starts, ends. */
  timeline: call<readonly Occasion[]>('GET', '/v1/timeline'),
  reopenLogs: call<{ readonly files: number }>('POST', '/v1/reopen-logs'),
  kill: stream<OperationLine>('POST', '/v1/kill'),
  /** The daemon ends and leaves everything running, for the next one to take up. */
  retire: call<{ readonly pid: number }>('POST', '/v1/retire'),
};

export type Routes = typeof ROUTES;
export type RouteName = keyof Routes;
export type ReplyOf<K extends RouteName> = Routes[K] extends Route<infer R, boolean> ? R : never;

function call<Reply>(method: 'GET' | 'POST', path: string): Route<Reply, false> {
  return { method, path, isStream: false };
}

function stream<Reply>(method: 'GET' | 'POST', path: string): Route<Reply, true> {
  return { method, path, isStream: true };
}
