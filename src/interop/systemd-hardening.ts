/** What of systemd's sandbox a unit of gsup gets: all that its services, as far as the file tells, can live with. */
import type { ServiceSpec } from '../core/service.ts';
import type { Entry } from './unit-file.ts';

type Hardened = {
  readonly services: readonly ServiceSpec[];
  readonly file: string;
  readonly isForUser: boolean;
};

/** Folders that ProtectHome= protects. Node and gsup may be in one: they are only read. */
const HOMES = ['/home/', '/root/', '/run/user/'];
const TEMPORARY = ['/tmp/', '/var/tmp/'];

/** Entries of `[Service]`. */
export function hardening(unit: Hardened): readonly Entry[] {
  const always: Entry[] = [
    { key: 'Delegate', value: 'yes', comment: 'gsup puts each instance into a cgroup of its own.' },
    { key: 'NoNewPrivileges', value: 'yes' },
    { key: 'LockPersonality', value: 'yes' },
    { key: 'RestrictRealtime', value: 'yes' },
    { key: 'RestrictSUIDSGID', value: 'yes' },
    { key: 'SystemCallArchitectures', value: 'native' },
    { key: 'RestrictAddressFamilies', value: 'AF_UNIX AF_INET AF_INET6 AF_NETLINK' },
  ];
  // A user's manager has no right to most of the rest.
  if (unit.isForUser) return always;
  const paths = pathsOf(unit);
  return [
    ...always,
    { key: 'ProtectSystem', value: 'full', comment: '/usr, /boot and /etc can only be read.' },
    ...unless(paths, HOMES, { key: 'ProtectHome', value: 'read-only' }),
    ...unless(paths, TEMPORARY, { key: 'PrivateTmp', value: 'yes' }),
    { key: 'ProtectKernelModules', value: 'yes' },
    // ProtectKernelTunables= and ProtectKernelLogs= need /run/systemd/inaccessible, which only a booted systemd makes.
    { key: 'CapabilityBoundingSet', value: '~CAP_SYS_BOOT CAP_SYS_TIME CAP_SYSLOG CAP_SYS_RAWIO' },
    { key: 'ProtectClock', value: 'yes' },
    { key: 'ProtectHostname', value: 'yes' },
  ];
}

function unless(paths: readonly string[], folders: readonly string[], entry: Entry): readonly Entry[] {
  const path = paths.find((one) => folders.some((folder) => `${one}/`.startsWith(folder)));
  // A comment in a unit stands in front of a key; the next one takes it.
  return path === undefined ? [entry] : [{ ...entry, value: 'no', comment: `${path} is there.` }];
}

/** Every absolute path that the file names. */
function pathsOf({ services, file }: Hardened): readonly string[] {
  const paths = services.flatMap(({ program, cwd, envFiles, sockets, stop, ready, live, env }) => [
    cwd,
    ...envFiles,
    ...Object.values(env),
    ...wordsOf(program),
    ...sockets.flatMap(({ address }) => (address.kind === 'unix' ? [address.path] : [])),
    ...(stop.preStop?.argv ?? []),
    ...(ready?.check.kind === 'exec' ? ready.check.argv : []),
    ...(live?.check.kind === 'exec' ? live.check.argv : []),
  ]);
  return [file, ...paths].filter((path) => path.startsWith('/'));
}

function wordsOf(program: ServiceSpec['program']): readonly string[] {
  switch (program.kind) {
    case 'command':
      return program.argv;
    case 'shell':
      return program.line.split(/[\s"'=]+/);
    case 'script':
      return [program.script, ...program.args, ...(program.interpreter === null ? [] : [program.interpreter])];
  }
}
