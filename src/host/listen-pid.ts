/** LISTEN_PID of systemd's protocol: only the process itself knows it, so a shell sets it and becomes the program. */

export type Launch = {
  readonly file: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
};

const IDENTIFIER = /^[A-Za-z_][A-Za-z0-9_]*$/;
/** What dash or bash set anew, whatever they were given. */
const SHELLS_OWN = new Set(['IFS', 'OPTIND', 'PPID', 'UID', 'EUID', 'BASHOPTS', 'SHELLOPTS']);

/**
 * The command with LISTEN_PID in its environment, under the same pid. A shell drops variables whose names are none of
 * its own kind, so env(1) sets those, and PWD, which it corrects, is put back as it was.
 */
export function withListenPid(file: string, args: readonly string[], env: Readonly<Record<string, string>>): Launch {
  const entries = Object.entries(env).filter(([name]) => name !== 'LISTEN_PID');
  const isKept = ([name]: [string, string]) => IDENTIFIER.test(name) && !SHELLS_OWN.has(name);
  const aside = entries.filter((entry) => !isKept(entry)).map(([name, value]) => `${name}=${value}`);
  const pwd = env['PWD'] === undefined ? (['unset PWD', []] as const) : (['PWD=$1; shift', [env['PWD']]] as const);
  const script = `${pwd[0]}; export LISTEN_PID=$$; exec "$@"`;
  const command = [...(aside.length === 0 ? [] : ['/usr/bin/env', '--', ...aside, ...plainly(file)]), file, ...args];
  return {
    file: '/bin/sh',
    args: ['-c', script, 'sh', ...pwd[1], ...command],
    env: Object.fromEntries(entries.filter(isKept)),
  };
}

/** env(1) takes a program with `=` in its path for one more variable; one that only executes it does not. */
function plainly(file: string): readonly string[] {
  return file.includes('=') ? ['nice', '-n', '0'] : [];
}
