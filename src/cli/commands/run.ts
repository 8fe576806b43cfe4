/** `gsup run`: one program, or the services of a file, supervised in the foreground. */
import { existsSync, statSync } from 'node:fs';
import { basename, extname, resolve } from 'node:path';
import { Command, Option } from 'commander';
import { type ServiceFlags, serviceFromFlags } from '../../config/flags.ts';
import { EXIT, GsupError, usageError } from '../../core/error.ts';
import type { Program, SupervisorSpec } from '../../core/service.ts';
import { runForeground } from '../../foreground/main.ts';

type RunFlags = ServiceFlags & {
  config?: string;
  tty?: boolean;
  logFormat?: 'pretty' | 'json';
};

const EXAMPLES = `
Examples:
  gsup run app.js --grace 30s -- --port 3000
  gsup run --stop-signal SIGQUIT -- nginx -g 'daemon off;'
  gsup run -c supervisor.yaml api`;

/** The command with its options; PM2's names for them are accepted too. */
export function runCommand(): Command {
  const command = new Command('run')
    .summary('supervise a program, or the services of a file, in the foreground')
    .description('Supervises TARGET (a script, or a command after --) in the foreground.')
    .usage('[options] TARGET [-- ARG...] | -- COMMAND... | -c FILE [SERVICE...]')
    .argument('[target...]')
    .option('-c, --config <file>', 'the services of a supervisor.yaml')
    .option('-n, --name <name>', 'name of the service')
    .option('-i, --instances <n>', 'number of copies, or max')
    .option('--grace <duration>', 'from stop signal to SIGKILL (10s)')
    .option('--stop-signal <signal>', 'default: the one gsup gets')
    .option('--kill-mode <mode>', 'mixed, group or leader')
    .option('--restart <policy>', 'always, on-failure (default) or never')
    .option('--cwd <dir>', 'working directory')
    .option('--env <k=v>', 'set a variable', collect)
    .option('--env-file <file>', 'read variables from a file', collect)
    .option('--interpreter <program>', 'what runs the script')
    .option('--ready <spec>', 'http://.. tcp://host:port exec:.. log:REGEX message')
    .option('--ready-timeout <duration>', 'a failed start after it (30s)')
    .option('--tty', "stay in the terminal's session: for shells, REPLs")
    .addOption(new Option('--log-format <format>', 'records on stderr').choices(['pretty', 'json']))
    .addHelpText('after', EXAMPLES)
    .action(run);
  for (const option of pm2Options()) command.addOption(option.hideHelp());
  return command;
}

function pm2Options(): Option[] {
  return [
    new Option('-k, --kill-timeout <ms>'),
    new Option('--wait-ready'),
    new Option('--listen-timeout <ms>'),
    new Option('--max-memory-restart <size>'),
    new Option('--max-restarts <n>'),
    new Option('--restart-delay <ms>'),
    new Option('--exp-backoff-restart-delay <ms>'),
    new Option('--no-autorestart'),
    new Option('--stop-exit-codes <codes>').argParser((codes: string) => codes.split(/[ ,]+/)),
    new Option('--shutdown-with-message'),
    new Option('--no-treekill'),
    new Option('--node-args <args>'),
    new Option('--interpreter-args <args>'),
    new Option('--uid <user>'),
    new Option('--gid <group>'),
  ];
}

async function run(words: string[], flags: RunFlags & { uid?: string; gid?: string }, command: Command): Promise<void> {
  const isFile = flags.config !== undefined;
  const spec = isFile ? await specOfFile(flags, words, command) : specOfTarget(words, flags);
  const isSingle = !isFile && spec.services[0]?.instances === 1;
  if (flags.tty === true && !isSingle) throw usageError('--tty goes with one command and one instance');
  process.exitCode = await runForeground({
    spec,
    isSingle,
    isInTerminal: flags.tty === true,
    logFormat: flags.logFormat,
    environment: process.env,
  });
}

function specOfTarget(words: readonly string[], flags: RunFlags & { uid?: string; gid?: string }): SupervisorSpec {
  const isCommand = startsWithDashes();
  const [first] = words;
  if (first === undefined) {
    throw usageError(
      'nothing to run',
      'name a script (gsup run app.js), a command (gsup run -- nginx) or a file (gsup run -c supervisor.yaml)',
    );
  }
  const cwd = process.cwd();
  const program = programOf(words as [string, ...string[]], isCommand, flags);
  const { uid, gid, ...rest } = flags;
  const service = serviceFromFlags(
    { ...rest, ...(uid === undefined ? {} : { user: uid }), ...(gid === undefined ? {} : { group: gid }) },
    program,
    { cwd, defaultName: nameFor(first), defaultRestart: flags.tty === true ? 'never' : 'on-failure' },
  );
  return { services: [service], shutdownTimeoutMs: null };
}

/** A script when it is a file that names one, else a command that PATH may know. */
function programOf(words: [string, ...string[]], isCommand: boolean, flags: RunFlags): Program {
  const [first, ...args] = words;
  const asScript: Program = {
    kind: 'script',
    script: resolve(first),
    args,
    interpreter: flags.interpreter ?? null,
    interpreterArgs: [],
  };
  if (isCommand) return { kind: 'command', argv: words };
  if (['.yaml', '.yml'].includes(extname(first))) {
    throw usageError(`${first} is no script`, `to run the services of a file: gsup run -c ${first}`);
  }
  if (statSync(first, { throwIfNoEntry: false })?.isDirectory()) {
    throw new GsupError(`cannot execute ${first}: it is a directory`, {
      exitStatus: EXIT.notExecutable,
      hint: 'name a script in it',
    });
  }
  const looksLikeFile = first.includes('/') || extname(first) !== '' || flags.interpreter !== undefined;
  return existsSync(first) || looksLikeFile ? asScript : { kind: 'command', argv: words };
}

async function specOfFile(flags: RunFlags, names: readonly string[], command: Command): Promise<SupervisorSpec> {
  const { specFromFile } = await import('../config-file.ts');
  const allowed = new Set(['config', 'logFormat', 'tty']);
  const given = Object.keys(flags).find((key) => !allowed.has(key) && command.getOptionValueSource(key) === 'cli');
  if (given !== undefined) {
    const name = command.options.find((option) => option.attributeName() === given)?.long ?? given;
    throw usageError(`${name} goes with one command, not with a file`, `set it in ${flags.config}`);
  }
  return specFromFile(flags.config ?? '', names);
}

/** Whether the target stands behind `--`: commander has taken the dashes away. */
function startsWithDashes(): boolean {
  const words = process.argv.slice(process.argv.indexOf('run') + 1);
  const dashes = words.indexOf('--');
  return dashes >= 0 && parsedWordsBefore(words.slice(0, dashes)) === 0;
}

/** How many words before `--` are no options and no values of options. */
function parsedWordsBefore(words: readonly string[]): number {
  const probe = runCommand()
    .exitOverride()
    .action(() => {});
  probe.parse(words, { from: 'user' });
  return probe.args.length;
}

function nameFor(target: string): string {
  const name = basename(target)
    .replace(/\.[^.]+$/, '')
    .replace(/[^A-Za-z0-9_.-]+/g, '-')
    .replace(/^[^A-Za-z0-9]+/, '');
  return name === '' || name === 'all' ? 'app' : name.slice(0, 64);
}

function collect(value: string, before: string[] | undefined): string[] {
  return [...(before ?? []), value];
}
