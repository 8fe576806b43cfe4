/** LISTEN_PID of systemd's protocol: only the process itself knows it, so a shell sets it and becomes the program. */
import { spawnSync } from 'node:child_process';

export type Launch = {
  readonly file: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
};

const IDENTIFIER = /^[A-Za-z_][A-Za-z0-9_]*$/;
/** What dash or bash set anew, whatever they were given. */
const SHELLS_OWN = new Set(['IFS', 'OPTIND', 'PPID', 'UID', 'EUID', 'BASHOPTS', 'SHELLOPTS']);
const ENV = '/usr/bin/env';
const CHECK_TIMEOUT_MS = 2_000;

/**
 * The command with LISTEN_PID in its environment, under the same pid. A shell drops variables whose names are not
 * identifiers, so these are passed under other names and renamed back by env(1). Every user can read command lines:
 * none of them contains a value of the environment but PWD, which a shell corrects and which is restored.
 */
export function withListenPid(file: string, args: readonly string[], env: Readonly<Record<string, string>>): Launch {
  const entries = Object.entries(env).filter(([name]) => name !== 'LISTEN_PID');
  const isKept = ([name]: [string, string]) => IDENTIFIER.test(name) && !SHELLS_OWN.has(name);
  const odd = entries.filter((entry) => !isKept(entry));
  const aside = odd.length > 0 && canRename() ? odd : [];
  if (aside.length < odd.length) warnOfLost(odd.map(([name]) => name));
  const pwd = env['PWD'] === undefined ? (['unset PWD', []] as const) : (['PWD=$1; shift', [env['PWD']]] as const);
  const script = `${pwd[0]}; export LISTEN_PID=$$; exec "$@"`;
  const command = [...(aside.length === 0 ? [] : [...renaming(aside.map(([name]) => name)), ...plainly(file)]), file];
  return {
    file: '/bin/sh',
    args: ['-c', script, 'sh', ...pwd[1], ...command, ...args],
    env: {
      ...Object.fromEntries(entries.filter(isKept)),
      ...Object.fromEntries(aside.map(([, value], index) => [asideName(index), value])),
    },
  };
}

function asideName(index: number): string {
  return `GSUP_ASIDE_${index}`;
}

/** `env -S` expands variables itself, so that its command line contains names only. */
function renaming(names: readonly string[]): readonly string[] {
  const removed = names.flatMap((_, index) => ['-u', asideName(index)]);
  const given = names.map((name, index) => `"${quoted(name)}=\${${asideName(index)}}"`);
  return [ENV, ...removed, '-S', `-- ${given.join(' ')}`];
}

/** Escapes a name for the double quotes of `env -S`. */
function quoted(name: string): string {
  return name.replace(/[\\"$]/g, '\\$&');
}

let isRenaming: boolean | undefined;

/** The env of busybox has no -S. */
function canRename(): boolean {
  isRenaming ??= spawnSync(ENV, ['-S', 'true'], { stdio: 'ignore', timeout: CHECK_TIMEOUT_MS }).status === 0;
  return isRenaming;
}

let hasWarned = false;

function warnOfLost(names: readonly string[]): void {
  if (hasWarned) return;
  hasWarned = true;
  process.emitWarning(
    `services with sockets do not get variables that a shell can't hold, because ${ENV} lacks -S: ${names.join(', ')}`,
  );
}

/** env(1) takes a program with `=` in its path for one more variable; one that only executes it does not. */
function plainly(file: string): readonly string[] {
  return file.includes('=') ? ['nice', '-n', '0'] : [];
}
