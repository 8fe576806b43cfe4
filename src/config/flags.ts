/** Options of the command line → one service; PM2's names for them mean the same. */
import { availableParallelism } from 'node:os';
import { resolve } from 'node:path';
import { formatAddress, overlaps, parseAddress } from '../core/address.ts';
import { parseDuration } from '../core/duration.ts';
import { usageError } from '../core/error.ts';
import { isServiceName, nearest } from '../core/name.ts';
import {
  DEFAULT_BACKLOG,
  DEFAULT_DEBOUNCE_MS,
  DEFAULT_LOGS,
  DEFAULT_READY_INTERVAL_MS,
  DEFAULT_READY_TIMEOUT_MS,
  DEFAULT_RESTART,
  DEFAULT_ROLLING,
  DEFAULT_STOP,
  type LogPolicy,
  type Program,
  type ReadyPolicy,
  type RestartPolicy,
  type ServiceSpec,
  type SocketSpec,
  type StopPolicy,
  type WatchPolicy,
} from '../core/service.ts';
import { parseSignal, SIGNAL_NAMES, type SignalName } from '../core/signal.ts';
import { parseSize } from '../core/size.ts';
import { parseCheck } from './check-spec.ts';
import { splitWords } from './words.ts';

/** The options as they were typed. */
export type ServiceFlags = {
  name?: string;
  instances?: string;
  grace?: string;
  stopSignal?: string;
  killMode?: string;
  restart?: string;
  cwd?: string;
  env?: readonly string[];
  envFile?: readonly string[];
  interpreter?: string;
  interpreterArgs?: string;
  nodeArgs?: string;
  ready?: string;
  readyTimeout?: string;
  socket?: readonly string[];
  user?: string;
  group?: string;
  killTimeout?: string;
  waitReady?: boolean;
  listenTimeout?: string;
  maxMemoryRestart?: string;
  maxRestarts?: string;
  logType?: string;
  restartDelay?: string;
  expBackoffRestartDelay?: string;
  autorestart?: boolean;
  stopExitCodes?: readonly string[];
  shutdownWithMessage?: boolean;
  treekill?: boolean;
  watch?: boolean | string;
  ignoreWatch?: string;
  cronRestart?: string;
};

export type FlagsContext = {
  readonly cwd: string;
  readonly defaultName: string;
  readonly defaultRestart: RestartPolicy['policy'];
};

/** PM2's cap of an exponential backoff. */
const PM2_BACKOFF_CAP_MS = 15_000;

/** @throws {GsupError} 2, naming the option, what was typed and what is expected. */
export function serviceFromFlags(flags: ServiceFlags, program: Program, context: FlagsContext): ServiceSpec {
  const name = flags.name ?? context.defaultName;
  if (!isServiceName(name)) {
    throw usageError(`--name "${name}" is no name of a service`, 'use letters, digits, _ . - and not "all"');
  }
  const cwd = resolve(context.cwd, flags.cwd ?? '.');
  const ready = readyOf(flags);
  const sockets = socketsOf(flags.socket ?? [], name, context.cwd);
  if (ready?.check.kind === 'fd' && ready.check.fd < 3 + sockets.length)
    throw usageError(`--ready fd:${ready.check.fd} is the descriptor of a socket`, `use fd:${3 + sockets.length}`);
  return {
    name,
    program: withInterpreter(program, flags),
    cwd,
    env: Object.fromEntries((flags.env ?? []).map(parseVariable)),
    envFiles: (flags.envFile ?? []).map((file) => resolve(context.cwd, file)),
    inheritEnv: flags.user === undefined ? true : null,
    instances: flags.instances === undefined ? 1 : parseInstances(flags.instances),
    dependsOn: {},
    ready,
    live: null,
    sockets,
    rolling: DEFAULT_ROLLING,
    restart: restartOf(flags, context.defaultRestart),
    stop: stopOf(flags),
    critical: false,
    memoryLimitBytes: memoryOf(flags.maxMemoryRestart),
    logs: logsOf(flags),
    watch: watchOf(flags, cwd),
    schedule: flags.cronRestart ?? null,
    user: flags.user ?? null,
    group: flags.group ?? null,
    umask: null,
    nice: null,
  };
}

function withInterpreter(program: Program, flags: ServiceFlags): Program {
  const typed = (['interpreter', 'interpreterArgs', 'nodeArgs'] as const).find((key) => flags[key] !== undefined);
  if (program.kind !== 'script') {
    if (typed === undefined) return program;
    const option = typed.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
    throw usageError(`--${option} goes with a script, not with a command`, 'write the interpreter into the command');
  }
  const args = [flags.interpreterArgs, flags.nodeArgs].filter((line) => line !== undefined).flatMap(wordsOf);
  return { ...program, interpreter: flags.interpreter ?? program.interpreter, interpreterArgs: args };
}

function wordsOf(line: string): readonly string[] {
  const split = splitWords(line);
  if (!split.ok) throw usageError(`the arguments "${line}" of the interpreter: ${split.problem}`);
  return split.words;
}

/** `[NAME=]ADDRESS`; without a name it has that of the service. */
function socketsOf(texts: readonly string[], service: string, cwd: string): readonly SocketSpec[] {
  const sockets = texts.map((text): SocketSpec => {
    const match = /^(?:([A-Za-z0-9_.-]{1,64})=)?(.+)$/s.exec(text);
    const parsed = parseAddress(match?.[2] ?? '');
    if (!parsed.ok) throw usageError(`--socket ${text}: the address ${parsed.problem}`);
    const { address } = parsed;
    const placed = address.kind === 'unix' ? { ...address, path: resolve(cwd, address.path) } : address;
    return { name: match?.[1] ?? service, address: placed, backlog: DEFAULT_BACKLOG, mode: null };
  });
  const names = sockets.map(({ name }) => name);
  const twice = names.find((name, index) => names.indexOf(name) !== index);
  if (twice !== undefined) throw usageError(`two sockets have the name ${twice}`, 'write --socket NAME=ADDRESS');
  const same = sockets.find(({ address }, index) =>
    sockets.slice(0, index).some((one) => overlaps(one.address, address)),
  );
  if (same !== undefined) throw usageError(`two sockets have the address ${formatAddress(same.address)}`);
  return sockets;
}

function parseVariable(text: string): [string, string] {
  const at = text.indexOf('=');
  if (at < 1) throw usageError(`--env "${text}" is no variable`, 'write NAME=value');
  return [text.slice(0, at), text.slice(at + 1)];
}

function parseInstances(text: string): number {
  const cores = availableParallelism();
  if (text === 'max' || text === '0') return cores;
  if (text === '-1') return Math.max(1, cores - 1);
  const count = Number(text);
  if (/^\d+$/.test(text) && count <= 1_000) return count;
  throw usageError(`--instances "${text}" is no number of instances`, 'expected 1 to 1000, or max');
}

function stopOf(flags: ServiceFlags): StopPolicy {
  const grace = first(flags, 'grace', 'killTimeout');
  return {
    ...DEFAULT_STOP,
    signal: flags.stopSignal === undefined ? null : parseStopSignal(flags.stopSignal),
    graceMs: grace === null ? DEFAULT_STOP.graceMs : duration(grace.option, grace.value),
    killMode:
      flags.killMode === undefined
        ? flags.treekill === false
          ? 'leader'
          : DEFAULT_STOP.killMode
        : oneOf('--kill-mode', flags.killMode, ['mixed', 'group', 'leader']),
    message: flags.shutdownWithMessage ?? false,
  };
}

function parseStopSignal(text: string): SignalName {
  const signal = parseSignal(text);
  if (signal !== null) return signal;
  const near = nearest(text.toUpperCase().startsWith('SIG') ? text : `SIG${text}`, SIGNAL_NAMES);
  throw usageError(
    `--stop-signal "${text}" is no signal`,
    near === null ? 'expected a name like SIGTERM, TERM or 15' : `did you mean ${near}?`,
  );
}

function readyOf(flags: ServiceFlags): ReadyPolicy | null {
  const timeout = first(flags, 'readyTimeout', 'listenTimeout');
  const timeoutMs = timeout === null ? DEFAULT_READY_TIMEOUT_MS : duration(timeout.option, timeout.value);
  const text = flags.ready ?? (flags.waitReady === true ? 'message' : undefined);
  if (text === undefined) {
    if (flags.readyTimeout !== undefined) throw usageError('--ready-timeout goes with --ready', 'say what to wait for');
    return null;
  }
  const parsed = parseCheck(text);
  if (!parsed.ok) throw usageError(`--ready: ${parsed.problem}`);
  return {
    check: parsed.check,
    initialDelayMs: 0,
    intervalMs: DEFAULT_READY_INTERVAL_MS,
    timeoutMs,
    successThreshold: 1,
  };
}

function restartOf(flags: ServiceFlags, policy: RestartPolicy['policy']): RestartPolicy {
  const delayMs = flags.restartDelay === undefined ? null : duration('--restart-delay', flags.restartDelay);
  const backoff = flags.expBackoffRestartDelay;
  const backoffMs = backoff === undefined ? null : duration('--exp-backoff-restart-delay', backoff);
  return {
    ...DEFAULT_RESTART,
    policy:
      flags.restart === undefined
        ? flags.autorestart === false
          ? 'never'
          : policy
        : oneOf('--restart', flags.restart, ['always', 'on-failure', 'never']),
    ...(delayMs === null ? {} : { minDelayMs: delayMs, maxDelayMs: delayMs }),
    ...(backoffMs === null ? {} : { minDelayMs: backoffMs, maxDelayMs: Math.max(backoffMs, PM2_BACKOFF_CAP_MS) }),
    ...(flags.maxRestarts === undefined ? {} : { limit: whole('--max-restarts', flags.maxRestarts) }),
    successExitCodes: [0, ...(flags.stopExitCodes ?? []).map((code) => whole('--stop-exit-codes', code))],
  };
}

function logsOf({ logType }: ServiceFlags): LogPolicy {
  return logType === undefined
    ? DEFAULT_LOGS
    : { ...DEFAULT_LOGS, format: oneOf('--log-type', logType, ['cri', 'raw', 'json']) };
}

/** PM2's lists are separated by spaces or commas. */
function watchOf({ watch, ignoreWatch }: ServiceFlags, cwd: string): WatchPolicy | null {
  if (watch === undefined || watch === false) return null;
  const listOf = (text: string) => text.split(/[\s,]+/).filter((word) => word !== '');
  const paths = watch === true ? [cwd] : listOf(watch).map((path) => resolve(cwd, path));
  return { paths, ignore: listOf(ignoreWatch ?? ''), debounceMs: DEFAULT_DEBOUNCE_MS };
}

function memoryOf(text: string | undefined): number | null {
  if (text === undefined) return null;
  const bytes = parseSize(text);
  if (bytes === null || bytes === 0)
    throw usageError(`--max-memory-restart "${text}" is no size`, 'expected 300MB or 64KiB');
  return bytes;
}

type DurationFlag = 'grace' | 'killTimeout' | 'readyTimeout' | 'listenTimeout';

function first(flags: ServiceFlags, own: DurationFlag, pm2: DurationFlag): { option: string; value: string } | null {
  const key = flags[own] === undefined ? pm2 : own;
  const value = flags[key];
  return value === undefined ? null : { option: `--${key.replace(/[A-Z]/g, (l) => `-${l.toLowerCase()}`)}`, value };
}

function duration(option: string, text: string): number {
  const ms = parseDuration(text);
  if (ms === null) throw usageError(`${option} "${text}" is no duration`, 'expected 500ms, 10s or 1m30s');
  return ms;
}

function whole(option: string, text: string): number {
  if (!/^\d{1,9}$/.test(text)) throw usageError(`${option} "${text}" is no whole number`);
  return Number(text);
}

function oneOf<const T extends string>(option: string, text: string, known: readonly T[]): T {
  const found = known.find((one) => one === text);
  if (found !== undefined) return found;
  const near = nearest(text, known);
  throw usageError(
    `${option} "${text}" is unknown`,
    near === null ? `expected ${known.join(', ')}` : `did you mean ${near}?`,
  );
}
