/** `gsup stop`, `restart`, `delete`, `scale`, `signal`: what is asked of services that the daemon has. */
import { Command } from 'commander';
import { usageError } from '../../core/error.ts';
import { connect } from '../connect.ts';
import { ownEnvironment } from '../environment.ts';
import { follow } from '../operation.ts';
import { jsonLine, toStderr, toStdout } from '../print.ts';

type Flags = { json?: boolean; updateEnv?: boolean };

const NAMES = 'a service, an instance like api:1, or all';

export function stopCommand(): Command {
  return named('stop')
    .summary('stop services by their ladder, and wait')
    .description('Stops each NAME by its ladder (stop signal, grace period, SIGKILL) and waits until it is down.')
    .addHelpText('after', '\nExample:\n  gsup stop api worker:1')
    .action(async (names: string[], flags: Flags) => {
      const { client } = connect();
      process.exitCode = await follow(client.stop({ names }), shown('the stop', names, flags));
    });
}

export function restartCommand(): Command {
  return named('restart')
    .summary('stop services and start them again')
    .description('Stops each NAME by its ladder, starts it again and waits until it is up. What is stopped is started.')
    .option('--update-env', "take this command's environment, removed variables included")
    .addHelpText('after', '\nExample:\n  gsup restart api --update-env')
    .action(async (names: string[], flags: Flags) => {
      const { client } = connect();
      const environment = flags.updateEnv === true ? { environment: ownEnvironment() } : {};
      process.exitCode = await follow(client.restart({ names, ...environment }), shown('the restart', names, flags));
    });
}

export function reloadCommand(): Command {
  return named('reload')
    .alias('rolling-restart')
    .summary('replace instances one by one, without a failed request')
    .description(
      'Replaces each NAME by a rolling restart: the new instance is ready, and stays so, before the old one gets a signal. One that does not get ready is removed and the old one stays. What is stopped is started.',
    )
    .option('--update-env', "take this command's environment, removed variables included")
    .addHelpText('after', '\nExample:\n  gsup reload api')
    .action(async (names: string[], flags: Flags) => {
      const { client } = connect();
      const environment = flags.updateEnv === true ? { environment: ownEnvironment() } : {};
      process.exitCode = await follow(
        client.reload({ names, ...environment }),
        shown('the rolling restart', names, flags),
      );
    });
}

export function deleteCommand(): Command {
  return named('delete')
    .alias('del')
    .alias('rm')
    .summary('stop services and forget them; their logs stay')
    .description('Stops each service by its ladder and forgets it. Its log files stay.')
    .addHelpText('after', '\nExample:\n  gsup delete api')
    .action(async (names: string[], flags: Flags) => {
      const { client } = connect();
      process.exitCode = await follow(client.delete({ names }), shown('the removal', names, flags));
    });
}

export function scaleCommand(): Command {
  return new Command('scale')
    .summary('change the number of instances')
    .description(
      'Starts more instances of NAME, or stops those with the highest index, until there are N. +N and -N count from now.',
    )
    .argument('<name>', 'a service')
    .argument('<n>', 'how many: 4, +2, -1 (write -- before it)')
    .option('--json', 'print the result as JSON')
    .addHelpText('after', '\nExample:\n  gsup scale api 4')
    .action(async (name: string, text: string, flags: Flags) => {
      const { client } = connect();
      const instances = await countOf(text, async () => (await client.show({ name })).spec.instances);
      process.exitCode = await follow(client.scale({ name, instances }), shown('the scaling', [name], flags));
    });
}

export function signalCommand(): Command {
  return new Command('signal')
    .alias('sendSignal')
    .summary('send a signal to the leaders of services')
    .description('Sends SIG (a name or number) to the leader of each instance of NAME.')
    .argument('<signal>', 'SIGHUP, HUP or 1')
    .argument('<name...>', NAMES)
    .option('--json', 'print the result as JSON')
    .addHelpText('after', '\nExample:\n  gsup signal HUP nginx')
    .action(async (signal: string, names: string[], { json }: Flags) => {
      const { client } = connect();
      const { signalled } = await client.signal({ names, signal });
      if (json === true) toStdout(`${jsonLine({ signalled })}\n`);
      else toStderr(`${signal} sent to ${signalled} ${signalled === 1 ? 'instance' : 'instances'}\n`);
    });
}

function named(name: string): Command {
  return new Command(name).argument('<name...>', NAMES).option('--json', 'print the result as JSON');
}

async function countOf(text: string, present: () => Promise<number>): Promise<number> {
  const match = /^([+-]?)(\d{1,4})$/.exec(text);
  if (!match) throw usageError(`"${text}" is no number of instances`, 'expected 0 to 1000, or +N, -N');
  const amount = Number(match[2]);
  const count = match[1] === '' ? amount : (await present()) + (match[1] === '+' ? amount : -amount);
  if (count < 0 || count > 1000) throw usageError(`${count} instances are not possible`, 'expected 0 to 1000');
  return count;
}

function shown(what: string, names: readonly string[], { json }: Flags) {
  return { what: `${what} of ${names.join(', ')}`, isJson: json === true };
}
