/** `gsup show` and `gsup env`: one service as people read it; pure. */
import type { EnvironmentView, ServiceView } from '../api/types.ts';
import { formatAddress } from '../core/address.ts';
import { stopNeedMs } from '../core/budget.ts';
import { formatDuration } from '../core/duration.ts';
import { plainLine } from '../core/plain-text.ts';
import { describeExit } from '../core/record.ts';
import type { Check, Program, ServiceSpec } from '../core/service.ts';
import { formatSize } from '../core/size.ts';
import type { StopTimes } from '../core/stop-times.ts';
import { paint } from './colour.ts';
import { stateColour, statePhrase } from './state.ts';

export type ViewOptions = { readonly now: number; readonly width: number; readonly colour: boolean };

/** Facts as `name  value` lines, then its instances. */
export function showText(view: ServiceView, { now, colour }: ViewOptions): string {
  const rows = factsOf(view);
  const width = Math.max(...rows.map(([name]) => name.length));
  const facts = rows.map(([name, value]) => `${paint(name.padEnd(width), 'dim', colour)}  ${plainLine(value)}`);
  const instances = view.instances.flatMap((one) => {
    const { lastExit, pid } = one;
    const exit =
      lastExit === null
        ? []
        : [`    last exit: ${describeExit(lastExit)}, by ${lastExit.by}, ${formatDuration(now - lastExit.at)} ago`];
    const used = one.memoryBytes === null ? '' : `, ${one.cpuPercent}% CPU, ${formatSize(one.memoryBytes)}`;
    const state = paint(plainLine(statePhrase(one, now)), stateColour(one), colour);
    const restarts = one.restarts === 0 ? '' : `, ${one.restarts} ${one.restarts === 1 ? 'restart' : 'restarts'}`;
    const status = one.status === null ? [] : [`    says: ${plainLine(one.status)}`];
    return [`  ${one.instance}  ${state}${pid === null ? '' : `, pid ${pid}`}${used}${restarts}`, ...status, ...exit];
  });
  return [paint(view.service, 'bold', colour), ...facts, ...instances].join('\n');
}

/** `NAME=value` lines, or with a diff `- NAME=old` and `+ NAME=new`. */
export function environmentText({ environment, diff }: EnvironmentView, colour: boolean): string {
  if (diff === null)
    return Object.entries(environment)
      .map(([name, value]) => `${name}=${value}`)
      .join('\n');
  return diff
    .flatMap(({ name, from, to }) => [
      ...(from === null ? [] : [paint(`- ${name}=${from}`, 'red', colour)]),
      ...(to === null ? [] : [paint(`+ ${name}=${to}`, 'green', colour)]),
    ])
    .join('\n');
}

function factsOf({
  spec,
  stops,
  dependents,
  logFiles,
  logFormat,
}: ServiceView): readonly (readonly [string, string])[] {
  const { stop, restart, ready } = spec;
  const hook = stop.preStop === null ? [] : [`pre-stop ${stop.preStop.argv.join(' ')}`];
  const delay = stop.drainDelayMs === 0 ? [] : [`drain delay ${formatDuration(stop.drainDelayMs)}`];
  const signal = stop.message ? "message 'shutdown'" : (stop.signal ?? 'SIGTERM');
  const stopping = [signal, `grace ${formatDuration(stop.graceMs)}`, stop.killMode, ...delay, ...hook];
  const needs = Object.entries(spec.dependsOn).map(([name, condition]) => `${name} (${condition})`);
  return [
    ['command', commandOf(spec.program)],
    ['folder', spec.cwd],
    ['ready', ready === null ? 'when it runs' : `${checkOf(ready.check)}, within ${formatDuration(ready.timeoutMs)}`],
    [
      'restart',
      restart.policy === 'never'
        ? 'never'
        : `${restart.policy}, limit ${restart.limit} in ${formatDuration(restart.windowMs)}`,
    ],
    ['stop', `${stopping.join(', ')}; ${formatDuration(stopNeedMs(stop))} at most`],
    ...optional('stops', stops === null ? '' : stopTimesWords(stops)),
    ...optional('live', liveOf(spec)),
    ...optional('sockets', spec.sockets.map(({ name, address }) => `${name} ${formatAddress(address)}`).join(', ')),
    ['rolling', rollingOf(spec)],
    ...optional('after', needs.join(', ')),
    ...optional('before', dependents.join(', ')),
    ...optional('user', spec.user ?? ''),
    ...optional('group', spec.group ?? ''),
    ...optional('memory', spec.memoryLimitBytes === null ? '' : `restart above ${formatSize(spec.memoryLimitBytes)}`),
    ...optional('watch', spec.watch?.paths.join(', ') ?? ''),
    ...optional('schedule', spec.schedule ?? ''),
    ...optional('env files', spec.envFiles.join(', ')),
    ...optional('env', environmentOf(spec)),
    ['logs', `${logFormat}: ${logFiles.length === 0 ? 'none yet' : logFiles.join(', ')}`],
  ];
}

/** Of the last stops; those that were killed would have taken longer. */
function stopTimesWords({ count, p50Ms, p95Ms, maxMs, maxShare, killed }: StopTimes): string {
  const share = `${Math.round(maxShare * 100)}% of the grace period at most`;
  if (count === 1) return `the last took ${formatDuration(maxMs)}, ${share}${killed > 0 ? ', and was killed' : ''}`;
  const lengths = `p50 ${formatDuration(p50Ms)}, p95 ${formatDuration(p95Ms)}, longest ${formatDuration(maxMs)}`;
  return `the last ${count}: ${lengths}, ${share}${killed > 0 ? `; ${killed} killed, these are lower bounds` : ''}`;
}

function liveOf({ live }: ServiceSpec): string {
  if (live === null) return '';
  const { check, intervalMs, failureThreshold } = live;
  if (check.kind === 'notify') return `WATCHDOG=1 at least every ${formatDuration(intervalMs * failureThreshold)}`;
  return `${checkOf(check)} every ${formatDuration(intervalMs)}, restarted after ${failureThreshold} bad answers`;
}

function rollingOf({ rolling }: ServiceSpec): string {
  const { maxSurge, maxUnavailable, minReadyMs } = rolling;
  const down = Math.max(maxUnavailable, maxSurge === 0 ? 1 : 0);
  const how = maxSurge === 0 ? 'in place' : `${maxSurge} beside`;
  return `${how}, ${down === 0 ? 'none' : down} down, ready for ${formatDuration(minReadyMs)} before the next`;
}

function environmentOf({ env }: ServiceSpec): string {
  return Object.entries(env)
    .map(([name, value]) => `${name}=${value}`)
    .join(' ');
}

function optional(name: string, value: string): readonly (readonly [string, string])[] {
  return value === '' ? [] : [[name, value]];
}

/** As one line. */
export function commandOf(program: Program): string {
  if (program.kind === 'command') return program.argv.join(' ');
  if (program.kind === 'shell') return `/bin/sh -c '${program.line}'`;
  const before = program.interpreter === null ? [] : [program.interpreter, ...program.interpreterArgs];
  return [...before, program.script, ...program.args].join(' ');
}

function checkOf(check: Check): string {
  switch (check.kind) {
    case 'http':
      return check.url;
    case 'tcp':
      return `tcp ${check.host}:${check.port}`;
    case 'exec':
      return `exec ${check.argv.join(' ')}`;
    case 'log':
      return `log line /${check.pattern}/`;
    case 'message':
    case 'notify':
      return check.kind;
    case 'fd':
      return `a line on descriptor ${check.fd}`;
  }
}
