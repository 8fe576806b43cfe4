/** Checked input and defaults → a ServiceSpec; what only shows when keys are taken together is a problem with its path. */
import { existsSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { resolve } from 'node:path';
import { parseAddress } from '../core/address.ts';
import {
  type Check,
  DEFAULT_BACKLOG,
  DEFAULT_DEBOUNCE_MS,
  DEFAULT_LIVE,
  DEFAULT_LOGS,
  DEFAULT_PRE_STOP_TIMEOUT_MS,
  DEFAULT_READY_INTERVAL_MS,
  DEFAULT_READY_TIMEOUT_MS,
  DEFAULT_RESTART,
  DEFAULT_ROLLING,
  DEFAULT_STOP,
  type DependencyCondition,
  type LiveCheck,
  type LivePolicy,
  type LogPolicy,
  type Program,
  type ReadyPolicy,
  type RestartPolicy,
  type RollingPolicy,
  type ServiceSpec,
  type SocketAddress,
  type SocketSpec,
  type StopPolicy,
  type WatchPolicy,
} from '../core/service.ts';
import { type ParsedCheck, parseHttp, parseLog, parseTcp } from './check-spec.ts';
import type { Path, Problem } from './problem.ts';
import type { ServiceInput } from './schema.ts';
import { splitWords } from './words.ts';

type Words = NonNullable<ServiceInput['command']>;
type Argv = readonly [string, ...string[]];

/** Takes problems as they are found; the result is used only when there were none. */
export type Resolving = { readonly folder: string; readonly problems: Problem[] };

/** `folder` is where relative paths begin. */
export function resolveService(name: string, input: ServiceInput, resolving: Resolving): ServiceSpec {
  const path: Path = ['services', name];
  const { folder } = resolving;
  checkDescriptors(input, path, resolving);
  return {
    name,
    program: programOf(input, path, resolving),
    cwd: resolve(folder, input.cwd ?? '.'),
    env: input.env ?? {},
    envFiles: envFilesOf(input, path, resolving),
    inheritEnv: input.inheritEnv ?? (input.user === undefined ? true : null),
    instances: input.instances === 'max' ? availableParallelism() : (input.instances ?? 1),
    dependsOn: dependenciesOf(input),
    ready: input.ready ? readyOf(input.ready, [...path, 'ready'], resolving) : null,
    live: input.live ? liveOf(input.live, [...path, 'live'], resolving) : null,
    sockets: socketsOf(input.sockets ?? {}, [...path, 'sockets'], resolving),
    rolling: rollingOf(input.rolling ?? {}),
    restart: restartOf(input.restart, [...path, 'restart'], resolving),
    stop: stopOf(input.stop ?? {}, [...path, 'stop'], resolving),
    critical: input.critical ?? false,
    memoryLimitBytes: input.limits?.memory ?? null,
    logs: logsOf(input.logs ?? {}),
    watch: watchOf(input, folder),
    schedule: input.schedule ?? null,
    user: input.user === undefined ? null : String(input.user),
    group: input.group === undefined ? null : String(input.group),
    umask: input.umask ?? null,
    nice: input.nice ?? null,
  };
}

/** `defaults` under a service: maps are merged key by key, a check of its own replaces that of the defaults. */
export function withDefaults(defaults: ServiceInput, input: ServiceInput): ServiceInput {
  const ready = namesCheck(input.ready) ? without(defaults.ready, CHECKS) : defaults.ready;
  const live = namesCheck(input.live) ? without(defaults.live, CHECKS) : defaults.live;
  const merged: ServiceInput = { ...withoutProgram(defaults, input), ...input };
  if (defaults.env || input.env) merged.env = { ...defaults.env, ...input.env };
  if (defaults.stop || input.stop) merged.stop = { ...defaults.stop, ...input.stop };
  if (ready || input.ready) merged.ready = { ...ready, ...input.ready };
  if (live || input.live) merged.live = { ...live, ...input.live };
  if (defaults.rolling || input.rolling) merged.rolling = { ...defaults.rolling, ...input.rolling };
  if (defaults.logs || input.logs) merged.logs = { ...defaults.logs, ...input.logs };
  if (defaults.limits || input.limits) merged.limits = { ...defaults.limits, ...input.limits };
  if (defaults.restart || input.restart) merged.restart = { ...asMap(defaults.restart), ...asMap(input.restart) };
  return merged;
}

const CHECKS = ['http', 'tcp', 'exec', 'log', 'message', 'notify', 'fd'] as const;
const LIVE_CHECKS = ['http', 'tcp', 'exec', 'notify'] as const;

function namesCheck(input: object | undefined): boolean {
  return input !== undefined && CHECKS.some((kind) => kind in input);
}

/** What a service runs takes the place of what the defaults run. */
function withoutProgram(defaults: ServiceInput, { command, script }: ServiceInput): ServiceInput {
  if (command !== undefined) return without(defaults, ['script', 'args', 'interpreter']) ?? {};
  return script === undefined ? defaults : (without(defaults, ['command', 'shell']) ?? {});
}

function without<T extends object>(map: T | undefined, keys: readonly string[]): T | undefined {
  return map && (Object.fromEntries(Object.entries(map).filter(([key]) => !keys.includes(key))) as T);
}

function programOf(input: ServiceInput, path: Path, resolving: Resolving): Program {
  const { command, script, shell } = input;
  const nothing: Program = { kind: 'command', argv: ['true'] };
  const problem = (message: string, key?: string): Program => {
    resolving.problems.push({ path: key === undefined ? path : [...path, key], at: 'key', message });
    return nothing;
  };
  const name = path.at(-1);
  if (command === undefined && script === undefined)
    return problem(`services.${name} has nothing to run; give it a command or a script`);
  if (command !== undefined && script !== undefined)
    return problem(`services.${name} has both command and script; one is enough`, 'script');
  if (script !== undefined) {
    if (shell === true) return problem('"shell" goes with a command line, not with a script', 'shell');
    const interpreter =
      input.interpreter === undefined ? [] : argv(input.interpreter, [...path, 'interpreter'], resolving);
    const args = input.args === undefined ? [] : argv(input.args, [...path, 'args'], resolving);
    const [first = null, ...interpreterArgs] = interpreter;
    return { kind: 'script', script: resolve(resolving.folder, script), args, interpreter: first, interpreterArgs };
  }
  for (const key of ['args', 'interpreter'] as const) {
    if (input[key] !== undefined)
      problem(`"${key}" goes with a script, not with a command; write it into the command`, key);
  }
  if (shell !== true) return { kind: 'command', argv: argv(command ?? '', [...path, 'command'], resolving) };
  if (typeof command !== 'string')
    return problem('"shell: true" goes with a command line, not with a list of words', 'shell');
  return { kind: 'shell', line: command };
}

function argv(words: Words, path: Path, { problems }: Resolving): Argv {
  if (typeof words !== 'string') return words as unknown as Argv;
  const split = splitWords(words);
  const [first, ...rest] = split.ok ? split.words : [];
  if (first !== undefined) return [first, ...rest];
  const why = split.ok ? 'is empty' : split.problem;
  const hint = why.startsWith('needs a shell') ? '; quote it, or add "shell: true"' : '';
  problems.push({ path, at: 'value', message: `the command line ${why}${hint}` });
  return ['true'];
}

function envFilesOf(input: ServiceInput, path: Path, { folder, problems }: Resolving): readonly string[] {
  const names = typeof input.envFile === 'string' ? [input.envFile] : (input.envFile ?? []);
  return names.map((name) => {
    const file = resolve(folder, name);
    if (!existsSync(file))
      problems.push({ path: [...path, 'envFile'], at: 'value', message: `the env file ${name} does not exist` });
    return file;
  });
}

function dependenciesOf({ dependsOn }: ServiceInput): Readonly<Record<string, DependencyCondition>> {
  if (!Array.isArray(dependsOn)) return dependsOn ?? {};
  return Object.fromEntries(dependsOn.map((name): [string, DependencyCondition] => [name, 'ready']));
}

function readyOf(input: NonNullable<ServiceInput['ready']>, path: Path, resolving: Resolving): ReadyPolicy | null {
  const check = checkOf(input, CHECKS, path, resolving);
  checkLengths(input, path, resolving);
  if (check === null) return null;
  return {
    check,
    initialDelayMs: input.initialDelay ?? 0,
    successThreshold: input.successThreshold ?? 1,
    intervalMs: input.interval ?? DEFAULT_READY_INTERVAL_MS,
    timeoutMs: input.timeout ?? DEFAULT_READY_TIMEOUT_MS,
  };
}

/** Sockets have the descriptors from 3 on. */
function checkDescriptors({ sockets, ready }: ServiceInput, path: Path, { problems }: Resolving): void {
  const count = Object.keys(sockets ?? {}).length;
  const fd = ready?.fd;
  if (fd === undefined || fd >= 3 + count) return;
  const its = count === 1 ? '3 is that of its socket' : `3 to ${2 + count} are those of its sockets`;
  problems.push({ path: [...path, 'ready', 'fd'], at: 'value', message: `${its}; use fd: ${3 + count}` });
}

function liveOf(input: NonNullable<ServiceInput['live']>, path: Path, resolving: Resolving): LivePolicy | null {
  const check = checkOf(input, LIVE_CHECKS, path, resolving);
  checkLengths(input, path, resolving);
  if (check === null || !isLiveCheck(check)) return null;
  return {
    check,
    initialDelayMs: input.initialDelay ?? DEFAULT_LIVE.initialDelayMs,
    intervalMs: input.interval ?? DEFAULT_LIVE.intervalMs,
    timeoutMs: input.timeout ?? DEFAULT_LIVE.timeoutMs,
    failureThreshold: input.failureThreshold ?? DEFAULT_LIVE.failureThreshold,
  };
}

/** Asked without a pause a check would take a whole processor, and with no time it can only fail. */
function checkLengths(
  { interval, timeout }: { readonly interval?: number | undefined; readonly timeout?: number | undefined },
  path: Path,
  { problems }: Resolving,
): void {
  for (const [key, length] of Object.entries({ interval, timeout })) {
    if (length === undefined || length >= SHORTEST_MS) continue;
    const message = `${path.at(-1)}.${key} is too short; at least ${SHORTEST_MS}ms`;
    problems.push({ path: [...path, key], at: 'value', message });
  }
}

function isLiveCheck(check: Check): check is LiveCheck {
  return LIVE_CHECKS.some((kind) => kind === check.kind);
}

/** The one check that a map names. */
function checkOf(
  input: CheckInput,
  known: readonly (keyof CheckInput)[],
  path: Path,
  resolving: Resolving,
): Check | null {
  const kinds = known.filter((kind) => input[kind] !== undefined && input[kind] !== false);
  const [kind] = kinds;
  const key = String(path.at(-1));
  if (kind === undefined || kinds.length > 1) {
    const message =
      kind === undefined
        ? `${key} needs one of ${known.join(', ')}`
        : `${key} has ${kinds.join(' and ')}; exactly one is allowed`;
    resolving.problems.push({ path, at: 'key', message });
    return null;
  }
  const parsed = parseOne(kind, input, path, resolving);
  if (parsed.ok) return parsed.check;
  resolving.problems.push({ path: [...path, kind], at: 'value', message: parsed.problem });
  return null;
}

const SHORTEST_MS = 10;
/** unix(7): sun_path has 108 bytes, the last one a NUL. */
const LONGEST_PATH = 107;

type CheckInput = Pick<NonNullable<ServiceInput['ready']>, (typeof CHECKS)[number]>;

function parseOne(kind: Check['kind'], input: CheckInput, path: Path, resolving: Resolving): ParsedCheck {
  switch (kind) {
    case 'http':
      return parseHttp(input.http ?? '');
    case 'tcp':
      return parseTcp(typeof input.tcp === 'number' ? `:${input.tcp}` : (input.tcp ?? ''));
    case 'log':
      return parseLog(input.log ?? '');
    case 'exec':
      return { ok: true, check: { kind, argv: argv(input.exec ?? '', [...path, 'exec'], resolving) } };
    case 'message':
    case 'notify':
      return { ok: true, check: { kind } };
    case 'fd':
      return { ok: true, check: { kind, fd: input.fd ?? 3 } };
  }
}

function socketsOf(
  input: NonNullable<ServiceInput['sockets']>,
  path: Path,
  { folder, problems }: Resolving,
): readonly SocketSpec[] {
  return Object.entries(input).flatMap(([name, value]) => {
    const map = typeof value === 'object' ? value : { address: value };
    const parsed = parseAddress(map.address);
    if (!parsed.ok) {
      problems.push({
        path: [...path, name],
        at: 'value',
        message: `the address of the socket ${name} ${parsed.problem}`,
      });
      return [];
    }
    const { address } = parsed;
    const placed = address.kind === 'unix' ? { ...address, path: resolve(folder, address.path) } : address;
    const problem = socketProblem(placed, map.mode);
    if (problem !== null)
      problems.push({ path: [...path, name], at: 'value', message: `the socket ${name}: ${problem}` });
    return [{ name, address: placed, backlog: map.backlog ?? DEFAULT_BACKLOG, mode: map.mode ?? null }];
  });
}

function socketProblem(address: SocketAddress, mode: number | undefined): string | null {
  if (address.kind === 'tcp') return mode === undefined ? null : 'only a Unix socket has a mode';
  return Buffer.byteLength(address.path) > LONGEST_PATH ? `its path is longer than ${LONGEST_PATH} bytes` : null;
}

function rollingOf({ maxSurge, maxUnavailable, minReady }: NonNullable<ServiceInput['rolling']>): RollingPolicy {
  return {
    maxSurge: maxSurge ?? DEFAULT_ROLLING.maxSurge,
    maxUnavailable: maxUnavailable ?? DEFAULT_ROLLING.maxUnavailable,
    minReadyMs: minReady ?? DEFAULT_ROLLING.minReadyMs,
  };
}

function restartOf(input: ServiceInput['restart'], path: Path, { problems }: Resolving): RestartPolicy {
  const { policy, minDelay, maxDelay, limit, window, successExitCodes } = asMap(input);
  const restart: RestartPolicy = {
    policy: policy ?? DEFAULT_RESTART.policy,
    minDelayMs: minDelay ?? Math.min(DEFAULT_RESTART.minDelayMs, maxDelay ?? DEFAULT_RESTART.minDelayMs),
    maxDelayMs: maxDelay ?? Math.max(DEFAULT_RESTART.maxDelayMs, minDelay ?? 0),
    limit: limit ?? DEFAULT_RESTART.limit,
    windowMs: window ?? DEFAULT_RESTART.windowMs,
    successExitCodes: successExitCodes ?? DEFAULT_RESTART.successExitCodes,
  };
  if (restart.minDelayMs > restart.maxDelayMs) {
    problems.push({
      path: [...path, 'minDelay'],
      at: 'value',
      message: 'restart.minDelay is longer than restart.maxDelay',
    });
  }
  return restart;
}

function logsOf(input: NonNullable<ServiceInput['logs']>): LogPolicy {
  return {
    format: input.format ?? DEFAULT_LOGS.format,
    maxSizeBytes: input.maxSize ?? DEFAULT_LOGS.maxSizeBytes,
    maxFiles: input.maxFiles ?? DEFAULT_LOGS.maxFiles,
    maxAgeMs: input.maxAge ?? DEFAULT_LOGS.maxAgeMs,
    compress: input.compress ?? DEFAULT_LOGS.compress,
  };
}

function watchOf({ watch, cwd }: ServiceInput, folder: string): WatchPolicy | null {
  if (watch === undefined || watch === false) return null;
  const { paths = [], ignore = [], debounce = DEFAULT_DEBOUNCE_MS } = watch === true ? {} : watch;
  const own = resolve(folder, cwd ?? '.');
  return {
    paths: paths.length === 0 ? [own] : listOf(paths).map((path) => resolve(folder, path)),
    ignore: listOf(ignore),
    debounceMs: debounce,
  };
}

function listOf(texts: string | readonly string[]): readonly string[] {
  return typeof texts === 'string' ? [texts] : texts;
}

function asMap(restart: ServiceInput['restart']): Exclude<NonNullable<ServiceInput['restart']>, string> {
  return typeof restart === 'string' ? { policy: restart } : (restart ?? {});
}

function stopOf(input: NonNullable<ServiceInput['stop']>, path: Path, resolving: Resolving): StopPolicy {
  const { preStop } = input;
  return {
    signal: input.signal ?? DEFAULT_STOP.signal,
    graceMs: input.grace ?? DEFAULT_STOP.graceMs,
    killMode: input.killMode ?? DEFAULT_STOP.killMode,
    drainDelayMs: input.drainDelay ?? DEFAULT_STOP.drainDelayMs,
    preStop: preStop
      ? {
          argv: argv(preStop.exec, [...path, 'preStop', 'exec'], resolving),
          timeoutMs: preStop.timeout ?? DEFAULT_PRE_STOP_TIMEOUT_MS,
        }
      : null,
    message: input.message ?? DEFAULT_STOP.message,
  };
}
