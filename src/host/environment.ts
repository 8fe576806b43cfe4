/** The environment of an instance: inherited, then its env files, then its own, then what gsup adds. */
import { parseEnv } from 'node:util';
import { EXIT, GsupError, isGsupError } from '../core/error.ts';
import type { ServiceSpec } from '../core/service.ts';
import { type Identity, identityOf, isOtherUser } from './identity.ts';
import { FileError, readWhole } from './service-file.ts';

/** What `inheritEnv: false` still passes on. */
const BASE = ['PATH', 'HOME', 'USER', 'LOGNAME', 'SHELL', 'LANG', 'LC_ALL', 'TZ', 'TMPDIR', 'TERM'];
/** Variables of BASE that are specific to the user that gsup runs as. */
const PERSONAL = ['HOME', 'USER', 'LOGNAME', 'SHELL', 'TMPDIR'];
/** Limit for an env file, which an untrusted user may have written. */
const ENV_FILE_BYTES = 1024 * 1024;
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

/** @throws {GsupError} when an env file can't be read or the user is unknown. */
export function instanceEnvironment(
  spec: ServiceSpec,
  index: number,
  run: { readonly token: string; readonly linkPath: string | null },
  inherited: Readonly<Record<string, string | undefined>>,
): Record<string, string> {
  const identity = identityOf(spec);
  // A variable may be called as what each object has.
  const environment: Record<string, string> = Object.create(null);
  Object.assign(environment, inheritedBy(spec, identity, inherited), accountVariables(identity));
  for (const file of spec.envFiles) Object.assign(environment, readEnvFile(file, spec, identity));
  Object.assign(environment, spec.env);
  environment['GSUP_SERVICE'] = spec.name;
  environment['GSUP_INSTANCE'] = String(index);
  environment['GSUP_ID'] = run.token;
  if (run.linkPath !== null) environment['GSUP_LINK'] = run.linkPath;
  environment['GSUP_GRACE_MS'] = String(spec.stop.graceMs);
  environment['NODE_APP_INSTANCE'] = String(index);
  return environment;
}

/** The same as far as it can be known, for masking: without env files that can't be read, and users that do not exist. */
export function knownEnvironment(...[spec, index, run, inherited]: Parameters<typeof instanceEnvironment>) {
  const attempts = [spec, { ...spec, envFiles: [] }];
  for (const one of attempts) {
    try {
      return instanceEnvironment(one, index, run, inherited);
    } catch (error) {
      if (!isGsupError(error)) throw error;
    }
  }
  return instanceEnvironment({ ...spec, envFiles: [], user: null, group: null }, index, run, inherited);
}

function inheritedBy(
  { inheritEnv }: ServiceSpec,
  identity: Identity | null,
  inherited: Readonly<Record<string, string | undefined>>,
): Record<string, string> {
  const isOther = isOtherUser(identity);
  const isWhole = inheritEnv ?? !isOther;
  const base = BASE.filter((name) => !isOther || !PERSONAL.includes(name));
  const environment: Record<string, string> = Object.create(null);
  for (const [name, value] of Object.entries(inherited)) {
    if (value === undefined || NOT_INHERITED.includes(name)) continue;
    if (isWhole || base.includes(name)) environment[name] = value;
  }
  return environment;
}

/** The variables that login(1) and systemd set for a user. */
function accountVariables(identity: Identity | null): Readonly<Record<string, string>> {
  const { account = null } = identity ?? {};
  if (account === null) return {};
  return { HOME: account.home, USER: account.name, LOGNAME: account.name, SHELL: account.shell };
}

function readEnvFile(file: string, spec: ServiceSpec, identity: Identity | null): Record<string, string> {
  try {
    return parseEnv(readWhole(file, ENV_FILE_BYTES, identity).toString('utf8')) as Record<string, string>;
  } catch (cause) {
    if (!(cause instanceof FileError)) throw cause;
    throw new GsupError(`cannot read the env file ${file}: ${cause.reason(spec)}`, {
      exitStatus: cause.isPassing ? EXIT.failed : EXIT.notExecutable,
      cause,
    });
  }
}
