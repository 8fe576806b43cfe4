/** Services as systemd units: one that runs them all, or one each; hardened as far as they still work. */
import { stopBudget, stopNeedMs } from '../core/budget.ts';
import { startOrder } from '../core/graph.ts';
import type { ServiceSpec, SupervisorSpec } from '../core/service.ts';
import type { Exported } from './export.ts';
import { readyPathMs } from './ready-path.ts';
import { hardening } from './systemd-hardening.ts';
import {
  assignmentValue,
  commandValue,
  type Entry,
  plainValue,
  type Section,
  unitName,
  unitText,
} from './unit-file.ts';

export type SystemdOptions = {
  /** The configuration that the units run, absolute. */
  readonly file: string;
  /** Of the unit that runs all, without `.service`; with units per service what stands before each name. */
  readonly name: string;
  /** Absolute: Node, and the script of gsup. */
  readonly command: readonly string[];
  /** What services find programs in. */
  readonly path: string;
  /** For `systemctl --user`. */
  readonly isForUser: boolean;
  /** Whether gsup can speak to systemd itself (koffi is installed), or needs systemd-notify(1). */
  readonly isNative: boolean;
  readonly isPerService: boolean;
};

/** For what comes behind the longest stop and start. */
const MARGIN_MS = 5_000;
const WATCHDOG = '30s';
/** What `ExecStart=` must not be restarted for: it would fail again. Usage, configuration. */
const HOPELESS = '2 78';

/** One unit, or one for each service. */
export function exportSystemd(spec: SupervisorSpec, options: SystemdOptions): Exported {
  return options.isPerService ? perService(spec, options) : { files: [wholeUnit(spec, options)], notes: [] };
}

function wholeUnit(spec: SupervisorSpec, options: SystemdOptions): Exported['files'][number] {
  const { file, name, command, isForUser } = options;
  const { pathMs, timeoutMs } = stopBudget(spec);
  const names = spec.services.map((service) => service.name).join(', ');
  const text = unitText(
    [
      `Runs ${names} of ${file} under gsup.`,
      `Install it: gsup export systemd -c FILE -o DIR, or as ${place(isForUser, name)}; then systemctl ${isForUser ? '--user ' : ''}daemon-reload`,
    ],
    [
      unitSection(`${names} (gsup)`, [], isForUser),
      serviceSection({
        options,
        argv: [...command, 'run', '-c', file],
        startMs: readyPathMs(spec),
        stopMs: Math.min(pathMs, timeoutMs ?? pathMs),
        services: spec.services,
      }),
      installSection(isForUser),
    ],
  );
  return { name: `${unitName(name)}.service`, text };
}

function perService(spec: SupervisorSpec, options: SystemdOptions): Exported {
  const { name: prefix, command, file, isForUser } = options;
  const nameOf = (service: string) => `${unitName(`${prefix}-${service}`)}.service`;
  const byName = new Map(spec.services.map((service) => [service.name, service]));
  const order = startOrder(
    Object.fromEntries(spec.services.map(({ name, dependsOn }) => [name, Object.keys(dependsOn)])),
  );
  const completed = new Set(
    spec.services.flatMap(({ dependsOn }) =>
      Object.entries(dependsOn).flatMap(([other, condition]) => (condition === 'completed' ? [other] : [])),
    ),
  );
  const files = order.flatMap((name) => {
    const service = byName.get(name);
    if (service === undefined) return [];
    const needs = Object.entries(service.dependsOn);
    const dependencies = needs.flatMap(([other, condition]): Entry[] => [
      // Ready and completed have to come true; what was only to be started may end.
      { key: condition === 'started' ? 'Wants' : 'Requires', value: nameOf(other) },
      { key: 'After', value: nameOf(other) },
    ]);
    const text = unitText(
      [`Runs ${name} of ${file} under gsup.`],
      [
        unitSection(`${name} (gsup)`, dependencies, isForUser),
        serviceSection({
          options,
          argv: [...command, 'run', '-c', file, '--no-deps', name],
          startMs: service.ready?.timeoutMs ?? 0,
          stopMs: stopNeedMs(service.stop),
          services: [service],
          isJob: completed.has(name),
        }),
        installSection(isForUser),
      ],
    );
    return [{ name: nameOf(name), text }];
  });
  const critical = spec.services.filter((service) => service.critical).map(({ name }) => name);
  const notes = [
    ...critical.map(
      (name) => `${name}: critical ends its own unit only; what has to end with it needs BindsTo=${nameOf(name)}`,
    ),
    ...(spec.shutdownTimeoutMs === null
      ? []
      : [
          'shutdown.timeout has no counterpart for units per service: systemd stops each within its own TimeoutStopSec',
        ]),
  ];
  return { files, notes };
}

function unitSection(description: string, dependencies: readonly Entry[], isForUser: boolean): Section {
  const network: Entry[] = isForUser
    ? []
    : [
        { key: 'Wants', value: 'network-online.target' },
        { key: 'After', value: 'network-online.target' },
      ];
  return {
    name: 'Unit',
    entries: [
      { key: 'Description', value: plainValue(description) },
      ...network,
      ...dependencies,
      { key: 'StartLimitIntervalSec', value: '60' },
      { key: 'StartLimitBurst', value: '5' },
    ],
  };
}

function serviceSection({
  options,
  argv,
  startMs,
  stopMs,
  services,
  isJob = false,
}: {
  readonly options: SystemdOptions;
  readonly argv: readonly string[];
  readonly startMs: number;
  readonly stopMs: number;
  readonly services: readonly ServiceSpec[];
  /** Others wait for its end. */
  readonly isJob?: boolean;
}): Section {
  const type: Entry[] = isJob
    ? [
        { key: 'Type', value: 'oneshot', comment: 'Others wait until it is done.' },
        { key: 'RemainAfterExit', value: 'yes' },
        { key: 'ExecStart', value: commandValue(argv) },
        { key: 'TimeoutStartSec', value: 'infinity' },
      ]
    : [
        { key: 'Type', value: 'notify', comment: 'Active when every instance is ready.' },
        ...notifyAccess(options.isNative),
        { key: 'ExecStart', value: commandValue(argv) },
        {
          key: 'ExecReload',
          value: '/bin/kill -HUP $MAINPID',
          comment: 'Reads the file again: rolling, what has changed.',
        },
        {
          key: 'TimeoutStartSec',
          value: seconds(startMs + MARGIN_MS),
          comment: 'The readiness timeouts, one after the other.',
        },
        { key: 'WatchdogSec', value: WATCHDOG },
      ];
  return {
    name: 'Service',
    entries: [
      ...type,
      { key: 'WorkingDirectory', value: plainValue(folderOf(options.file)) },
      { key: 'Environment', value: assignmentValue('PATH', options.path) },
      {
        key: 'KillMode',
        value: 'mixed',
        comment: 'SIGTERM to gsup alone, which stops the rest by its ladder; SIGKILL to whatever is left.',
      },
      { key: 'TimeoutStopSec', value: seconds(stopMs + MARGIN_MS), comment: 'The whole stop, and a margin.' },
      ...(isJob ? [] : restartEntries()),
      ...hardening({ services, ...options }),
    ],
  };
}

/** Entries that any unit of gsup has. */
export function restartEntries(): readonly Entry[] {
  return [
    { key: 'Restart', value: 'on-failure' },
    { key: 'RestartSec', value: '1s' },
    { key: 'RestartPreventExitStatus', value: HOPELESS, comment: 'A wrong command line or file stays wrong.' },
  ];
}

/** Who may speak for the unit. */
export function notifyAccess(isNative: boolean): readonly Entry[] {
  if (isNative) return [{ key: 'NotifyAccess', value: 'main' }];
  return [
    {
      key: 'NotifyAccess',
      value: 'all',
      comment: 'Without koffi gsup speaks by systemd-notify(1), which is another process.',
    },
  ];
}

/** The target that pulls it in at boot, or at the login of the user. */
export function installSection(isForUser: boolean): Section {
  return { name: 'Install', entries: [{ key: 'WantedBy', value: isForUser ? 'default.target' : 'multi-user.target' }] };
}

/** Where the unit has to be. */
function place(isForUser: boolean, name: string): string {
  return `${isForUser ? '~/.config/systemd/user' : '/etc/systemd/system'}/${unitName(name)}.service`;
}

/** Systemd's own unit of time, rounded up. */
export function seconds(ms: number): string {
  return `${Math.ceil(ms / 1000)}s`;
}

function folderOf(file: string): string {
  return file.slice(0, file.lastIndexOf('/')) || '/';
}
