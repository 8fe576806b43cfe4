/** `gsup completion`: scripts by which a shell completes command lines; they ask `gsup completion --ask`. */
import { Command, Option } from 'commander';
import { usageError } from '../../core/error.ts';
import { candidatesFor } from '../completion.ts';
import { connectIfRunning } from '../connect.ts';
import { toStdout } from '../print.ts';

const BASH = `_gsup() {
  local line=\${COMP_LINE:0:COMP_POINT} current
  local -a words
  read -ra words <<< "$line"
  [[ $line == *[[:space:]] ]] && words+=("")
  current=\${words[-1]}
  local IFS=$'\\n'
  COMPREPLY=($(gsup completion --ask -- "\${words[@]:1}" 2>/dev/null))
  # bash takes the colon of api:1 for the end of a word.
  [[ $current == *:* && $COMP_WORDBREAKS == *:* ]] && COMPREPLY=("\${COMPREPLY[@]#"\${current%"\${current##*:}"}"}")
  return 0
}
complete -o default -F _gsup gsup
`;

const ZSH = `#compdef gsup
_gsup() {
  local -a found
  found=("\${(@f)$(gsup completion --ask -- "\${(@)words[2,CURRENT]}" 2>/dev/null)}")
  if [[ -n "$found" ]]; then compadd -- $found; else _files; fi
}
compdef _gsup gsup
`;

const FISH = `complete -c gsup -a '(gsup completion --ask -- (commandline -opc)[2..] (commandline -ct) 2>/dev/null)'
`;

const SCRIPTS: Readonly<Record<string, string>> = { bash: BASH, zsh: ZSH, fish: FISH };

export function completionCommand(): Command {
  return new Command('completion')
    .summary('print a script that completes command lines in a shell')
    .description('Prints a script for bash, zsh or fish: commands, options, and the names of services that there are.')
    .argument('[shell...]', 'bash, zsh or fish')
    .addOption(new Option('--ask').hideHelp())
    .addHelpText(
      'after',
      '\nExamples:\n  source <(gsup completion bash)\n  gsup completion zsh > "${fpath[1]}/_gsup"\n  gsup completion fish > ~/.config/fish/completions/gsup.fish',
    )
    .action(completion);
}

async function completion(words: string[], { ask }: { ask?: boolean }, command: Command): Promise<void> {
  if (ask === true) {
    const current = words.at(-1) ?? '';
    const found = (await candidates(command, words)).filter((word) => word.startsWith(current));
    toStdout(found.map((word) => `${word}\n`).join(''));
    return;
  }
  const [shell = '', ...more] = words;
  const script = Object.hasOwn(SCRIPTS, shell) ? SCRIPTS[shell] : undefined;
  if (script === undefined || more.length > 0)
    throw usageError(
      words.length === 0 ? 'a completion for which shell?' : `no completion for "${words.join(' ')}"`,
      'bash, zsh or fish',
    );
  toStdout(script);
}

async function candidates({ parent }: Command, words: readonly string[]): Promise<readonly string[]> {
  const found = parent === null ? 'files' : candidatesFor(parent, words);
  if (found === 'files') return [];
  return found === 'names' ? serviceNames() : found.words;
}

/** Of the daemon that runs; none is started for it. */
async function serviceNames(): Promise<readonly string[]> {
  const connection = await connectIfRunning();
  if (connection === null) return [];
  const views = await connection.client.list({});
  return [...new Set(views.flatMap(({ service, instance }) => [service, instance])), 'all'];
}
