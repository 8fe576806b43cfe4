/** `gsup run`: one program, or the services of a file, supervised in the foreground. */
import { Command } from 'commander';
import { usageError } from '../../core/error.ts';
import type { SupervisorSpec } from '../../core/service.ts';
import { runForeground } from '../../foreground/main.ts';
import { durationOf } from '../duration.ts';
import {
  checkSchedule,
  serviceOfTarget,
  specOfFile,
  startsWithDashes,
  type TargetFlags,
  withServiceOptions,
} from '../target.ts';
import { VERSION } from '../version.ts';

type RunFlags = TargetFlags & { tty?: boolean; deps?: boolean; outer?: string };

const EXAMPLES = `
Examples:
  gsup run app.js --grace 30s -- --port 3000
  gsup run --stop-signal SIGQUIT -- nginx -g 'daemon off;'
  gsup run -c supervisor.yaml api
  gsup run -c Procfile`;

/** The command with its options. */
export function runCommand(): Command {
  return withServiceOptions(new Command('run'), 'on-failure')
    .summary('supervise a program, or the services of a file, in the foreground')
    .description('Supervises TARGET (a script, or a command after --) in the foreground.')
    .usage('[options] TARGET [-- ARG...] | -- COMMAND... | -c FILE [SERVICE...]')
    .argument('[target...]')
    .option('--tty', "stay in the terminal's session: for shells, REPLs")
    .option('--outer <duration>', 'how long what stops gsup waits: docker stop -t, TimeoutStopSec')
    .option('--no-deps', 'with -c: the named services alone, without what they depend on')
    .addHelpText('after', EXAMPLES)
    .action(run);
}

async function run(words: string[], flags: RunFlags, command: Command): Promise<void> {
  const { config } = flags;
  await checkSchedule(flags);
  const read = (file: string, isQuiet = false) =>
    specOfFile(file, words, command, {
      allowed: ['tty', 'deps', 'outer'],
      isAlone: flags.deps === false,
      endsTogether: true,
      isQuiet,
    });
  if (flags.deps === false && (config === undefined || words.length === 0))
    throw usageError('--no-deps goes with services of a file', 'as in gsup run -c supervisor.yaml --no-deps api');
  const spec = config === undefined ? specOfTarget(words, flags) : await read(config);
  const isSingle = config === undefined && spec.services[0]?.instances === 1;
  if (flags.tty === true && !isSingle) throw usageError('--tty goes with one command and one instance');
  process.exitCode = await runForeground({
    spec,
    isSingle,
    isInTerminal: flags.tty === true,
    logFormat: flags.logFormat,
    environment: process.env,
    outerMs: durationOf('--outer', flags.outer),
    version: VERSION,
    file: config ?? null,
    reread: config === undefined ? null : () => read(config, true),
  });
}

function specOfTarget([first, ...rest]: readonly string[], flags: RunFlags): SupervisorSpec {
  if (first === undefined) {
    throw usageError(
      'nothing to run',
      'name a script (gsup run app.js), a command (gsup run -- nginx) or a file (gsup run -c supervisor.yaml)',
    );
  }
  const defaultRestart = flags.tty === true ? 'never' : 'on-failure';
  const service = serviceOfTarget([first, ...rest], flags, {
    isCommand: startsWithDashes(runCommand()),
    defaultRestart,
  });
  return { services: [service], shutdownTimeoutMs: null };
}
