/** The schema of a ServiceSpec as it comes over the control socket: full, nothing has a default. */
import * as v from 'valibot';
import { isServiceName } from '../core/name.ts';
import { withHiddenNames, withShownNames } from '../core/own-names.ts';
import type { ServiceSpec } from '../core/service.ts';
import { parseSignal, type SignalName } from '../core/signal.ts';

const ms = v.pipe(v.number(), v.finite(), v.minValue(0), v.maxValue(2_147_483_647));
const argv = v.pipe(
  v.array(v.string()),
  v.check((words) => words.length > 0, 'expected at least one word'),
  v.transform((words): readonly [string, ...string[]] => [words[0] ?? '', ...words.slice(1)]),
);
const signal = v.pipe(
  v.string(),
  v.check((text) => parseSignal(text) === text, 'expected a signal like SIGTERM'),
  v.transform((text) => text as SignalName),
);

const program = v.variant('kind', [
  v.object({ kind: v.literal('command'), argv }),
  v.object({ kind: v.literal('shell'), line: v.string() }),
  v.object({
    kind: v.literal('script'),
    script: v.string(),
    args: v.array(v.string()),
    interpreter: v.nullable(v.string()),
    interpreterArgs: v.array(v.string()),
  }),
]);

const check = v.variant('kind', [
  v.object({ kind: v.literal('http'), url: v.string() }),
  v.object({ kind: v.literal('tcp'), host: v.string(), port: v.number() }),
  v.object({ kind: v.literal('exec'), argv }),
  v.object({
    kind: v.literal('log'),
    pattern: v.pipe(v.string(), v.check(isPattern, 'expected a regular expression')),
  }),
  v.object({ kind: v.literal('message') }),
  v.object({ kind: v.literal('notify') }),
  v.object({ kind: v.literal('fd'), fd: v.pipe(v.number(), v.integer(), v.minValue(3), v.maxValue(255)) }),
]);
const count = v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(65_535));

const address = v.variant('kind', [
  v.object({ kind: v.literal('tcp'), host: v.string(), port: v.pipe(count, v.minValue(1)) }),
  v.object({ kind: v.literal('unix'), path: v.pipe(v.string(), v.startsWith('/')) }),
]);

/** valibot leaves some names out of a map without a word: here they are names as any other. */
export function everyName<T>(map: v.GenericSchema<Record<string, T>>) {
  return v.pipe(v.unknown(), v.transform(withHiddenNames), map, v.transform(withShownNames<Record<string, T>>));
}

export const specSchema: v.GenericSchema<ServiceSpec, ServiceSpec> = v.object({
  name: v.pipe(v.string(), v.check(isServiceName, 'expected the name of a service')),
  program,
  cwd: v.string(),
  env: everyName(v.record(v.string(), v.string())),
  envFiles: v.array(v.string()),
  inheritEnv: v.nullable(v.boolean()),
  instances: v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(1000)),
  dependsOn: everyName(v.record(v.string(), v.picklist(['started', 'ready', 'completed']))),
  ready: v.nullable(v.object({ check, initialDelayMs: ms, intervalMs: ms, timeoutMs: ms, successThreshold: count })),
  live: v.nullable(v.object({ check, initialDelayMs: ms, intervalMs: ms, timeoutMs: ms, failureThreshold: count })),
  sockets: v.array(
    v.object({
      name: v.pipe(v.string(), v.regex(/^[A-Za-z0-9_.-]+$/)),
      address,
      backlog: count,
      mode: v.nullable(count),
    }),
  ),
  rolling: v.object({ maxSurge: count, maxUnavailable: count, minReadyMs: ms }),
  restart: v.object({
    policy: v.picklist(['always', 'on-failure', 'never']),
    minDelayMs: ms,
    maxDelayMs: ms,
    limit: v.number(),
    windowMs: ms,
    successExitCodes: v.array(v.number()),
  }),
  stop: v.object({
    signal: v.nullable(signal),
    graceMs: ms,
    killMode: v.picklist(['mixed', 'group', 'leader']),
    drainDelayMs: ms,
    preStop: v.nullable(v.object({ argv, timeoutMs: ms })),
    message: v.boolean(),
  }),
  critical: v.boolean(),
  memoryLimitBytes: v.nullable(v.number()),
  watch: v.nullable(v.object({ paths: v.array(v.string()), ignore: v.array(v.string()), debounceMs: v.number() })),
  schedule: v.nullable(v.string()),
  logs: v.object({
    format: v.picklist(['cri', 'raw', 'json']),
    maxSizeBytes: v.number(),
    maxFiles: v.pipe(v.number(), v.minValue(1)),
    maxAgeMs: v.nullable(ms),
    compress: v.boolean(),
  }),
  user: v.nullable(v.string()),
  group: v.nullable(v.string()),
  umask: v.nullable(v.number()),
  nice: v.nullable(v.number()),
}) as unknown as v.GenericSchema<ServiceSpec, ServiceSpec>;

function isPattern(text: string): boolean {
  try {
    new RegExp(text);
    return true;
  } catch {
    return false;
  }
}
