/** The command line: finds the command, prints what went wrong, and answers with the exit status. */
import { Command, CommanderError } from 'commander';
import { EXIT, isGsupError } from '../core/error.ts';
import { logLevelIn } from '../core/log-level.ts';
import { toStderr, toStdout } from './print.ts';
import { report } from './report.ts';
import { VERSION } from './version.ts';

/** Each command's own file is loaded when it is wanted: V8 pays time and memory for every byte it parses. */
const COMMANDS = {
  run: async () => (await import('./commands/run.ts')).runCommand(),
  start: async () => (await import('./commands/start.ts')).startCommand(),
  stop: async () => (await import('./commands/control.ts')).stopCommand(),
  restart: async () => (await import('./commands/control.ts')).restartCommand(),
  reload: async () => (await import('./commands/control.ts')).reloadCommand(),
  delete: async () => (await import('./commands/control.ts')).deleteCommand(),
  scale: async () => (await import('./commands/control.ts')).scaleCommand(),
  signal: async () => (await import('./commands/control.ts')).signalCommand(),
  apply: async () => (await import('./commands/apply.ts')).applyCommand(),
  ls: async () => (await import('./commands/ls.ts')).lsCommand(),
  show: async () => (await import('./commands/ls.ts')).showCommand(),
  why: async () => (await import('./commands/why.ts')).whyCommand(),
  env: async () => (await import('./commands/ls.ts')).envCommand(),
  logs: async () => (await import('./commands/logs.ts')).logsCommand(),
  events: async () => (await import('./commands/logs.ts')).eventsCommand(),
  timeline: async () => (await import('./commands/timeline.ts')).timelineCommand(),
  top: async () => (await import('./commands/top.ts')).topCommand(),
  validate: async () => (await import('./commands/validate.ts')).validateCommand(),
  export: async () => (await import('./commands/export.ts')).exportCommand(),
  import: async () => (await import('./commands/import.ts')).importCommand(),
  init: async () => (await import('./commands/init.ts')).initCommand(),
  doctor: async () => (await import('./commands/doctor.ts')).doctorCommand(),
  drill: async () => (await import('./commands/drill.ts')).drillCommand(),
  daemon: async () => (await import('./commands/daemon.ts')).daemonCommand(),
  startup: async () => (await import('./commands/startup.ts')).startupCommand(),
  unstartup: async () => (await import('./commands/startup.ts')).unstartupCommand(),
  ping: async () => (await import('./commands/daemon.ts')).pingCommand(),
  kill: async () => (await import('./commands/daemon.ts')).killCommand(),
  update: async () => (await import('./commands/daemon.ts')).updateCommand(),
  completion: async () => (await import('./commands/completion.ts')).completionCommand(),
} as const;
type CommandName = keyof typeof COMMANDS;
const ALIASES: Readonly<Record<string, CommandName>> = {
  list: 'ls',
  status: 'ls',
  ps: 'ls',
  describe: 'show',
  info: 'show',
  'rolling-restart': 'reload',
  del: 'delete',
  rm: 'delete',
  sendSignal: 'signal',
};

/** Runs one command line (without node and script); resolves with the exit status. @throws what is not expected. */
export async function main(argv: readonly string[]): Promise<number> {
  try {
    logLevelIn(process.env);
    const program = await programFor(argv);
    await program.parseAsync(argv, { from: 'user' });
    return Number(process.exitCode ?? EXIT.done);
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.done : EXIT.usage;
    if (!isGsupError(error)) throw error;
    return report(error);
  }
}

async function programFor(argv: readonly string[]): Promise<Command> {
  const program = new Command('gsup')
    .description('A process supervisor with graceful shutdown, for Node and everything else.')
    .version(VERSION, '-V, --version')
    .helpCommand(false)
    .showHelpAfterError('(gsup --help lists the commands)')
    .addHelpText(
      'after',
      '\nExample:\n  gsup run app.js          supervise a script in the foreground\n  gsup start app.js        the same in the background, by the daemon\n  gsup ls                  what runs, and how it stands',
    );
  const wanted = argv.find((word) => !word.startsWith('-')) ?? '';
  const known = Object.keys(COMMANDS).find((name): name is CommandName => name === (ALIASES[wanted] ?? wanted));
  if (wanted !== 'run') endWhenNobodyReads();
  // Only one that is not known, help, or what is asked of all of them needs all.
  const wantsAll = known === 'completion' || (known === undefined && !isVersion(argv));
  const loads = wantsAll ? Object.values(COMMANDS) : known === undefined ? [] : [COMMANDS[known]];
  for (const load of loads) program.addCommand(strict(await load()));
  return strict(program);
}

function isVersion([first]: readonly string[]): boolean {
  return first === '--version' || first === '-V';
}

/** `gsup ls | head -1`: what is not read any more need not be written. A stderr that takes no more stops no command. */
function endWhenNobodyReads(): void {
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    // EIO: the terminal is gone.
    process.exit(error.code === 'EPIPE' || error.code === 'EIO' ? EXIT.done : report(error));
  });
  process.stderr.on('error', () => {});
}

function strict(command: Command): Command {
  return command.exitOverride().configureOutput({
    writeOut: (text) => void toStdout(text),
    writeErr: (text) => void toStderr(text),
    outputError: (text, write) => write(text.replace(/^error: /, 'gsup: ')),
  });
}
