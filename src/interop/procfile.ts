/** Procfiles → supervisor.yaml, read as foreman reads them; pure. */
import { type Diagnostic, formatDiagnostics } from '../config/diagnostic.ts';
import { plain } from '../config/source.ts';
import { EXIT, GsupError } from '../core/error.ts';
import { type ServiceInput, uniqueName } from './config.ts';
import type { Note } from './note.ts';
import type { Imported } from './pm2.ts';
import { shellLine } from './shell-line.ts';

export type ProcfileOptions = {
  /** For messages. */
  readonly file: string;
  /** PORT of the first process; each next one has 100 more. */
  readonly basePort: number;
  /** Whether there is a `.env` beside it. */
  readonly hasEnvFile: boolean;
  /** As foreman does it: when one of them ends, whatever its status, all do. Else each is restarted. */
  readonly endsTogether: boolean;
};

/** The key of a note that belongs into a file only. */
export const ENDS_KEY = 'when a process ends';
const ENDS_TOGETHER =
  'gsup restarts it, foreman ends them all; for that give each service critical: true and restart: { policy: never, successExitCodes: [] }';

export const FIRST_PORT = 5000;
const PORT_STEP = 100;

/** @throws {GsupError} 78 with the place of each line that is none. */
export function importProcfile(text: string, options: ProcfileOptions): Imported {
  const { basePort, hasEnvFile, endsTogether, file } = options;
  const { entries, problems } = parse(text, file);
  if (problems.length > 0)
    throw new GsupError(formatDiagnostics(problems, { colour: false }), { exitStatus: EXIT.config });
  const notes: Note[] = [];
  const names = new Set<string>();
  const services = entries.map(({ name: written, line }, index): [string, ServiceInput] => {
    const name = uniqueName(written, names);
    names.add(name);
    if (name !== written) notes.push({ service: name, key: written, message: `is no name here: it is ${name}` });
    const { stop, ...program } = shellLine(line);
    return [
      name,
      {
        ...program,
        ...(hasEnvFile ? { envFile: '.env' } : {}),
        env: { PORT: String(basePort + PORT_STEP * index) },
        // Two at once would want the same port.
        rolling: { maxSurge: 0 },
        ...(endsTogether ? { restart: { policy: 'never', successExitCodes: [] }, critical: true } : {}),
        ...(stop ? { stop } : {}),
      },
    ];
  });
  if (!endsTogether) notes.push({ service: null, key: ENDS_KEY, message: ENDS_TOGETHER });
  return { config: { services: Object.fromEntries(services) }, notes };
}

type Entry = { readonly name: string; readonly line: string };

/** Each line that is none, with its place. */
export function procfileProblems(text: string, file: string): readonly Diagnostic[] {
  return parse(text, file).problems;
}

function parse(
  text: string,
  file: string,
): { readonly entries: readonly Entry[]; readonly problems: readonly Diagnostic[] } {
  const problems: Diagnostic[] = [];
  const entries: Entry[] = [];
  const problem = (line: number, source: string, message: string) =>
    problems.push({ file, line, column: 1, length: source.length, message, source });
  for (const [index, whole] of text
    .replace(/^\uFEFF/, '')
    .split(/\r?\n/)
    .entries()) {
    const source = whole.trim();
    if (source === '' || source.startsWith('#')) continue;
    const [, name = '', line = ''] = /^([A-Za-z0-9_-]+):\s*(.+)$/.exec(source) ?? [];
    if (name === '') problem(index + 1, whole, 'expected "name: command"');
    else if (line.includes('\0')) problem(index + 1, whole, 'no program can be given a text with a NUL in it');
    else if (entries.some((entry) => entry.name === name)) problem(index + 1, whole, `the name ${name} is there twice`);
    else entries.push({ name, line });
  }
  if (problems.length === 0 && entries.length === 0)
    problems.push(plain(file, 'has no process; expected lines of "name: command"'));
  return { entries, problems };
}
