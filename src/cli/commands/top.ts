/** `gsup top`: what all services do, live, with their logs and the keys to act on them. */
import { Command } from 'commander';
import { type Client, createClient, isNobodyThere } from '../../api/client.ts';
import { checkHome, homeOf } from '../../api/home.ts';
import type { InstanceView } from '../../api/types.ts';
import { formatDuration, parseDuration } from '../../core/duration.ts';
import { usageError } from '../../core/error.ts';
import { wholeTable } from '../../view/top.ts';
import { initialTop, listed } from '../../view/top-state.ts';
import { startDaemon } from '../connect.ts';
import { viewsNamed } from '../named-views.ts';
import { toStdout } from '../print.ts';
import { allowsColour } from '../terminal.ts';
import { Screen } from '../top/screen.ts';
import { runTop } from '../top/session.ts';

/** A look costs the daemon a sweep of /proc. */
const LEAST_INTERVAL_MS = 500;
const WIDTH_OF_PIPE = 100;

type Flags = { interval: string; once?: boolean };

export function topCommand(): Command {
  return new Command('top')
    .summary('services live, with logs and keys to act on them')
    .description(
      'Shows the instances of all services, or of those named, with state, CPU, memory and the log of the selected one, and acts on them by keys. ? lists the keys.',
    )
    .argument('[name...]', 'services or instances')
    .option('--interval <duration>', 'between two looks', '1s')
    .option('--once', 'print the table once and end')
    .addHelpText('after', '\nExamples:\n  gsup top api worker\n  gsup top --once')
    .action(top);
}

async function top(names: readonly string[], { interval, once }: Flags): Promise<void> {
  const first = initialTop(intervalOf(interval));
  if (once !== true) checkTerminal();
  const client = clientOfHome();
  const views = viewsNamed(await firstViews(client), names);
  const colour = allowsColour(process.stdout);
  if (once === true) {
    const width = process.stdout.isTTY ? process.stdout.columns || 80 : WIDTH_OF_PIPE;
    const lines = wholeTable(listed(first, views), { width, colour, now: Date.now() });
    toStdout(`${lines.join('\n')}\n`);
    return;
  }
  process.exitCode = await runTop({
    client,
    screen: new Screen(process.stdin, process.stdout),
    input: process.stdin,
    output: process.stdout,
    colour,
    names: names.includes('all') ? [] : names,
    first: listed(first, views),
  });
}

function intervalOf(text: string): number {
  const ms = parseDuration(text);
  if (ms === null) throw usageError(`--interval "${text}" is no duration`, 'expected 1s, 500ms, 5s');
  if (ms >= LEAST_INTERVAL_MS) return ms;
  throw usageError(`--interval "${text}" is too short`, `expected ${formatDuration(LEAST_INTERVAL_MS)} or more`);
}

function checkTerminal(): void {
  const hint = '"gsup ls" prints the services once, "gsup top --once" one frame';
  if (!process.stdout.isTTY) throw usageError('top needs a terminal, and stdout is none', hint);
  if (!process.stdin.isTTY) throw usageError('top needs a terminal, and stdin is none', hint);
  if (process.env['TERM'] === 'dumb') throw usageError('top needs a terminal that can do more than TERM=dumb', hint);
}

/** Starts no daemon: one that is gone is waited for. */
function clientOfHome(): Client {
  const home = homeOf(process.env);
  checkHome(home);
  return createClient(home);
}

/** As `gsup ls`: a daemon is started when none is there, and takes up what runs. */
async function firstViews(client: Client): Promise<readonly InstanceView[]> {
  try {
    return await client.list({ usage: 'true' });
  } catch (error) {
    if (!isNobodyThere(error)) throw error;
  }
  await startDaemon(homeOf(process.env));
  return client.list({ usage: 'true' });
}
