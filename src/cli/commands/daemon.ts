/** `gsup daemon`, `ping`, `kill`, `update`: the daemon itself. */
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { Command, Option } from 'commander';
import { STUCK_HINT } from '../../api/client.ts';
import { checkHome, type Home, homeOf } from '../../api/home.ts';
import type { PingReply } from '../../api/types.ts';
import { formatDuration } from '../../core/duration.ts';
import { EXIT, GsupError } from '../../core/error.ts';
import { findHolder, type Holder } from '../../daemon/lock.ts';
import { type Connection, connectIfRunning, pingOnce, type Running, startDaemon } from '../connect.ts';
import type { DaemonFlags } from '../daemon-process.ts';
import { follow } from '../operation.ts';
import { jsonText, toStderr, toStdout } from '../print.ts';

type Flags = { json?: boolean };

/** Systemd waits before it starts a service again (RestartSec=). */
const MANAGED_WAIT_MS = 30_000;
const LOOK_MS = 50;
/** From its last answer to the end of its process. */
const END_WAIT_MS = 30_000;
/** For another daemon to answer or to end. */
const ANSWER_WAIT_MS = 15_000;

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
  const began = performance.now();
  const { reply } = await running('ping');
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
  const connection = (await connectIfRunning()) ?? (await connectToLeftovers(home));
  if (connection === null) {
    if (json === true) toStdout(jsonText({ type: 'result', exitStatus: 0, outcomes: [], error: null, hint: null }));
    else toStderr('no daemon runs\n');
    return;
  }
  const { pid } = connection.reply;
  const holder = await holderOf(home, pid);
  process.exitCode = await follow(connection.client.kill({}), { what: 'the end of everything', isJson: json === true });
  await end(holder, pid);
  if (json !== true) toStderr('the daemon has ended\n');
}

async function update({ json }: Flags): Promise<void> {
  const { client, home, reply: before } = await running('update');
  const holder = await holderOf(home, before.pid);
  await client.retire({});
  await end(holder, before.pid);
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

/** Where no daemon answers, but one is starting or ending, or one that was killed has left services that may run. */
async function connectToLeftovers(home: Home): Promise<Running | null> {
  if (!checkHome(home)) return null;
  const holder = await findHolder(home);
  const answer = await holder?.answer(ANSWER_WAIT_MS);
  holder?.release();
  if (answer === 'silent') {
    throw new GsupError(`the daemon of ${home.folder} has not answered within ${formatDuration(ANSWER_WAIT_MS)}`, {
      exitStatus: EXIT.timedOut,
      hint: STUCK_HINT,
    });
  }
  if (answer !== 'ready' && !leftRunning(home)) return null;
  if (answer !== 'ready') await startDaemon(home);
  return connectIfRunning();
}

/** @throws {GsupError} for a daemon without the lock of its home, whose end could not be seen. */
async function holderOf(home: Home, pid: number): Promise<Holder> {
  const holder = await findHolder(home);
  if (holder !== null) return holder;
  throw new GsupError(
    `the daemon (pid ${pid}) does not hold the lock of ${home.folder}: it may be of another version`,
    {
      exitStatus: EXIT.failed,
      hint: `end it with kill -9 ${pid}: services run on, and the next command starts a new daemon`,
    },
  );
}

/** Waits for the end of its process. @throws {GsupError} 124 when it lives on. */
async function end(holder: Holder, pid: number): Promise<void> {
  const isGone = await holder.gone(END_WAIT_MS);
  holder.release();
  if (isGone) return;
  throw new GsupError(`the daemon (pid ${pid}) has not ended within ${formatDuration(END_WAIT_MS)}`, {
    exitStatus: EXIT.timedOut,
    hint: `end it with kill -9 ${pid}: services run on, and the next command starts a new daemon`,
  });
}

/** Who runs it (systemd) starts the next one in its own time: nothing tells us when. */
async function whenAnswering(client: Connection['client']): Promise<PingReply | null> {
  for (const until = Date.now() + MANAGED_WAIT_MS; Date.now() < until; await sleep(LOOK_MS)) {
    const reply = await pingOnce(client);
    if (reply !== null) return reply;
  }
  return null;
}

async function running(what: string): Promise<Running> {
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
