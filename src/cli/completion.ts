/** What may stand at the end of a command line that is being typed. */
import type { Argument, Command, Option } from 'commander';
import { SIGNAL_NAMES } from '../core/signal.ts';

/** Words; `names` stands for services and instances, `files` for what a shell completes by itself. */
export type Candidates = { readonly words: readonly string[] } | 'names' | 'files';

/** `words`: what has been typed behind `gsup`, the one under the cursor last (it may be empty). */
export function candidatesFor(program: Command, words: readonly string[]): Candidates {
  const [first = '', ...rest] = words;
  if (rest.length === 0) return { words: first.startsWith('-') ? flagsOf(program) : namesOf(program) };
  const command = program.commands.find((one) => one.name() === first || one.aliases().includes(first));
  if (command === undefined) return { words: [] };
  const typed = rest.slice(0, -1);
  const current = rest.at(-1) ?? '';
  if (typed.includes('--')) return 'files';
  const option = optionWithValue(command, typed.at(-1));
  if (option !== undefined) return option.argChoices === undefined ? 'files' : { words: option.argChoices };
  if (current.startsWith('-')) return { words: flagsOf(command) };
  return ofArgument(command, positionOf(command, typed));
}

function ofArgument({ registeredArguments: all }: Command, position: number): Candidates {
  const argument: Argument | undefined = all[position] ?? all.findLast(({ variadic }) => variadic);
  if (argument === undefined) return { words: [] };
  if (argument.argChoices !== undefined) return { words: argument.argChoices };
  if (argument.name() === 'signal') return { words: SIGNAL_NAMES };
  return argument.name() === 'name' ? 'names' : 'files';
}

/** Which of its arguments comes next. */
function positionOf(command: Command, typed: readonly string[]): number {
  return typed.filter((word, at) => !word.startsWith('-') && optionWithValue(command, typed[at - 1]) === undefined)
    .length;
}

function optionWithValue({ options }: Command, word: string | undefined): Option | undefined {
  if (word === undefined || !word.startsWith('-')) return undefined;
  return options.find(({ long, short, required, optional }) => (required || optional) && [long, short].includes(word));
}

function namesOf({ commands }: Command): readonly string[] {
  return commands.map((command) => command.name());
}

function flagsOf({ options }: Command): readonly string[] {
  return ['--help', ...options.filter(({ hidden }) => !hidden).flatMap(({ long }) => long ?? [])];
}
