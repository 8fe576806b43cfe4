/** `gsup startup`, `unstartup`: the systemd unit that runs the daemon, installed and removed. */
import { existsSync, mkdirSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { homedir, userInfo } from 'node:os';
import { join, resolve } from 'node:path';
import { Command } from 'commander';
import { execa } from 'execa';
import { homeOf } from '../../api/home.ts';
import { stopBudget } from '../../core/budget.ts';
import { EXIT, GsupError, usageError } from '../../core/error.ts';
import { daemonUnit, MARK } from '../../interop/systemd-daemon.ts';
import { unitName } from '../../interop/unit-file.ts';
import { specFromFile } from '../config-file.ts';
import { isNative, ownCommand, servicePath } from '../own-command.ts';
import { toStderr, toStdout } from '../print.ts';

type Flags = {
  config?: string;
  name: string;
  user?: boolean;
  as?: string;
  home?: string;
  dryRun?: boolean;
  force?: boolean;
};
/** The two managers that systemd is. */
type Scope = { readonly isForUser: boolean; readonly folder: string; readonly systemctl: readonly string[] };

const COMMAND_CEILING_MS = 120_000;

export function startupCommand(): Command {
  return withScope(new Command('startup'))
    .summary('install the systemd unit that runs the daemon')
    .description(
      'Installs the systemd unit that runs the daemon: as root for the system, else for the user. Prints what it does. A daemon that runs already hands its services over.',
    )
    .option('-c, --config <file>', 'services to be applied when it begins')
    .option('--as <user>', 'whom the daemon runs as, in a unit of the system')
    .option('--home <dir>', 'its home (default: GSUP_HOME, else ~/.gsup of whom it runs as)')
    .option('-f, --force', 'replace a unit that gsup has not written')
    .addHelpText('after', '\nExample:\n  gsup startup -c /etc/gsup/supervisor.yaml --dry-run')
    .action(startup);
}

export function unstartupCommand(): Command {
  return withScope(new Command('unstartup'))
    .summary('remove that unit')
    .description('Stops the daemon that the unit runs, with its services, and removes the unit. Prints what it does.')
    .addHelpText('after', '\nExample:\n  gsup unstartup --dry-run')
    .action(unstartup);
}

function withScope(command: Command): Command {
  return command
    .option('--name <name>', 'of the unit', 'gsup')
    .option('--user', "for the user's own systemd (default when not root)")
    .option('--dry-run', 'print what would be done, and do nothing');
}

async function startup(flags: Flags): Promise<void> {
  const scope = scopeOf(flags);
  if (flags.as !== undefined && scope.isForUser)
    throw usageError('--as goes with a unit of the system', 'leave out --user, or run it as root');
  const path = join(scope.folder, `${unitName(flags.name)}.service`);
  const text = await unitFor(flags, scope);
  refuseForeign(path, flags.force === true);
  const commands = [
    [...scope.systemctl, 'daemon-reload'],
    [...scope.systemctl, 'enable', '--now', `${unitName(flags.name)}.service`],
  ];
  if (flags.dryRun === true) {
    toStdout(`# ${path}\n${text}`);
    toStderr(['would do:', `  write ${path}`, ...commands.map((argv) => `  ${argv.join(' ')}`), ''].join('\n'));
    return;
  }
  checkSystemd(scope);
  tell(`write ${path}`);
  try {
    mkdirSync(scope.folder, { recursive: true, mode: 0o755 });
    writeFileSync(path, text, { mode: 0o644 });
  } catch (cause) {
    throw new GsupError(`cannot write ${path}: ${(cause as Error).message}`, { exitStatus: EXIT.failed, cause });
  }
  for (const argv of commands) await run(argv);
  if (scope.isForUser && !isLingering())
    toStderr(`it ends when you log out; "loginctl enable-linger" keeps it, and starts it at boot\n`);
}

async function unstartup(flags: Flags): Promise<void> {
  const scope = scopeOf(flags);
  const unit = `${unitName(flags.name)}.service`;
  const path = join(scope.folder, unit);
  if (!existsSync(path))
    throw new GsupError(`nothing to remove: there is no ${path}`, {
      exitStatus: EXIT.failed,
      hint: scope.isForUser ? 'for the unit of the system run it as root' : 'for the unit of a user add --user',
    });
  refuseForeign(path, flags.force === true);
  const steps = [
    {
      what: [...scope.systemctl, 'disable', '--now', unit].join(' '),
      argv: [...scope.systemctl, 'disable', '--now', unit],
    },
    { what: `remove ${path}`, argv: null },
    { what: [...scope.systemctl, 'daemon-reload'].join(' '), argv: [...scope.systemctl, 'daemon-reload'] },
  ];
  if (flags.dryRun === true) {
    toStderr(['would do:', ...steps.map(({ what }) => `  ${what}`), ''].join('\n'));
    return;
  }
  checkSystemd(scope);
  for (const { what, argv } of steps) {
    if (argv !== null) await run(argv);
    else {
      tell(what);
      rmSync(path);
    }
  }
}

async function unitFor({ config, as, home }: Flags, { isForUser }: Scope): Promise<string> {
  const file = config === undefined ? null : realpathSync(existing(config));
  const spec = file === null ? null : await specFromFile(file, []);
  const budget = spec === null ? null : stopBudget(spec);
  const command = ownCommand();
  return daemonUnit({
    command,
    home: homeFor(home, as),
    file,
    stopMs: budget === null ? null : Math.min(budget.pathMs, budget.timeoutMs ?? budget.pathMs),
    path: servicePath(command),
    user: as ?? null,
    isForUser,
    isNative: isNative(),
  });
}

function existing(file: string): string {
  if (existsSync(file)) return resolve(file);
  throw new GsupError(`cannot read ${file}: it does not exist`, { exitStatus: EXIT.config });
}

function homeFor(home: string | undefined, as: string | undefined): string {
  if (home !== undefined) return resolve(home);
  if (as === undefined) return homeOf(process.env).folder;
  const entry = readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .map((line) => line.split(':'))
    .find(([name]) => name === as);
  if (entry?.[5] === undefined)
    throw usageError(`--as ${as}: there is no such user in /etc/passwd`, 'name its home with --home');
  return join(entry[5], '.gsup');
}

function scopeOf({ user }: Flags): Scope {
  const isForUser = user === true || process.getuid?.() !== 0;
  if (!isForUser) return { isForUser, folder: '/etc/systemd/system', systemctl: ['systemctl'] };
  const config = process.env['XDG_CONFIG_HOME'] || join(homedir(), '.config');
  return { isForUser, folder: join(config, 'systemd/user'), systemctl: ['systemctl', '--user'] };
}

/** A unit that somebody else has written is theirs. */
function refuseForeign(path: string, isForced: boolean): void {
  if (isForced || !existsSync(path) || readFileSync(path, 'utf8').startsWith(`# ${MARK}`)) return;
  throw new GsupError(`${path} is there already, and not written by gsup startup`, {
    exitStatus: EXIT.failed,
    hint: 'choose another --name, or replace it with --force',
  });
}

/** sd_booted(3) for the system; a user's manager has its socket in XDG_RUNTIME_DIR. */
function checkSystemd({ isForUser }: Scope): void {
  const runtime = process.env['XDG_RUNTIME_DIR'];
  const there = isForUser
    ? runtime !== undefined && existsSync(join(runtime, 'systemd'))
    : existsSync('/run/systemd/system');
  if (there) return;
  const whose = isForUser
    ? 'systemd does not run for this user (XDG_RUNTIME_DIR has no systemd)'
    : 'systemd does not run here';
  throw new GsupError(`cannot install a unit: ${whose}`, {
    exitStatus: EXIT.failed,
    hint: 'see it with --dry-run; in a container "gsup run" is what starts first',
  });
}

async function run(argv: readonly string[]): Promise<void> {
  tell(argv.join(' '));
  const [file = '', ...args] = argv;
  const { exitCode, stderr, failed, shortMessage } = await execa(file, args, {
    reject: false,
    timeout: COMMAND_CEILING_MS,
    stdin: 'ignore',
  });
  if (!failed) return;
  throw new GsupError(`${argv.join(' ')} failed: ${(stderr ?? '').trim() || shortMessage}`, {
    exitStatus: EXIT.failed,
    hint: exitCode === undefined ? 'is systemd installed?' : 'systemctl status and journalctl -u tell more',
  });
}

function isLingering(): boolean {
  return existsSync(join('/var/lib/systemd/linger', userInfo().username));
}

function tell(what: string): void {
  toStderr(`gsup: ${what}\n`);
}
