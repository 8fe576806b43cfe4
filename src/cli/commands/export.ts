/** `gsup export`: the services of a file as another system's files, with notes of what that system doesn't have. */
import { existsSync, mkdirSync, readFileSync, realpathSync, statSync, writeFileSync } from 'node:fs';
import { basename, dirname, extname, join, resolve } from 'node:path';
import { Command } from 'commander';
import { EXIT, GsupError, usageError } from '../../core/error.ts';
import { nearest } from '../../core/name.ts';
import type { SupervisorSpec } from '../../core/service.ts';
import { exportCompose } from '../../interop/compose.ts';
import type { Exported, ExportOptions } from '../../interop/export.ts';
import { exportKubernetes } from '../../interop/kubernetes.ts';
import { exportNomad } from '../../interop/nomad.ts';
import { exportSystemd, type SystemdOptions } from '../../interop/systemd.ts';
import { defaultFile, specFromFile } from '../config-file.ts';
import { isNative, ownCommand, servicePath } from '../own-command.ts';
import { jsonText, toStderr, toStdout } from '../print.ts';

/** Each format's function; the names are what is typed. */
const FORMATS: Readonly<Record<string, (spec: SupervisorSpec, options: ExportOptions, flags: Flags) => Exported>> = {
  systemd: (spec, options, flags) => exportSystemd(spec, unitOptions(options, flags)),
  kubernetes: exportKubernetes,
  compose: exportCompose,
  nomad: exportNomad,
};
const NAMES = Object.keys(FORMATS).join(', ');

type Flags = {
  config?: string;
  output?: string;
  image?: string;
  namespace?: string;
  workdir: string;
  stateful?: string[];
  name?: string;
  user?: boolean;
  perService?: boolean;
  bundle?: boolean;
  force?: boolean;
  json?: boolean;
};

export function exportCommand(): Command {
  return new Command('export')
    .summary("write a file's services for systemd, Kubernetes, compose or Nomad")
    .description(
      `Prints the services of a file (default: ./supervisor.yaml) as another system's files. What that system does not have is told on stderr and in comments. FORMAT is one of ${NAMES}.`,
    )
    .argument('<format>')
    .option('-c, --config <file>', 'the services of a supervisor.yaml')
    .option('-o, --output <path>', 'write a file, or files into a folder')
    .option('--force', 'overwrite files that are there')
    .option('--image <name>', 'image of the containers')
    .option('--namespace <name>', 'of Kubernetes or Nomad')
    .option('--workdir <dir>', "where the file's folder is in the image", '/app')
    .option('--stateful <name>', 'a StatefulSet for it; may be repeated', (name: string, before: string[] = []) => [
      ...before,
      name,
    ])
    .option('--name <name>', "of systemd's unit (default: the file's folder)")
    .option('--user', "a unit for the user's own systemd")
    .option('--per-service', 'a unit for each service')
    .option('--bundle', 'one container, with gsup as its first process')
    .option('--json', 'print files and notes as JSON')
    .addHelpText(
      'after',
      '\nExamples:\n  gsup export systemd -o /etc/systemd/system/\n  gsup export kubernetes --image ghcr.io/me/app:1 -o k8s/',
    )
    .action(exportTo);
}

async function exportTo(format: string, flags: Flags): Promise<void> {
  const write = FORMATS[format];
  if (write === undefined) throw unknownFormat(format);
  if (!flags.workdir.startsWith('/'))
    throw usageError(`--workdir "${flags.workdir}" is relative`, 'it is a folder of the image: /app');
  const file = flags.config ?? defaultFile();
  const spec = await specFromFile(file, []);
  checkStateful(flags, format, spec);
  checkUnits(flags, format);
  const exported = write(spec, optionsOf(file, flags), flags);
  if (flags.json === true) {
    toStdout(jsonText(exported));
    return;
  }
  if (flags.output === undefined) toStdout(joined(exported.files));
  else writeFiles(flags.output, exported.files, flags.force === true);
  for (const note of exported.notes) toStderr(`${note}\n`);
}

function unknownFormat(format: string): GsupError {
  const near = nearest(format, Object.keys(FORMATS));
  return usageError(
    `"${format}" is no format to export to`,
    near === null ? `expected ${NAMES}` : `did you mean ${near}?`,
  );
}

function checkStateful({ stateful = [], bundle }: Flags, format: string, { services }: SupervisorSpec): void {
  if (stateful.length > 0 && format !== 'kubernetes') throw usageError('--stateful goes with kubernetes');
  if (stateful.length > 0 && bundle === true) throw usageError('--stateful and --bundle exclude each other');
  const known = services.map(({ name }) => name);
  const unknown = stateful.find((name) => !known.includes(name));
  if (unknown === undefined) return;
  throw new GsupError(`no service ${unknown} to be stateful`, {
    exitStatus: EXIT.noSuchService,
    hint: `the services are ${known.join(', ')}`,
  });
}

function checkUnits({ name, user, perService }: Flags, format: string): void {
  const given = { '--name': name, '--user': user, '--per-service': perService };
  const flag = Object.entries(given).find(([, value]) => value !== undefined)?.[0];
  if (flag !== undefined && format !== 'systemd') throw usageError(`${flag} goes with systemd`);
}

function unitOptions({ source }: ExportOptions, { name, user, perService }: Flags): SystemdOptions {
  const command = ownCommand();
  return {
    file: realpathSync(join(source.folder, source.name)),
    name: name ?? (basename(source.folder) || 'gsup'),
    command,
    path: servicePath(command),
    isForUser: user === true,
    isNative: isNative(),
    isPerService: perService === true,
  };
}

function optionsOf(file: string, { image, namespace, workdir, stateful, bundle }: Flags): ExportOptions {
  return {
    image: image ?? null,
    namespace: namespace ?? null,
    isBundle: bundle === true,
    stateful: stateful ?? [],
    workdir,
    source: {
      name: basename(file),
      folder: dirname(resolve(file)),
      text: readFileSync(file, 'utf8'),
      variables: process.env,
    },
  };
}

type Files = Exported['files'];

/** YAML has a line between documents; other texts are told apart by their names. */
function joined(files: Files): string {
  if (files.every(({ name }) => extname(name) === '.yaml')) return files.map(({ text }) => text).join('---\n');
  return files.length === 1 ? (files[0]?.text ?? '') : files.map(({ name, text }) => `# ${name}\n${text}`).join('\n');
}

/** A path with an extension is a file, anything else a folder. */
function writeFiles(output: string, files: Files, isForced: boolean): void {
  const isFolder = output.endsWith('/') || statSync(output, { throwIfNoEntry: false })?.isDirectory() === true;
  const isFile = !isFolder && extname(output) !== '';
  if (isFile && files.length > 1 && files.some(({ name }) => extname(name) !== '.yaml')) {
    const names = files.map(({ name }) => name).join(', ');
    throw usageError(`--output ${output} is one file, there are ${files.length}: ${names}`, 'name a folder');
  }
  const targets = isFile
    ? [{ path: output, text: joined(files) }]
    : files.map(({ name, text }) => ({ path: join(output, name), text }));
  const there = targets.find(({ path }) => existsSync(path));
  if (there !== undefined && !isForced) {
    throw new GsupError(`${there.path} is there already`, {
      exitStatus: EXIT.failed,
      hint: 'overwrite it with --force, or write elsewhere',
    });
  }
  for (const { path, text } of targets) writeTo(path, text, isForced);
}

function writeTo(path: string, text: string, isForced: boolean): void {
  try {
    mkdirSync(dirname(path), { recursive: true, mode: 0o755 });
    writeFileSync(path, text, { flag: isForced ? 'w' : 'wx' });
  } catch (cause) {
    throw new GsupError(`cannot write ${path}: ${(cause as Error).message}`, { exitStatus: EXIT.failed, cause });
  }
  toStderr(`wrote ${path}\n`);
}
