/** `gsup doctor`: looks at what gsup needs, and says how to mend what is wrong. */
import { existsSync, readdirSync, readFileSync, realpathSync, statfsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { Command } from 'commander';
import { checkHome, type Home, homeOf } from '../../api/home.ts';
import { unsafePart } from '../../api/safe-folder.ts';
import { formatDuration } from '../../core/duration.ts';
import { EXIT, isGsupError } from '../../core/error.ts';
import { formatSize } from '../../core/size.ts';
import type { StopTimes } from '../../core/stop-times.ts';
import { paint } from '../../view/colour.ts';
import { connectIfRunning } from '../connect.ts';
import { jsonText, toStdout } from '../print.ts';
import { allowsColour } from '../terminal.ts';
import { VERSION } from '../version.ts';

/** `ok`: as it should be; `warn`: works, and may not always; `bad`: does not work. */
type Finding = {
  readonly check: string;
  readonly status: 'ok' | 'warn' | 'bad';
  readonly message: string;
  readonly fix?: string;
};

const LEAST_FREE_BYTES = 100 * 1024 ** 2;
const OLDEST_NODE = [20, 19] as const;

export function doctorCommand(): Command {
  return new Command('doctor')
    .summary('look at what gsup needs, and say how to mend it')
    .description('Looks at home, rights, daemon, Node, disk and processes. Exit status 1 when something does not work.')
    .option('--json', 'the findings as JSON')
    .addHelpText('after', '\nExample:\n  gsup doctor')
    .action(doctor);
}

async function doctor({ json }: { json?: boolean }): Promise<void> {
  const home = homeOf(process.env);
  const findings = [
    homeFinding(home),
    await daemonFinding(),
    nodeFinding(),
    nativeFinding(),
    diskFinding(home),
    stateFinding(home),
    zombieFinding(),
    rightsFinding(),
    ...(await graceFindings()),
  ];
  if (json === true) toStdout(jsonText(findings));
  else {
    const colour = allowsColour(process.stdout);
    for (const { check, status, message, fix } of findings) {
      const sign = {
        ok: paint('✓', 'green', colour),
        warn: paint('!', 'yellow', colour),
        bad: paint('✗', 'red', colour),
      }[status];
      toStdout(`${sign} ${check.padEnd(8)} ${message}\n`);
      if (fix !== undefined) toStdout(`           ${fix}\n`);
    }
  }
  if (findings.some(({ status }) => status === 'bad')) process.exitCode = EXIT.failed;
}

/** For each service with enough stops: whether its grace period fits them. Only said: it is the owner's to change. */
async function graceFindings(): Promise<readonly Finding[]> {
  const connection = await connectIfRunning().catch(() => null);
  if (connection === null) return [];
  const views = await connection.client.list({ stops: 'true' });
  const services = new Map(views.map(({ service, stops }) => [service, stops]));
  return [...services].flatMap(([service, stops]) => (stops == null ? [] : (graceFinding(service, stops) ?? [])));
}

function graceFinding(service: string, stops: StopTimes): Finding | null {
  const { count, killed, maxMs, graceMs, suggestedGraceMs: suggestedMs } = stops;
  if (suggestedMs === null) return null;
  const bounds = killed === 0 ? '' : `, ${killed} of them killed: their times are lower bounds`;
  const facts = `${service}: its last ${count} stops took ${formatDuration(maxMs)} at most${bounds}; grace ${formatDuration(graceMs)}`;
  const suggested = formatDuration(suggestedMs);
  if (killed === 0 && suggestedMs <= graceMs) {
    const message = suggestedMs * 2 <= graceMs ? `${facts} is ample, ${suggested} would do` : `${facts} fits`;
    return { check: 'grace', status: 'ok', message };
  }
  const fix = `stop.grace: ${suggested}${killed === 0 ? '' : ' or more'} for ${service}; "gsup timeline ${service} --kind stop" shows where the time goes`;
  return { check: 'grace', status: 'warn', message: `${facts} is tight`, fix };
}

function homeFinding(home: Home): Finding {
  const check = 'home';
  try {
    if (!checkHome(home))
      return { check, status: 'ok', message: `${home.folder} is not there yet; the first start makes it` };
    const part = unsafePart(home.folder);
    if (part === null) return { check, status: 'ok', message: `${home.folder} is ours alone` };
    const message = `${home.folder} can be replaced by users who may change ${part}`;
    return { check, status: 'warn', message, fix: `set GSUP_HOME to another folder, or chmod go-w ${part}` };
  } catch (error) {
    if (!isGsupError(error)) throw error;
    return { check, status: 'bad', message: error.message, ...(error.hint === undefined ? {} : { fix: error.hint }) };
  }
}

async function daemonFinding(): Promise<Finding> {
  const check = 'daemon';
  try {
    const connection = await connectIfRunning();
    if (connection === null)
      return { check, status: 'ok', message: 'none runs; the first command that needs one starts it' };
    const { version, pid, services } = connection.reply;
    const message = `version ${version} answers as ${pid}, with ${services} ${services === 1 ? 'service' : 'services'}`;
    if (version === VERSION) return { check, status: 'ok', message };
    return { check, status: 'warn', message: `${message}; this command is ${VERSION}`, fix: 'gsup update' };
  } catch (error) {
    return { check, status: 'bad', message: (error as Error).message, fix: 'gsup update, or end it and start anew' };
  }
}

function nodeFinding(): Finding {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
  const isOld = major < OLDEST_NODE[0] || (major === OLDEST_NODE[0] && minor < OLDEST_NODE[1]);
  const message = `Node ${process.versions.node} at ${process.execPath}`;
  return isOld
    ? { check: 'node', status: 'bad', message, fix: `install Node ${OLDEST_NODE.join('.')} or newer` }
    : { check: 'node', status: 'ok', message };
}

function nativeFinding(): Finding {
  const check = 'native';
  try {
    // The command is a link to where the package is.
    createRequire(realpathSync(process.argv[1] ?? '/')).resolve('koffi');
    return { check, status: 'ok', message: 'koffi is there: ends of adopted services come as events' };
  } catch {
    const message =
      'koffi is missing: no ready: notify, no orphans reaped as PID 1, and after a crash of the daemon ends of services are seen only by looking';
    return { check, status: 'warn', message, fix: 'npm install -g koffi, or install gsup without --omit=optional' };
  }
}

function diskFinding({ folder }: Home): Finding {
  const check = 'disk';
  const place = existsSync(folder) ? folder : '/';
  const { bavail, bsize, files, ffree } = statfsSync(place);
  const free = bavail * bsize;
  const message = `${formatSize(free)} free at ${place}`;
  if (files > 0 && ffree === 0)
    return { check, status: 'bad', message: `no inodes left at ${place}`, fix: 'remove files' };
  if (free >= LEAST_FREE_BYTES) return { check, status: 'ok', message };
  return {
    check,
    status: free === 0 ? 'bad' : 'warn',
    message,
    fix: 'make room: without it logs are dropped and counted',
  };
}

function stateFinding({ folder }: Home): Finding {
  const check = 'state';
  const broken = existsSync(folder) ? readdirSync(folder).filter((name) => name.includes('.broken-')) : [];
  if (broken.length === 0) return { check, status: 'ok', message: 'no broken state was put aside' };
  return {
    check,
    status: 'warn',
    message: `${broken.join(', ')} in ${folder}: was broken and put aside`,
    fix: 'look at it, then remove it',
  };
}

/** A zombie has ended and waits for its parent to take its status. */
function zombieFinding(): Finding {
  const zombies = readdirSync('/proc').filter((entry) => /^\d+$/.test(entry) && isZombie(entry));
  if (zombies.length === 0) return { check: 'zombies', status: 'ok', message: 'none' };
  const message = `${zombies.length} (${zombies.slice(0, 5).join(', ')}): their parents do not wait for them`;
  return { check: 'zombies', status: 'warn', message, fix: 'in a container: run an init as PID 1 (docker run --init)' };
}

function isZombie(pid: string): boolean {
  try {
    return /^\d+ \(.*\) Z/s.test(readFileSync(`/proc/${pid}/stat`, 'latin1'));
  } catch {
    return false;
  }
}

function rightsFinding(): Finding {
  const check = 'rights';
  if (process.getuid?.() !== 0) return { check, status: 'ok', message: `runs as the user ${process.getuid?.()}` };
  return {
    check,
    status: 'warn',
    message: 'runs as root, and so do services that name no other user',
    fix: 'name one for each: "user: www-data"',
  };
}
