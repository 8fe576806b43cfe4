/** `gsup drill`: rehearses a stop on a spare instance, perhaps under load, and says how it went. */
import { Command } from 'commander';
import { type DrillReport, stopTimes } from '../../core/drill.ts';
import { EXIT, GsupError, usageError } from '../../core/error.ts';
import type { ServiceSpec } from '../../core/service.ts';
import { namedLimit, outerLimitOf } from '../../supervisor/outer-limit.ts';
import { drillsText, drillText } from '../../view/drill.ts';
import { progressLine } from '../../view/progress.ts';
import { isQuiet } from '../../view/record.ts';
import { specFromFile } from '../config-file.ts';
import { connect } from '../connect.ts';
import { durationOf } from '../duration.ts';
import { ownEnvironment } from '../environment.ts';
import { jsonText, toStderr, toStdout } from '../print.ts';
import { allowsColour, allowsUnicode, terminalWidth } from '../terminal.ts';

type Flags = {
  config?: string;
  rate?: string;
  url?: string;
  duration?: string;
  env?: string[];
  outer?: string;
  times?: string;
  json?: boolean;
};

/** What is drilled: as the daemon has it, or as a file says. */
type Subject = { readonly spec: ServiceSpec; readonly environment: Readonly<Record<string, string>> };

const DEFAULT_RATE = 20;
const MOST_RATE = 10_000;
const MOST_TIMES = 100;
const DEFAULT_DURATION_MS = 5_000;
const EXAMPLES = `
Examples:
  gsup drill api --rate 50 --outer 30s
  gsup drill worker --duration 10s
  gsup drill -c supervisor.yaml api --rate 50 --url http://127.0.0.1:3000/orders`;

export function drillCommand(): Command {
  return new Command('drill')
    .summary('rehearse a stop on a spare instance, perhaps under load')
    .description(
      'Starts a spare instance of NAME with sockets of its own, stops it by the ladder and reports requests lost, survivors, times and ports held. What serves is not touched, and nothing is left behind.',
    )
    .argument('<name>', 'a service')
    .option('-c, --config <file>', 'take the service from a file; no daemon is asked')
    .option('--rate <n>', 'requests a second, before the stop and through it')
    .option('--url <url>', 'where to ask (default: the readiness check)')
    .option('--duration <duration>', 'from ready to the stop (5s)')
    .option('--env <k=v>', 'set a variable for the spare', (value, before: string[] = []) => [...before, value])
    .option('--outer <duration>', 'how long systemd or Kubernetes waits: would it have cut the stop?')
    .option('--times <n>', 'so many drills, one after the other')
    .option('--json', 'print the report as JSON')
    .addHelpText('after', EXAMPLES)
    .action(drill);
}

async function drill(name: string, flags: Flags): Promise<void> {
  const env = variablesIn(flags.env ?? []);
  const load = loadOf(flags);
  const durationMs = durationOf('--duration', flags.duration) ?? DEFAULT_DURATION_MS;
  const outerMs = durationOf('--outer', flags.outer);
  const times = flags.times === undefined ? 1 : numberOf('--times', flags.times, MOST_TIMES);
  const outer = outerMs === null ? await outerLimitOf(process.env) : namedLimit(outerMs);
  const isJson = flags.json === true;
  const { spec, environment } = flags.config === undefined ? await ofDaemon(name) : await ofFile(flags.config, name);
  const { runDrill } = await import('../../foreground/rehearsal.ts');
  const reports: DrillReport[] = [];
  for (let n = 1; n <= times; n++) {
    const talk = talkOf(isJson, times > 1 ? `drill ${n} of ${times}` : null);
    reports.push(await runDrill({ spec, environment, env, load, durationMs, outer, ...talk }));
  }
  show(reports, isJson);
  process.exitCode = reports.every(({ isClean }) => isClean) ? EXIT.done : EXIT.failed;
}

function show(reports: readonly DrillReport[], isJson: boolean): void {
  if (isJson) {
    const isClean = reports.every((report) => report.isClean);
    toStdout(jsonText({ isClean, stopMs: stopTimes(reports), drills: reports }));
    return;
  }
  const colour = allowsColour(process.stdout);
  const width = Math.min(terminalWidth(process.stdout), 100);
  // Of many the one that tells most.
  const telling = reports.find(({ isClean }) => !isClean) ?? reports.at(-1);
  if (telling !== undefined) toStdout(`${drillText(telling, { width, colour, ascii: !allowsUnicode(process.env) })}\n`);
  if (reports.length > 1) toStdout(`\n${drillsText(reports, colour)}\n`);
}

/** What goes on, on stderr. */
function talkOf(isJson: boolean, title: string | null) {
  const began = Date.now();
  const colour = allowsColour(process.stderr);
  const write = (text: string): void => {
    if (!isJson) toStderr(`${text}\n`);
  };
  if (title !== null) write(title);
  return {
    onRecord: (record: Parameters<typeof progressLine>[0]) => {
      if (!isQuiet(record)) write(progressLine(record, began, colour));
    },
    notice: (reason: string) => write(progressLine({ phase: 'notice', reason, at: Date.now() }, began, colour)),
  };
}

async function ofDaemon(name: string): Promise<Subject> {
  const { client } = connect();
  const { spec, environment, missing } = await client.spare({ name });
  if (missing.length === 0) return { spec, environment };
  throw new GsupError(`cannot drill ${name}: it depends on ${missing.join(', ')}, which is not up`, {
    exitStatus: EXIT.notRunning,
    hint: `start it: gsup start ${missing.join(' ')}`,
  });
}

async function ofFile(file: string, name: string): Promise<Subject> {
  const { services } = await specFromFile(file, [name]);
  const spec = services.find((service) => service.name === name);
  if (spec === undefined) throw new GsupError(`no service ${name} in ${file}`, { exitStatus: EXIT.noSuchService });
  const needed = Object.keys(spec.dependsOn);
  if (needed.length > 0)
    toStderr(`gsup: ${name} depends on ${needed.join(', ')}: it is taken for granted that they are up\n`);
  return { spec, environment: ownEnvironment() };
}

function loadOf({ rate, url }: Flags): { ratePerSecond: number; url: string | null } | null {
  if (rate === undefined && url === undefined) return null;
  if (url !== undefined && !(URL.canParse(url) && /^https?:/.test(url)))
    throw usageError(`--url "${url}" is no http URL`, 'expected http://127.0.0.1:3000/path');
  const ratePerSecond = rate === undefined ? DEFAULT_RATE : numberOf('--rate', rate, MOST_RATE);
  return { ratePerSecond, url: url ?? null };
}

function numberOf(option: string, text: string, most: number): number {
  const number = /^\d+$/.test(text) ? Number(text) : 0;
  if (number < 1 || number > most) throw usageError(`${option} "${text}" is not possible`, `expected 1 to ${most}`);
  return number;
}

function variablesIn(pairs: readonly string[]): Record<string, string> {
  const entries = pairs.map((pair) => {
    const at = pair.indexOf('=');
    if (at < 1) throw usageError(`--env "${pair}" sets nothing`, 'expected NAME=value');
    return [pair.slice(0, at), pair.slice(at + 1)];
  });
  return Object.fromEntries(entries);
}
