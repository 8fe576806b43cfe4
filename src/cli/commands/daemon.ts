/** `gsup daemon`, `ping`, `kill`, `update`: the daemon itself. */
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { Command, Option } from 'commander';
import { type Home, homeOf } from '../../api/home.ts';
import type { PingReply } from '../../api/types.ts';
import { formatDuration } from '../../core/duration.ts';
import { EXIT, GsupError } from '../../core/error.ts';
import { whenGone } from '../../daemon/lock.ts';
import { type Connection, connect, connectIfRunning, pingOnce, startDaemon } from '../connect.ts';
import type { DaemonFlags } from '../daemon-process.ts';
import { follow } from '../operation.ts';
import { jsonText, toStderr, toStdout } from '../print.ts';

type Flags = { json?: boolean };

/** Systemd waits before it starts a service again (RestartSec=). */
const MANAGED_WAIT_MS = 30_000;
const LOOK_MS = 50;

export function daemonCommand(): Command {
  return new Command('daemon')
    .summary('run the daemon in the foreground')
    .description(
      'Runs the daemon in the foreground, for systemd or a container. SIGTERM stops every service and ends it; SIGHUP reads its file again; SIGUSR2 reopens logs.',
    )
    .option('-c, --config <file>', 'services to be applied when it begins')
    .addOption(new Option('--log-format <format>', 'records on stderr').choices(['pretty', 'json']))
    .addOption(new Option('--background').hideHelp())
    .addHelpText('after', '\nExample:\n  gsup daemon -c /etc/gsup/supervisor.yaml')
    .action(async (flags: DaemonFlags) => {
      const { daemonProcess } = await import('../daemon-process.ts');
      process.exitCode = await daemonProcess(flags);
    });
}

export function pingCommand(): Command {
  return new Command('ping')
    .summary('ask whether the daemon answers')
    .description('Asks whether the daemon answers; starts none. Exit status 3 when there is none.')
    .option('--json', 'its answer as JSON')
    .addHelpText('after', '\nExample:\n  gsup ping && echo it runs')
    .action(ping);
}

export function killCommand(): Command {
  return new Command('kill')
    .summary('stop every service and the daemon')
    .description(
      'Stops every service by its ladder, in waves, and ends the daemon. They stay stopped until they are started.',
    )
    .option('--json', 'print the result as JSON')
    .addHelpText('after', '\nExample:\n  gsup kill')
    .action(kill);
}

export function updateCommand(): Command {
  return new Command('update')
    .summary('replace the daemon, leave the services running')
    .description(
      'Ends the daemon without its services and starts this version of it, which takes them up: no restart, no lost line.',
    )
    .option('--json', 'print the result as JSON')
    .addHelpText('after', '\nExample:\n  npm install -g gsup && gsup update')
    .action(update);
}

async function ping({ json }: Flags): Promise<void> {
  const { client } = await running('ping');
  const began = performance.now();
  const reply = await client.ping({});
  const took = Math.round((performance.now() - began) * 10) / 10;
  if (json === true) toStdout(jsonText(reply));
  else {
    const { version, pid, home, instances, services, startedAt } = reply;
    const counts = `${services} ${services === 1 ? 'service' : 'services'}, ${instances} ${instances === 1 ? 'instance' : 'instances'}`;
    const age = formatDuration(Date.now() - startedAt);
    toStdout(`pong in ${took}ms: gsup ${version}, pid ${pid}, up ${age}, ${counts}, home ${home}\n`);
  }
}

async function kill({ json }: Flags): Promise<void> {
  const home = homeOf(process.env);
  let connection = await connectIfRunning();
  if (connection === null && leftRunning(home)) {
    await startDaemon(home);
    connection = connect();
  }
  if (connection === null) {
    if (json === true) toStdout(jsonText({ type: 'result', exitStatus: 0, outcomes: [], error: null, hint: null }));
    else toStderr('no daemon runs\n');
    return;
  }
  const gone = whenGone(home);
  process.exitCode = await follow(connection.client.kill({}), { what: 'the end of everything', isJson: json === true });
  await gone;
  if (json !== true) toStderr('the daemon has ended\n');
}

async function update({ json }: Flags): Promise<void> {
  const { client, home } = await running('update');
  const before = await client.ping({});
  const gone = whenGone(home);
  await client.retire({});
  await gone;
  if (!before.managed) await startDaemon(home);
  const after = before.managed ? await whenAnswering(client) : await pingOnce(client);
  if (after === null)
    throw new GsupError('the new daemon does not answer', { exitStatus: EXIT.failed, hint: 'look at "gsup doctor"' });
  if (json === true) toStdout(jsonText({ before, after }));
  else {
    const what = `${before.version} (pid ${before.pid}) → ${after.version} (pid ${after.pid})`;
    toStderr(`daemon ${what}; ${after.instances} ${after.instances === 1 ? 'instance' : 'instances'} kept\n`);
  }
}

/** Who runs it (systemd) starts the next one in its own time: nothing tells us when. */
async function whenAnswering(client: Connection['client']): Promise<PingReply | null> {
  for (const until = Date.now() + MANAGED_WAIT_MS; Date.now() < until; await sleep(LOOK_MS)) {
    const reply = await pingOnce(client);
    if (reply !== null) return reply;
  }
  return null;
}

async function running(what: string): Promise<Connection> {
  const connection = await connectIfRunning();
  if (connection !== null) return connection;
  const home = homeOf(process.env).folder;
  throw new GsupError(`nothing to ${what}: no daemon runs for ${home}`, {
    exitStatus: EXIT.notRunning,
    hint: '"gsup start" and "gsup ls" start one',
  });
}

/** Whether a daemon that was killed has left services that may run. */
function leftRunning({ state }: Home): boolean {
  try {
    const { runs } = JSON.parse(readFileSync(state, 'utf8'));
    return Object.keys(runs).length > 0;
  } catch {
    return false;
  }
}
