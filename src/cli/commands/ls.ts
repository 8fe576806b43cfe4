/** `gsup ls`, `show`, `env`: what there is, and how it stands. */
import { Command } from 'commander';
import type { InstanceView } from '../../api/types.ts';
import { nearMiss } from '../../core/stop-times.ts';
import { instancesTable } from '../../view/instances.ts';
import { environmentText, showText } from '../../view/service.ts';
import { connect } from '../connect.ts';
import { ownEnvironment } from '../environment.ts';
import { viewsNamed } from '../named-views.ts';
import { jsonText, toStderr, toStdout } from '../print.ts';
import { allowsColour, terminalWidth } from '../terminal.ts';

type Flags = { json?: boolean; wide?: boolean; diff?: boolean };

export function lsCommand(): Command {
  return new Command('ls')
    .alias('list')
    .alias('status')
    .alias('ps')
    .summary('list instances and their state')
    .description('Lists the instances of all services, or of those named, with state, restarts, CPU and memory.')
    .argument('[name...]', 'services or instances')
    .option('-w, --wide', 'more columns: uptime, last exit, id')
    .option('--json', 'an array, one object an instance')
    .addHelpText('after', '\nExample:\n  gsup ls --json')
    .action(ls);
}

export function showCommand(): Command {
  return new Command('show')
    .alias('describe')
    .alias('info')
    .summary('everything about one service')
    .description(
      'Tells what a service is, how its instances stand and where its logs are. Values of secrets are masked.',
    )
    .argument('<name>', 'a service, or an instance like api:1')
    .option('--json', 'the same as JSON')
    .addHelpText('after', '\nExample:\n  gsup show api')
    .action(async (name: string, { json }: Flags) => {
      const { client } = connect();
      const view = await client.show({ name });
      const options = { now: Date.now(), width: terminalWidth(process.stdout), colour: allowsColour(process.stdout) };
      toStdout(json === true ? jsonText(view) : `${showText(view, options)}\n`);
    });
}

export function envCommand(): Command {
  return new Command('env')
    .summary('the environment that a service gets')
    .description('Prints the environment that NAME gets at its next start. Values of secrets are masked.')
    .argument('<name>', 'a service, or an instance like api:1')
    .option('--diff', "what --update-env with this shell's environment would change")
    .option('--json', 'as JSON')
    .addHelpText('after', '\nExample:\n  gsup env api --diff')
    .action(async (name: string, { json, diff }: Flags) => {
      const { client } = connect();
      const view = await client.environment({ name, ...(diff === true ? { compareWith: ownEnvironment() } : {}) });
      const data = diff === true ? view.diff : view.environment;
      const text = json === true ? jsonText(data).trimEnd() : environmentText(view, allowsColour(process.stdout));
      if (text !== '') toStdout(`${text}\n`);
      else if (diff === true) toStderr('nothing would change\n');
    });
}

async function ls(names: readonly string[], { json, wide }: Flags): Promise<void> {
  const { client } = connect();
  const all = await client.list({ usage: 'true' });
  const views = viewsNamed(all, names);
  if (json === true) {
    toStdout(jsonText(views));
    return;
  }
  const options = {
    now: Date.now(),
    width: process.stdout.isTTY ? (process.stdout.columns ?? 80) : 80,
    colour: allowsColour(process.stdout),
  };
  const text = instancesTable(views, { ...options, isWide: wide === true });
  if (views.length === 0) toStderr(`${text}\n`);
  else toStdout(`${text}\n`);
  for (const line of nearMisses(views)) toStderr(`${line}\n`);
}

/** A line for each service whose last stops came near to SIGKILL, or needed it. */
function nearMisses(views: readonly InstanceView[]): readonly string[] {
  const services = new Map(views.map(({ service, stops }) => [service, stops]));
  return [...services].flatMap(([service, stops]) => {
    const words = stops == null ? null : nearMiss(stops);
    return words === null ? [] : [`! ${service}: ${words}; "gsup timeline ${service} --kind stop" shows why`];
  });
}
