/** `gsup logs` and `gsup events`: what services wrote, and what gsup did with them. */
import { Command, Option } from 'commander';
import { parseDuration } from '../../core/duration.ts';
import { usageError } from '../../core/error.ts';
import { nearest } from '../../core/name.ts';
import { colouredLine } from '../../core/plain-text.ts';
import { isPhase, PHASES } from '../../core/record.ts';
import { paint, serviceColour } from '../../view/colour.ts';
import { recordLine } from '../../view/record.ts';
import { connect } from '../connect.ts';
import { matchingLines } from '../matching-lines.ts';
import { jsonLine, toStdout } from '../print.ts';
import { allowsColour } from '../terminal.ts';

type LogFlags = {
  follow?: boolean;
  lines?: string;
  since?: string;
  until?: string;
  grep?: string;
  stderr?: boolean;
  err?: boolean;
  json?: boolean;
  raw?: boolean;
  timestamps?: boolean;
};

export function logsCommand(): Command {
  return new Command('logs')
    .summary('what services wrote')
    .description(
      'Prints the last lines of services (default: of all), over rotated files too; with -f those that come.',
    )
    .argument('[name...]', 'services or instances')
    .option('-f, --follow', 'go on with what comes')
    .option('-n, --lines <n>', 'the last N lines of each instance (15)')
    .option('--since <when>', 'from a time on: 10m, 2026-11-20, 2026-11-20T12:00:00Z')
    .option('--until <when>', 'up to a time')
    .option('--grep <regex>', 'only lines that match')
    .option('--stderr', 'only what was written to stderr')
    .addOption(new Option('--err', 'as --stderr').hideHelp())
    .addOption(new Option('--nostream', 'the default').hideHelp())
    .option('-t, --timestamps', 'the time before each line')
    .option('--raw', 'the lines alone, without names')
    .option('--json', 'NDJSON: instance, at, stream, line')
    .addHelpText('after', '\nExamples:\n  gsup logs api -f --grep timeout\n  gsup logs --since 10m --stderr')
    .action(logs);
}

export function eventsCommand(): Command {
  return new Command('events')
    .summary('what gsup did: every phase of every instance')
    .description('Prints the last records of the journal (default: 50); with -f those that come.')
    .argument('[name...]', 'services or instances')
    .option('-f, --follow', 'go on with what comes')
    .option('-n, --lines <n>', 'the last N records')
    .option('--since <when>', 'from a time on: 10m, 2026-11-20')
    .option('--until <when>', 'up to a time')
    .option('--service <name>', 'only of this service')
    .option('--phase <names>', 'only these phases: stopped,kill-sent')
    .option('--json', 'NDJSON')
    .addHelpText('after', '\nExample:\n  gsup events api -f')
    .action(events);
}

async function logs(names: string[], flags: LogFlags): Promise<void> {
  const { client } = connect();
  const query = {
    ...(names.length === 0 ? {} : { names: names.join(',') }),
    ...countOf(flags.lines),
    ...timeOf('since', flags.since),
    ...timeOf('until', flags.until),
    stderr: String(flags.stderr === true || flags.err === true),
    follow: String(flags.follow === true),
  };
  const colour = allowsColour(process.stdout);
  const entries = matchingLines((asked, signal) => client.logs(asked, signal), query, flags.grep);
  const known: string[] = [];
  await printed(async function* () {
    for await (const entry of entries) {
      const { instance, at, stream } = entry;
      const line = process.stdout.isTTY === true ? colouredLine(entry.line) : entry.line;
      const service = instance.slice(0, instance.lastIndexOf(':'));
      if (!known.includes(service)) known.push(service);
      const name =
        flags.raw === true ? '' : `${paint(`${instance} |`, serviceColour(known.indexOf(service)), colour)} `;
      const time = flags.timestamps === true && at !== null ? `${new Date(at).toISOString()} ` : '';
      const text = stream === 'stderr' && flags.stderr !== true && colour ? paint(line, 'yellow', true) : line;
      yield flags.json === true ? jsonLine(entry) : `${name}${time}${text}`;
    }
  });
}

/** What is printed at once. */
const BATCH_LENGTH = 16 * 1024;

async function events(names: string[], flags: LogFlags & { service?: string; phase?: string }): Promise<void> {
  const { client } = connect();
  const wanted = [...names, ...(flags.service === undefined ? [] : [flags.service])];
  const query = {
    ...(wanted.length === 0 ? {} : { names: wanted.join(',') }),
    ...countOf(flags.lines),
    ...phasesOf(flags.phase),
    ...timeOf('since', flags.since),
    ...timeOf('until', flags.until),
    follow: String(flags.follow === true),
  };
  const colour = allowsColour(process.stdout);
  await printed(async function* () {
    for await (const record of client.events(query)) {
      const line = flags.json === true ? jsonLine(record) : recordLine(record, record.at, { colour });
      if (line !== null) yield line;
    }
  });
}

/** Lines to stdout, no faster than they are read; those of one turn together. */
async function printed(lines: () => AsyncGenerator<string>): Promise<void> {
  let batch = '';
  const print = (): boolean => {
    const text = batch;
    batch = '';
    return text === '' || toStdout(text);
  };
  for await (const line of lines()) {
    if (batch === '') setImmediate(print);
    batch += `${line}\n`;
    if (batch.length >= BATCH_LENGTH && !print()) await new Promise((resolve) => process.stdout.once('drain', resolve));
  }
  print();
}

function phasesOf(text: string | undefined): { phases?: string } {
  if (text === undefined) return {};
  const unknown = text.split(',').find((phase) => !isPhase(phase));
  if (unknown === undefined) return { phases: text };
  const near = nearest(unknown, PHASES);
  throw usageError(`--phase "${unknown}" is no phase`, near === null ? PHASES.join(', ') : `did you mean ${near}?`);
}

function countOf(text: string | undefined): { lines?: string } {
  if (text === undefined) return {};
  if (!/^\d{1,9}$/.test(text)) throw usageError(`--lines "${text}" is no number`);
  return { lines: text };
}

/** A length before now (`10m`), or a moment (ISO 8601), as epoch ms. */
function timeOf<K extends 'since' | 'until'>(option: K, text: string | undefined): { [P in K]?: string } {
  if (text === undefined) return {};
  const ms = /^\d+$/.test(text) ? null : parseDuration(text);
  const at = ms === null ? Date.parse(text) : Date.now() - ms;
  if (Number.isNaN(at))
    throw usageError(`--${option} "${text}" is no time`, 'expected 10m, 2026-11-20 or 2026-11-20T12:00:00Z');
  const found: { [P in K]?: string } = {};
  found[option] = String(at);
  return found;
}
