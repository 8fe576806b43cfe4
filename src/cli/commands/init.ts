/** `gsup init`: writes a commented supervisor.yaml for the folder it finds. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { Command } from 'commander';
import { EXIT, GsupError } from '../../core/error.ts';
import { shellLine } from '../../interop/shell-line.ts';
import { toStderr } from '../print.ts';

type Found = { readonly name: string; readonly lines: readonly string[]; readonly why: string };
type Flags = { force?: boolean; output: string };

const SCRIPTS = ['server', 'index', 'app', 'main'].flatMap((name) =>
  ['', 'src/'].flatMap((folder) => ['js', 'mjs', 'cjs', 'ts'].map((extension) => `${folder}${name}.${extension}`)),
);

export function initCommand(): Command {
  return new Command('init')
    .summary('write a commented supervisor.yaml for this folder')
    .description(
      'Writes a commented supervisor.yaml for what it finds in this folder: package.json, Procfile, scripts.',
    )
    .option('-f, --force', 'overwrite a file that is there')
    .option('-o, --output <file>', 'where to', 'supervisor.yaml')
    .addHelpText('after', '\nExample:\n  gsup init && gsup validate && gsup run -c supervisor.yaml')
    .action(init);
}

async function init({ force, output }: Flags): Promise<void> {
  if (existsSync(output) && force !== true) {
    throw new GsupError(`${output} is there already`, {
      exitStatus: EXIT.failed,
      hint: 'overwrite it with --force, or write another with -o FILE',
    });
  }
  const found = findServices(dirname(output));
  try {
    writeFileSync(output, fileText(found), { flag: force === true ? 'w' : 'wx' });
  } catch (cause) {
    throw new GsupError(`cannot write ${output}: ${(cause as Error).message}`, { exitStatus: EXIT.failed, cause });
  }
  const names = found.map(({ name, why }) => `${name} (${why})`).join(', ');
  toStderr(
    found.length > 0
      ? `wrote ${output}: ${names}\n`
      : `wrote ${output} with an example: nothing to run was found here\n`,
  );
  toStderr(`next: gsup validate ${output}, then gsup run -c ${output}\n`);
}

function findServices(folder: string): readonly Found[] {
  const fromProcfile = procfile(join(folder, 'Procfile'));
  if (fromProcfile.length > 0) return fromProcfile;
  const fromPackage = packageJson(folder);
  if (fromPackage !== null) return [fromPackage];
  const script = [...SCRIPTS, 'main.py', 'app.py', 'server.py'].find((file) => existsSync(join(folder, file)));
  return script === undefined ? [] : [{ name: 'app', lines: [`script: ${script}`], why: script }];
}

function procfile(file: string): readonly Found[] {
  if (!existsSync(file)) return [];
  return readFileSync(file, 'utf8')
    .split('\n')
    .flatMap((line): Found[] => {
      const match = /^([A-Za-z0-9][A-Za-z0-9_-]*):\s*(.+)$/.exec(line.trimEnd());
      if (!match?.[1] || !match[2] || match[1] === 'all') return [];
      // A Procfile's lines are given to a shell by everything that reads them.
      return [
        { name: match[1], lines: [`command: ${quoted(shellLine(match[2]).command)}`, 'shell: true'], why: 'Procfile' },
      ];
    });
}

function packageJson(folder: string): Found | null {
  const file = join(folder, 'package.json');
  if (!existsSync(file)) return null;
  let content: { name?: unknown; main?: unknown; scripts?: { start?: unknown } };
  try {
    content = JSON.parse(readFileSync(file, 'utf8'));
  } catch (cause) {
    throw new GsupError(`${file} is no JSON`, { exitStatus: EXIT.failed, hint: 'mend it first', cause });
  }
  const name = serviceName(content.name);
  const start = typeof content.scripts?.start === 'string' ? content.scripts.start : null;
  const direct = start === null ? null : /^node\s+([^\s|&;<>$`]+)$/.exec(start)?.[1];
  if (direct) return { name, lines: [`script: ${quoted(direct)}`], why: 'scripts.start of package.json' };
  const script = [content.main, ...SCRIPTS].find((one) => typeof one === 'string' && existsSync(join(folder, one)));
  if (start !== null) {
    return {
      name,
      lines: [`command: ${quoted(shellLine(start).command)}`, 'shell: true # as npm start does'],
      why: 'scripts.start of package.json',
    };
  }
  return typeof script === 'string' ? { name, lines: [`script: ${quoted(script)}`], why: script } : null;
}

function serviceName(name: unknown): string {
  const plain = basename(typeof name === 'string' ? name : '')
    .replace(/[^A-Za-z0-9_.-]/g, '')
    .replace(/^[^A-Za-z0-9]+/, '');
  return plain === '' || plain === 'all' ? 'app' : plain.slice(0, 64);
}

/** A YAML value: quoted as JSON, and `${` escaped so that it stays the shell's. */
function quoted(text: string): string {
  return /^[\w./-]+$/.test(text) ? text : JSON.stringify(text.replaceAll('${', () => '$${'));
}

function fileText(found: readonly Found[]): string {
  const services =
    found.length > 0 ? found : [{ name: 'app', lines: ['command: sleep 1000 # your program here'], why: '' }];
  const entries = services.map(
    ({ name, lines }) => `  ${name}:\n${lines.map((line) => `    ${line}`).join('\n')}${COMMENTS}`,
  );
  return `# What gsup supervises. Check it with "gsup validate", run it with "gsup run -c supervisor.yaml".\nshutdown: { timeout: 45s } # for everything together\nservices:\n${entries.join('\n')}\n`;
}

const COMMENTS = `
    # env: { PORT: "3000" }
    # ready: { http: "http://127.0.0.1:3000/readyz" } # or tcp, log, exec, message
    # restart: { policy: always } # or on-failure, never
    stop: { grace: 10s } # from the stop signal to SIGKILL`;
