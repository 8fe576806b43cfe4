/** What `run` and `start` take: a script or a command, with the options of a service; PM2's names for them are accepted too. */
import { existsSync, statSync } from 'node:fs';
import { basename, extname, resolve } from 'node:path';
import { type Command, Option } from 'commander';
import { type ServiceFlags, serviceFromFlags } from '../config/flags.ts';
import { EXIT, GsupError, usageError } from '../core/error.ts';
import type { Program, RestartPolicy, ServiceSpec, SupervisorSpec } from '../core/service.ts';
import type { ForeignOptions } from './config-file.ts';

export type TargetFlags = ServiceFlags & {
  config?: string;
  logFormat?: 'pretty' | 'json';
  uid?: string;
  gid?: string;
  only?: string;
};

/** Adds the options that describe one service. */
export function withServiceOptions(command: Command, defaultRestart: RestartPolicy['policy']): Command {
  const policies = (['always', 'on-failure', 'never'] as const).map((policy) =>
    policy === defaultRestart ? `${policy} (default)` : policy,
  );
  command
    .option('-c, --config <file>', 'the services of a supervisor.yaml')
    .option('-n, --name <name>', 'name of the service')
    .option('-i, --instances <n>', 'number of copies, or max')
    .option('--grace <duration>', 'from stop signal to SIGKILL (10s)')
    .option('--stop-signal <signal>', 'default: the one gsup gets')
    .option('--kill-mode <mode>', 'mixed, group or leader')
    .option('--restart <policy>', `${policies[0]}, ${policies[1]} or ${policies[2]}`)
    .option('--cwd <dir>', 'working directory')
    .option('--env <k=v>', 'set a variable', collect)
    .option('--env-file <file>', 'read variables from a file', collect)
    .option('--interpreter <program>', 'what runs the script')
    .option('--ready <spec>', 'http://.. tcp://host:port exec:.. log:REGEX message notify fd:N')
    .option('--ready-timeout <duration>', 'a failed start after it (30s)')
    .option('--socket <[name=]addr>', 'listen there, and hand it over (LISTEN_FDS)', collect)
    .addOption(new Option('--log-format <format>', 'records on stderr').choices(['pretty', 'json']));
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
    new Option('--log-type <format>'),
    new Option('--watch [paths]'),
    new Option('--ignore-watch <list>'),
    new Option('--cron-restart <expression>'),
    new Option('--only <names>'),
  ];
}

/** Loaded only then: what understands schedules is large. @throws {GsupError} 2 for one that is none. */
export async function checkSchedule({ cronRestart }: TargetFlags): Promise<void> {
  if (cronRestart === undefined) return;
  const { cronProblem } = await import('../config/cron.ts');
  const problem = cronProblem(cronRestart);
  if (problem !== null)
    throw usageError(`--cron-restart "${cronRestart}" is no cron expression`, `expected "0 3 * * *": ${problem}`);
}

/** The service that the words and options of `command` describe. @throws {GsupError} 2 for a wrong option. */
export function serviceOfTarget(
  words: readonly [string, ...string[]],
  { uid, gid, ...flags }: TargetFlags,
  { isCommand, defaultRestart }: { readonly isCommand: boolean; readonly defaultRestart: RestartPolicy['policy'] },
): ServiceSpec {
  const program = programOf(words, isCommand, flags);
  return serviceFromFlags(
    { ...flags, ...(uid === undefined ? {} : { user: uid }), ...(gid === undefined ? {} : { group: gid }) },
    program,
    { cwd: process.cwd(), defaultName: nameFor(words[0]), defaultRestart },
  );
}

export type FileOptions = Omit<ForeignOptions, 'envName'> & {
  /** Without what the named services depend on. Default false. */
  readonly isAlone?: boolean;
  /** Options of the command that go with a file too. */
  readonly allowed?: readonly string[];
};

/** The services of `-c FILE`, for which no option of one service may be given; PM2's `--env NAME` and `--only` go with its files. */
export async function specOfFile(
  file: string,
  names: readonly string[],
  command: Command,
  { allowed = [], isAlone = false, ...foreign }: FileOptions = {},
): Promise<SupervisorSpec> {
  const { specFromFile } = await import('./config-file.ts');
  const { env = [], only = '' } = command.opts<TargetFlags>();
  const isName = env.length === 1 && !env[0]?.includes('=');
  const known = ['config', 'logFormat', 'json', 'only', ...(isName ? ['env'] : []), ...allowed];
  const given = Object.keys(command.opts()).find(
    (key) => !known.includes(key) && command.getOptionValueSource(key) === 'cli',
  );
  if (given !== undefined) {
    const name = command.options.find((option) => option.attributeName() === given)?.long ?? given;
    throw usageError(`${name} goes with one command, not with a file`, `set it in ${file}`);
  }
  const wanted = [...names, ...only.split(/[, ]+/).filter((name) => name !== '')];
  return specFromFile(file, wanted, { ...foreign, isAlone, envName: isName ? env[0] : undefined });
}

/** Whether a word is a file of services by its name: ours, an ecosystem file of PM2, a Procfile. */
export function isFileOfServices(word: string): boolean {
  const name = basename(word);
  if (['.yaml', '.yml'].includes(extname(name)) || /^Procfile(\.[\w.-]+)?$/.test(name)) return true;
  return /^(supervisor|ecosystem|process|pm2)\.config\.([mc]?js|[mc]?ts)$/.test(name);
}

/** Whether the target stands behind `--`: commander has taken the dashes away. */
export function startsWithDashes(fresh: Command): boolean {
  const words = process.argv.slice(process.argv.indexOf(fresh.name()) + 1);
  const dashes = words.indexOf('--');
  return dashes >= 0 && parsedWordsBefore(words.slice(0, dashes), fresh) === 0;
}

/** How many words before `--` are no options and no values of options. */
function parsedWordsBefore(words: readonly string[], fresh: Command): number {
  fresh.exitOverride().action(() => {});
  fresh.parse(words, { from: 'user' });
  return fresh.args.length;
}

/** A script when it is a file that names one, else a command that PATH may know. */
function programOf(words: readonly [string, ...string[]], isCommand: boolean, flags: TargetFlags): Program {
  const [first, ...args] = words;
  if (isCommand) return { kind: 'command', argv: words };
  if (flags.only !== undefined) throw usageError('--only goes with a file of services');
  if (isFileOfServices(first)) {
    throw usageError(`${first} is no script`, `to run the services of a file: gsup run -c ${first}`);
  }
  if (statSync(first, { throwIfNoEntry: false })?.isDirectory()) {
    throw new GsupError(`cannot execute ${first}: it is a directory`, {
      exitStatus: EXIT.notExecutable,
      hint: 'name a script in it',
    });
  }
  const looksLikeFile = first.includes('/') || extname(first) !== '' || flags.interpreter !== undefined;
  if (!existsSync(first) && !looksLikeFile) return { kind: 'command', argv: words };
  return { kind: 'script', script: resolve(first), args, interpreter: flags.interpreter ?? null, interpreterArgs: [] };
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
