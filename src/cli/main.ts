/** The command line: finds the command, prints what went wrong, and answers with the exit status. */
import { Command, type CommanderError } from 'commander';
import { EXIT, isGsupError } from '../core/error.ts';
import { runCommand } from './commands/run.ts';
import { VERSION } from './version.ts';

const LAZY = {
  validate: async () => (await import('./commands/validate.ts')).validateCommand(),
  init: async () => (await import('./commands/init.ts')).initCommand(),
} as const;

/** Runs one command line (without node and script); resolves with the exit status. */
export async function main(argv: readonly string[]): Promise<number> {
  try {
    const program = await programFor(argv);
    await program.parseAsync(argv, { from: 'user' });
    return Number(process.exitCode ?? EXIT.done);
  } catch (error) {
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
      '\nExample:\n  gsup run app.js          supervise a script in the foreground\n  gsup run -c supervisor.yaml   the services of a file',
    );
  const commands = [runCommand()];
  const wanted = argv.find((word) => !word.startsWith('-'));
  // Only `run` is in a hurry: the others are loaded when they are wanted, or shown by help.
  if (wanted !== 'run') commands.push(await LAZY.validate(), await LAZY.init());
  for (const command of commands) program.addCommand(strict(command));
  return strict(program);
}

function strict(command: Command): Command {
  return command.exitOverride().configureOutput({
    outputError: (text, write) => write(text.replace(/^error: /, 'gsup: ')),
  });
}

function report(error: unknown): number {
  if (isCommanderError(error)) return error.exitCode === 0 ? EXIT.done : EXIT.usage;
  if (!isGsupError(error)) throw error;
  process.stderr.write(`${error.exitStatus === EXIT.config ? '' : 'gsup: '}${error.message}\n`);
  if (error.hint !== undefined) process.stderr.write(`  ${error.hint}\n`);
  return error.exitStatus;
}

/** Lazily loaded commands bring a class of their own, whose name the bundler has shortened. */
function isCommanderError(error: unknown): error is CommanderError {
  return error instanceof Error && 'code' in error && String(error.code).startsWith('commander.');
}
