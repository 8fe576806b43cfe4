/** `gsup start`: hands a program, the services of a file, or stopped services to the daemon, and waits until they are up. */
import { existsSync, readFileSync } from 'node:fs';
import { basename, extname } from 'node:path';
import { Command } from 'commander';
import type { Client } from '../../api/client.ts';
import type { CallOf } from '../../api/inputs.ts';
import { EXIT, GsupError, isGsupError, usageError } from '../../core/error.ts';
import { differingKeys } from '../../core/plan.ts';
import type { ServiceSpec } from '../../core/service.ts';
import { connect, expectDaemon } from '../connect.ts';
import { ownEnvironment } from '../environment.ts';
import { type FollowOptions, follow } from '../operation.ts';
import {
  checkSchedule,
  isFileOfServices,
  serviceOfTarget,
  specOfFile,
  startsWithDashes,
  type TargetFlags,
  withServiceOptions,
} from '../target.ts';

type StartFlags = TargetFlags & { json?: boolean; updateEnv?: boolean };

const EXAMPLES = `
Examples:
  gsup start app.js --name api -i 2 --ready http://127.0.0.1:3000/readyz
  gsup start --name worker -- python3 worker.py --queue mail
  gsup start supervisor.yaml
  gsup start ecosystem.config.js --env production
  gsup start api`;

export function startCommand(): Command {
  return withServiceOptions(new Command('start'), 'always')
    .summary('hand a program, a file of services, or a stopped service to the daemon')
    .description(
      'Starts TARGET (a script, or a command after --), the services of FILE, or services by NAME, in the background.',
    )
    .usage('[options] TARGET [-- ARG...] | -- COMMAND... | FILE | NAME...')
    .argument('[target...]')
    .option('--update-env', "with NAME: take this command's environment")
    .option('--json', 'print the result as JSON')
    .addHelpText('after', EXAMPLES)
    .action(start);
}

async function start(words: string[], flags: StartFlags, command: Command): Promise<void> {
  await checkSchedule(flags);
  const [first, ...rest] = words;
  const file = flags.config ?? (first !== undefined && isConfigFile(first) ? first : undefined);
  if (file !== undefined) {
    const names = flags.config === undefined ? rest : words;
    process.exitCode = await startFile(file, names, command, flags);
    return;
  }
  if (first === undefined) {
    const hint =
      'name a script (gsup start app.js), a command (gsup start -- nginx), a file (gsup start supervisor.yaml) or a service';
    throw usageError('nothing to start', hint);
  }
  const isCommand = startsWithDashes(startCommand());
  const { client } = connect();
  if (!isCommand && !looksLikeFile(first) && (await isKnown(client, first))) {
    const environment = flags.updateEnv === true ? { environment: ownEnvironment() } : {};
    process.exitCode = await follow(client.start({ names: words, ...environment }), shown(words.join(', '), flags));
    return;
  }
  if (!isCommand && !looksLikeFile(first) && !existsSync(first)) {
    throw new GsupError(`no service, file or script ${first}`, {
      exitStatus: EXIT.noSuchService,
      hint: `for a command: gsup start -- ${words.join(' ')}; "gsup ls" lists the services`,
    });
  }
  const service = serviceOfTarget([first, ...rest], flags, { isCommand, defaultRestart: 'always' });
  await checkSameProgram(client, service);
  process.exitCode = await apply(client, [service], flags, service.name);
}

async function startFile(file: string, names: readonly string[], command: Command, flags: StartFlags): Promise<number> {
  expectDaemon();
  const { services, shutdownTimeoutMs, http } = await specOfFile(file, names, command);
  const { client } = connect();
  const what = services.map(({ name }) => name).join(', ');
  // What the file does not speak of stays as it is.
  const whole = {
    ...(shutdownTimeoutMs === null ? {} : { shutdownTimeoutMs }),
    ...(http == null ? {} : { http: { ...http, hosts: [...http.hosts] } }),
  };
  return apply(client, services, flags, what, whole);
}

function apply(
  client: Client,
  services: readonly ServiceSpec[],
  flags: StartFlags,
  what: string,
  whole: Pick<CallOf<'apply'>, 'shutdownTimeoutMs' | 'http'> = {},
): Promise<number> {
  const input = { services: [...services], environment: ownEnvironment(), isWhole: false, isDryRun: false, ...whole };
  return follow(client.apply(input), shown(what, flags));
}

function shown(what: string, { json, logFormat }: StartFlags): FollowOptions {
  return { what: `the start of ${what}`, isJson: json === true, isNdjson: logFormat === 'json' };
}

async function isKnown(client: Client, name: string): Promise<boolean> {
  if (name === 'all') return true;
  try {
    await client.show({ name });
    return true;
  } catch (error) {
    if (isGsupError(error) && error.exitStatus === EXIT.noSuchService) return false;
    throw error;
  }
}

/** A name is taken over by the same program only: two projects may well both have an app.js. */
async function checkSameProgram(client: Client, wanted: ServiceSpec): Promise<void> {
  if (!(await isKnown(client, wanted.name))) return;
  const { spec } = await client.show({ name: wanted.name });
  const differs = differingKeys(spec, wanted).some((key) => key === 'program' || key === 'cwd');
  if (!differs) return;
  throw new GsupError(`there is another service ${wanted.name} (${describe(spec)} in ${spec.cwd})`, {
    exitStatus: EXIT.failed,
    hint: `give this one a --name of its own, or remove the other first: gsup delete ${wanted.name}`,
  });
}

function describe({ program }: ServiceSpec): string {
  if (program.kind === 'command') return program.argv.join(' ');
  return program.kind === 'shell' ? program.line : basename(program.script);
}

function isConfigFile(word: string): boolean {
  if (isFileOfServices(word)) return true;
  if (!existsSync(word)) return false;
  // As PM2 takes any of them, but it may be a script, too.
  return (
    /\.json5?$/.test(word) || (/\.config\.[mc]?js$/.test(word) && /\b(apps|pm2)\b/.test(readFileSync(word, 'utf8')))
  );
}

function looksLikeFile(word: string): boolean {
  return word.includes('/') || ['.js', '.mjs', '.cjs', '.ts', '.py', '.sh'].includes(extname(word));
}
