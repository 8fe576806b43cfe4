/** What each call of the control socket takes: checked by the server; callers need only the types. */
import * as v from 'valibot';
import { OCCASION_KINDS } from '../core/occasion.ts';
import type { RouteName } from './routes.ts';
import { everyName, specSchema } from './spec-schema.ts';

const names = v.pipe(v.array(v.string()), v.minLength(1));
const environment = everyName(v.record(v.string(), v.string()));
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

const http = v.object({
  host: v.string(),
  port: v.number(),
  token: v.nullable(v.string()),
  hosts: v.array(v.string()),
});

export const INPUTS = {
  ping: nothing,
  list: v.object({ usage: flag, stops: flag }),
  show: v.object({ name: v.string() }),
  why: v.object({ name: v.string() }),
  environment: v.object({ name: v.string(), compareWith: v.optional(environment) }),
  spare: v.object({ name: v.string() }),
  start: v.object({ names, environment: v.optional(environment) }),
  stop: v.object({ names }),
  restart: v.object({ names, environment: v.optional(environment) }),
  reload: v.object({ names, environment: v.optional(environment) }),
  delete: v.object({ names }),
  scale: v.object({ name: v.string(), instances: v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(1000)) }),
  signal: v.object({ names, signal: v.string() }),
  apply: v.object({
    services: v.array(specSchema),
    environment,
    /** Services that are not named are removed. */
    isWhole: v.boolean(),
    isDryRun: v.boolean(),
    /** Read again at SIGHUP; absent: there is none. */
    file: v.optional(v.string()),
    shutdownTimeoutMs: v.optional(v.nullable(v.number())),
    /** Absent: it stays as it is. */
    http: v.optional(v.nullable(http)),
  }),
  logs: v.object({
    names: list,
    lines: number,
    since: number,
    until: number,
    /** A text that is looked for, whatever its case. */
    search: v.optional(v.string()),
    /** A line that says so stands between what was there and what comes. */
    marksEnd: flag,
    stderr: flag,
    follow: flag,
  }),
  events: v.object({ names: list, phases: list, lines: number, since: number, until: number, follow: flag }),
  timeline: v.object({
    names: list,
    last: v.optional(v.pipe(v.string(), v.transform(Number), v.integer(), v.minValue(1), v.maxValue(1000)), '3'),
    /** None: all. */
    kinds: v.pipe(list, v.array(v.picklist(OCCASION_KINDS))),
  }),
  reopenLogs: nothing,
  kill: nothing,
  retire: nothing,
} satisfies Readonly<Record<RouteName, v.GenericSchema>>;

type Inputs = typeof INPUTS;
export type InputOf<K extends RouteName> = v.InferOutput<Inputs[K]>;
/** What a caller writes. */
export type CallOf<K extends RouteName> = v.InferInput<Inputs[K]>;
