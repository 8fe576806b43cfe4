/** `gsup timeline`: the last shutdowns, reloads, starts and crashes as bars. */
import { createReadStream, existsSync, writeFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { Command, Option } from 'commander';
import { homeOf } from '../../api/home.ts';
import { EXIT, GsupError, usageError } from '../../core/error.ts';
import { episodesOf } from '../../core/history.ts';
import { type AskedKind, lastOccasions, OCCASION_KINDS, type Occasion, occasionsOf } from '../../core/occasion.ts';
import { parseRecorded, type Recorded } from '../../core/recorded.ts';
import { eventFilesAt } from '../../daemon/event-file.ts';
import { type HistoryQuery, readOccasions } from '../../daemon/history.ts';
import { timelineText } from '../../view/timeline.ts';
import { timelineSvg } from '../../view/timeline-svg.ts';
import { timelineTrace } from '../../view/timeline-trace.ts';
import { connectIfRunning } from '../connect.ts';
import { jsonText, toStderr, toStdout } from '../print.ts';
import { allowsColour, allowsUnicode } from '../terminal.ts';

type Flags = {
  last: string;
  kind?: AskedKind;
  json?: boolean;
  svg?: string;
  trace?: string;
  ascii?: boolean;
  from?: string;
};

const LEAST_WIDTH = 60;

export function timelineCommand(): Command {
  return new Command('timeline')
    .summary('the last shutdowns, reloads, starts and crashes as bars')
    .description(
      'Draws what happened to services, or to those named: rungs of each stop, phases of the app inside them, the grace period as the frame, who was killed and what it still had to do.',
    )
    .argument('[name...]', 'services or instances')
    .option('-n, --last <n>', 'the last N of them', '3')
    .addOption(
      new Option('--kind <kind>', 'only stops (shutdowns too), starts, reloads, or exits').choices(OCCASION_KINDS),
    )
    .option('--from <file>', 'of records in a file (-: stdin): stderr of "gsup run --log-format json"')
    .option('--svg <file>', 'a picture, for a report')
    .option('--trace <file>', 'trace events, for ui.perfetto.dev')
    .option('--ascii', 'without characters beyond ASCII')
    .option('--json', 'as JSON')
    .addHelpText(
      'after',
      '\nExamples:\n  gsup timeline api --kind stop\n  gsup run -c supervisor.yaml 2>run.ndjson; gsup timeline --from run.ndjson',
    )
    .action(timeline);
}

async function timeline(names: string[], flags: Flags): Promise<void> {
  const { json, svg, trace, ascii } = flags;
  const query = {
    names: names.includes('all') ? [] : names,
    kinds: flags.kind === undefined ? [] : [flags.kind],
    last: lastOf(flags.last),
  };
  const occasions = flags.from === undefined ? await ofTheHome(query) : await ofFile(flags.from, query);
  const now = Date.now();
  if (svg !== undefined) save(svg, timelineSvg(occasions, { now }));
  if (trace !== undefined) save(trace, `${JSON.stringify(timelineTrace(occasions, now))}\n`);
  if (json === true) toStdout(jsonText(occasions));
  else if (svg !== undefined || trace !== undefined) return;
  else if (occasions.length === 0) toStderr(`${nothing(query)}\n`);
  else {
    const width = Math.max(LEAST_WIDTH, process.stdout.isTTY ? (process.stdout.columns ?? 80) : 80);
    const isAscii = ascii === true || !allowsUnicode(process.env);
    const text = timelineText(occasions, { width, colour: allowsColour(process.stdout), ascii: isAscii, now });
    toStdout(`${text}\n`);
  }
}

/** Of the daemon when one runs; else its files are read here, and none is started for that. */
async function ofTheHome({ names, kinds, last }: HistoryQuery): Promise<readonly Occasion[]> {
  const connection = await connectIfRunning();
  if (connection !== null)
    return connection.client.timeline({ names: names.join(','), kinds: kinds.join(','), last: String(last) });
  return readOccasions(eventFilesAt(homeOf(process.env).events), { names, kinds, last });
}

/** @throws {GsupError} 1 when there is no such file. */
async function ofFile(file: string, query: HistoryQuery): Promise<readonly Occasion[]> {
  if (file !== '-' && !existsSync(file)) throw new GsupError(`there is no file ${file}`, { exitStatus: EXIT.failed });
  const input = file === '-' ? process.stdin : createReadStream(file);
  const records: Recorded[] = [];
  for await (const line of createInterface({ input, crlfDelay: Number.POSITIVE_INFINITY })) {
    const record = parseRecorded(line);
    if (record !== null) records.push(record);
  }
  return lastOccasions(occasionsOf(episodesOf(records)), query);
}

function lastOf(text: string): number {
  const last = /^\d{1,4}$/.test(text) ? Number(text) : 0;
  if (last < 1 || last > 1000) throw usageError(`--last "${text}" is no number from 1 to 1000`);
  return last;
}

function nothing({ names, kinds }: HistoryQuery): string {
  const who = names.length === 0 ? 'anything' : names.join(', ');
  return `no ${kinds[0] ?? 'start, stop or reload'} of ${who} is in the records`;
}

/** @throws {GsupError} 1 when it can't be written. */
function save(file: string, text: string): void {
  try {
    writeFileSync(file, text);
  } catch (cause) {
    throw new GsupError(`cannot write ${file}: ${(cause as Error).message}`, { exitStatus: EXIT.failed, cause });
  }
}
