/** `gsup import`: prints or writes the supervisor.yaml that an ecosystem file of PM2 or a Procfile means. */
import { existsSync, writeFileSync } from 'node:fs';
import { basename } from 'node:path';
import { Command } from 'commander';
import { type Diagnostic, formatDiagnostics } from '../../config/diagnostic.ts';
import { checkSource } from '../../config/read.ts';
import { plain, readSource } from '../../config/source.ts';
import { EXIT, GsupError } from '../../core/error.ts';
import { importFile, prefixFor, rebased } from '../../interop/foreign.ts';
import { importedText } from '../../interop/imported-text.ts';
import type { Note } from '../../interop/note.ts';
import { jsonText, toStderr, toStdout } from '../print.ts';

type Flags = { output?: string; force?: boolean; env?: string; json?: boolean };

export function importCommand(): Command {
  return new Command('import')
    .summary('turn an ecosystem file of PM2, or a Procfile, into a supervisor.yaml')
    .description(
      'Prints the supervisor.yaml that FILE means: an ecosystem file of PM2 (js, cjs, mjs, json, yaml) or a Procfile. What has no counterpart is told on stderr, and stands as a comment at its place. Paths are meant for a file beside FILE, or where -o says.',
    )
    .argument('<file>')
    .option('-o, --output <file>', 'write it there instead of printing it')
    .option('-f, --force', 'overwrite a file that is there')
    .option('--env <name>', "PM2's env_NAME over env")
    .option('--json', 'print the configuration and the notes as JSON')
    .addHelpText('after', '\nExample:\n  gsup import ecosystem.config.js -o supervisor.yaml && gsup validate')
    .action(importForeign);
}

async function importForeign(file: string, { output, force, env, json }: Flags): Promise<void> {
  if (output !== undefined && existsSync(output) && force !== true) {
    throw new GsupError(`${output} is there already`, {
      exitStatus: EXIT.failed,
      hint: 'overwrite it with --force, or write another with -o FILE',
    });
  }
  const imported = await importFile(file, { env: process.env, envName: env ?? null, endsTogether: false });
  if (imported === null) throw await unknown(file);
  if (!imported.ok) throw refuse(imported.problems);
  const { config, notes } = imported;
  // What we write has to be right where the file itself is.
  const locate = ({ message }: { readonly message: string }) => plain(file, message);
  const checked = checkSource(file, { ok: true, value: config, problems: [], locate });
  if (!checked.ok) throw refuse(checked.problems);
  const placed = output === undefined ? config : rebased(config, prefixFor(file, output));
  const text =
    json === true
      ? jsonText({ config: placed, notes })
      : importedText(
          placed,
          notes,
          `From ${basename(file)}, by "gsup import". What follows a service as a comment has no counterpart, or another meaning.`,
        );
  if (output === undefined) toStdout(text);
  else write(output, text, force === true);
  if (json !== true) tell(file, notes);
  if (output !== undefined) toStderr(`wrote ${output}; next: gsup validate ${output}\n`);
}

async function unknown(file: string): Promise<GsupError> {
  const source = await readSource(file, null);
  if (!source.ok) return refuse(source.problems);
  return new GsupError(`${file}: is neither an ecosystem file of PM2 nor a Procfile`, {
    exitStatus: EXIT.config,
    hint: 'an ecosystem file has apps, a Procfile has lines of "name: command"',
  });
}

function refuse(problems: readonly Diagnostic[]): GsupError {
  return new GsupError(formatDiagnostics(problems, { colour: false }), { exitStatus: EXIT.config });
}

function tell(file: string, notes: readonly Note[]): void {
  for (const { service, key, message } of notes) {
    toStderr(`${file}: ${service === null ? '' : `${service}: `}${key}: ${message}\n`);
  }
}

function write(file: string, text: string, isForced: boolean): void {
  try {
    writeFileSync(file, text, { flag: isForced ? 'w' : 'wx' });
  } catch (cause) {
    throw new GsupError(`cannot write ${file}: ${(cause as Error).message}`, { exitStatus: EXIT.failed, cause });
  }
}
