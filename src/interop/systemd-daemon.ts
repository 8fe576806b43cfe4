/** The unit that runs the daemon of a home: what `gsup startup` installs. */
import { EXIT } from '../core/error.ts';
import { installSection, notifyAccess, restartEntries, seconds } from './systemd.ts';
import { assignmentValue, commandValue, type Entry, plainValue, unitText } from './unit-file.ts';

export type DaemonUnit = {
  /** Absolute: Node, and the script of gsup. */
  readonly command: readonly string[];
  readonly home: string;
  /** What it applies when it begins, absolute; `null`: what ran before. */
  readonly file: string | null;
  /** How long a whole stop of that file takes, in ms; `null`: not known. */
  readonly stopMs: number | null;
  readonly path: string;
  /** Whom it runs as, in a unit of the system; `null`: root. */
  readonly user: string | null;
  readonly isForUser: boolean;
  /** See `SystemdOptions`. */
  readonly isNative: boolean;
};

/** By it a unit is known as ours. */
export const MARK = 'Written by gsup startup.';

const MARGIN_MS = 5_000;

/** Its text. */
export function daemonUnit({ command, home, file, stopMs, path, user, isForUser, isNative }: DaemonUnit): string {
  const argv = [...command, 'daemon', ...(file === null ? [] : ['-c', file])];
  const stop: Entry[] =
    stopMs === null
      ? []
      : [{ key: 'TimeoutStopSec', value: seconds(stopMs + MARGIN_MS), comment: 'The whole stop, and a margin.' }];
  return unitText(
    [MARK, `gsup unstartup removes it.`],
    [
      {
        name: 'Unit',
        entries: [
          { key: 'Description', value: plainValue(`gsup daemon of ${home}`) },
          ...(isForUser
            ? []
            : [
                { key: 'Wants', value: 'network-online.target' },
                { key: 'After', value: 'network-online.target' },
              ]),
          { key: 'StartLimitIntervalSec', value: '60' },
          { key: 'StartLimitBurst', value: '5' },
        ],
      },
      {
        name: 'Service',
        entries: [
          { key: 'Type', value: 'notify', comment: 'Active when every instance is ready, or its start has failed.' },
          ...notifyAccess(isNative),
          ...(user === null ? [] : [{ key: 'User', value: plainValue(user) }]),
          { key: 'ExecStart', value: commandValue(argv) },
          { key: 'ExecReload', value: '/bin/kill -HUP $MAINPID' },
          { key: 'Environment', value: assignmentValue('GSUP_HOME', home) },
          { key: 'Environment', value: assignmentValue('PATH', path) },
          {
            key: 'KillMode',
            value: 'process',
            comment:
              'SIGTERM to the daemon, which stops the rest by its ladder. When it crashes, services live on and the next one adopts them.',
          },
          { key: 'Delegate', value: 'yes' },
          { key: 'WatchdogSec', value: '30s' },
          ...stop,
          ...restartEntries(),
          { key: 'RestartForceExitStatus', value: String(EXIT.retired), comment: 'gsup update' },
          { key: 'SuccessExitStatus', value: String(EXIT.retired) },
        ],
      },
      installSection(isForUser),
    ],
  );
}
