/** The process of a daemon: its records, what it reads, and whom it tells that it answers. Loads nothing of the command line. */
import { resolve } from 'node:path';
import { homeOf } from '../api/home.ts';
import { EXIT } from '../core/error.ts';
import { logLevelIn } from '../core/log-level.ts';
import { prepareDaemon, runDaemon } from '../daemon/main.ts';
import { isJournald, openJournal } from '../supervisor/journal.ts';
import { journaldLine, recordLine } from '../view/record.ts';
import { ownEnvironment } from './environment.ts';
import { isWanted, sayReady } from './starter.ts';
import { allowsColour } from './terminal.ts';
import { VERSION } from './version.ts';

export type DaemonFlags = {
  readonly config?: string;
  /** `pretty` or `json`. */
  readonly logFormat?: string;
  readonly background?: boolean;
  /** What V8 has compiled is kept: the flags that a daemon at rest sets belong to no other run. */
  readonly keepCode?: () => void;
};

/** Runs a daemon to its end; resolves with the exit status. */
export async function daemonProcess(flags: DaemonFlags): Promise<number> {
  const isBackground = flags.background === true;
  logLevelIn(process.env);
  if (isBackground) {
    // What takes time comes before the decision of the command that started it.
    await prepareDaemon();
    if (!isWanted()) return EXIT.done;
  }
  const journal = isBackground ? null : openJournal(journalOptions(flags));
  const home = homeOf(process.env);
  process.env['GSUP_HOME'] = home.folder;
  const status = await runDaemon({
    home,
    version: VERSION,
    isBackground,
    onRecord: (record, at) => journal?.write(record, at),
    readFile: async (file) => {
      const { specFromFile } = await import('./config-file.ts');
      return specFromFile(file, []);
    },
    file: flags.config === undefined ? null : resolve(flags.config),
    environment: ownEnvironment(),
    onRest: () => flags.keepCode?.(),
    onReady: () => {
      if (isBackground) sayReady();
    },
  });
  await journal?.close();
  return status;
}

function journalOptions({ logFormat }: DaemonFlags): Parameters<typeof openJournal>[0] {
  const level = logLevelIn(process.env);
  if (logFormat === undefined && isJournald(process.env)) return { level, format: journaldLine };
  const isPretty = logFormat === undefined ? process.stderr.isTTY === true : logFormat === 'pretty';
  const colour = allowsColour(process.stderr);
  return isPretty ? { level, format: (record, at) => recordLine(record, at, { colour }) } : { level };
}
