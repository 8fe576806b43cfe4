/** The environment of an instance: inherited, then its env files, then its own, then what gsup adds. */
import { readFileSync } from 'node:fs';
import { parseEnv } from 'node:util';
import { EXIT, GsupError } from '../core/error.ts';
import type { ServiceSpec } from '../core/service.ts';

/** What `inheritEnv: false` still passes on. */
const BASE = ['PATH', 'HOME', 'USER', 'LOGNAME', 'SHELL', 'LANG', 'LC_ALL', 'TZ', 'TMPDIR', 'TERM'];
/** What of an outer supervisor or npm's own Node must not reach an instance. */
const NOT_INHERITED = [
  'GSUP_SERVICE',
  'GSUP_INSTANCE',
  'GSUP_ID',
  'GSUP_LINK',
  'GSUP_GRACE_MS',
  'NODE_CHANNEL_FD',
  'NODE_CHANNEL_SERIALIZATION_MODE',
  'LISTEN_FDS',
  'LISTEN_PID',
  'LISTEN_FDNAMES',
  'NOTIFY_SOCKET',
  'WATCHDOG_USEC',
  'WATCHDOG_PID',
  'GSUP_SOCKETS',
];

/** @throws {GsupError} when an env file can't be read. */
export function instanceEnvironment(
  spec: ServiceSpec,
  index: number,
  run: { readonly token: string; readonly linkPath: string | null },
  inherited: Readonly<Record<string, string | undefined>>,
): Record<string, string> {
  // A variable may be called as what each object has.
  const environment: Record<string, string> = Object.create(null);
  for (const [name, value] of Object.entries(inherited)) {
    if (value === undefined || NOT_INHERITED.includes(name)) continue;
    if (spec.inheritEnv || BASE.includes(name)) environment[name] = value;
  }
  for (const file of spec.envFiles) Object.assign(environment, readEnvFile(file));
  Object.assign(environment, spec.env);
  environment['GSUP_SERVICE'] = spec.name;
  environment['GSUP_INSTANCE'] = String(index);
  environment['GSUP_ID'] = run.token;
  if (run.linkPath !== null) environment['GSUP_LINK'] = run.linkPath;
  environment['GSUP_GRACE_MS'] = String(spec.stop.graceMs);
  environment['NODE_APP_INSTANCE'] = String(index);
  return environment;
}

/** The same as far as it can be known: without env files that can't be read. */
export function knownEnvironment(...[spec, index, run, inherited]: Parameters<typeof instanceEnvironment>) {
  try {
    return instanceEnvironment(spec, index, run, inherited);
  } catch {
    return instanceEnvironment({ ...spec, envFiles: [] }, index, run, inherited);
  }
}

function readEnvFile(file: string): Record<string, string> {
  try {
    return parseEnv(readFileSync(file, 'utf8')) as Record<string, string>;
  } catch (cause) {
    const why = (cause as NodeJS.ErrnoException).code === 'ENOENT' ? 'it does not exist' : (cause as Error).message;
    throw new GsupError(`cannot read the env file ${file}: ${why}`, { exitStatus: EXIT.notExecutable, cause });
  }
}
