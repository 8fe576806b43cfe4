/** The keys of PM2's ecosystem files: their other names, and those that have no counterpart here. */
import { nearest } from '../core/name.ts';
import { type Noting, show } from './note.ts';

/** Key to other names, as PM2's schema has them; camelCase works for all of them. */
const KEYS: Readonly<Record<string, readonly string[]>> = {
  ...plain(
    'name name_prefix filter_env namespace install_url cwd args disable_logs log_type log_date_format time env',
    'max_memory_restart restart_delay exp_backoff_restart_delay source_map_support disable_source_map_support',
    'wait_ready instances kill_timeout shutdown_with_message listen_timeout vizion autostart autorestart',
    'stop_exit_codes watch_delay watch ignore_watch watch_options min_uptime max_restarts execute_command exec_mode',
    'force append_env_to_name post_update trace disable_trace v8 event_loop_inspector deep_monitoring increment_var',
    'instance_var pmx automation treekill port username gid windowsHide kill_retry_time write io',
    'container dist image_name node_version fresh dockerdaemon',
  ),
  script: ['exec', 'cmd', 'command'],
  exec_interpreter: ['interpreter'],
  node_args: ['interpreterArgs', 'interpreter_args'],
  out_file: ['out', 'output', 'out_log'],
  error_file: ['error', 'err', 'err_file', 'err_log'],
  log_file: ['log'],
  pid_file: ['pid'],
  cron_restart: ['cron'],
  merge_logs: ['combine_logs'],
  uid: ['user'],
};

/** The key that a written one stands for, or `null`. */
export function canonical(written: string): string | null {
  return CANONICAL.get(written) ?? null;
}

const CANONICAL = new Map(
  Object.entries(KEYS).flatMap(([key, aliases]) =>
    [key, camelCase(key), ...aliases].map((one): [string, string] => [one, key]),
  ),
);

/** Says what of `fields` is lost here. */
export function noteUnmapped(key: string, written: string, value: unknown, note: Noting): void {
  const entry = UNMAPPED[key];
  if (entry === undefined || value === undefined || value === null || entry.harmless.includes(value)) return;
  note(written, `${show(value)}: ${entry.why}`);
}

/** A key that PM2 does not know either. */
export function noteUnknown(written: string, note: Noting): void {
  const near = nearest(written, CANONICAL.keys());
  const known = KNOWN_HERE[written];
  const hint = known ?? (near === null ? 'PM2 does not know it either' : `did you mean "${near}"?`);
  note(written, `no key of PM2; ${hint}`);
}

const KNOWN_HERE: Readonly<Record<string, string>> = { env_file: 'gsup has envFile', envFile: 'gsup has it: envFile' };

type Unmapped = {
  /** Values that ask for nothing. */
  readonly harmless: readonly unknown[];
  readonly why: string;
};

const LOG: Unmapped = {
  harmless: [false],
  why: 'gsup keeps and rotates the output itself; "gsup logs" shows it, the files are in GSUP_HOME/logs',
};
const MONITORING: Unmapped = { harmless: [false], why: "part of PM2's monitoring, which gsup has not" };
const DOCKER: Unmapped = { harmless: [false], why: 'in a container "gsup run -c FILE" is enough' };

const UNMAPPED: Readonly<Record<string, Unmapped>> = {
  watch_options: { harmless: [false], why: 'how files are watched is not to be chosen here' },
  out_file: LOG,
  error_file: LOG,
  log_file: LOG,
  disable_logs: { harmless: [false], why: 'gsup always keeps the output; logs.maxSize and logs.maxFiles bound it' },
  log_date_format: { harmless: ['', 'YYYY-MM-DDTHH:mm:ss'], why: 'each line has its time already, in ISO 8601' },
  pid_file: { harmless: [false, ''], why: '"gsup ls --json" has the pids' },
  autostart: { harmless: [true], why: 'what a file has is started; name the wanted services behind it' },
  namespace: {
    harmless: ['', 'default'],
    why: 'gsup has no namespaces; name the services together, or give each file its GSUP_HOME',
  },
  name_prefix: { harmless: [''], why: 'write it into the name' },
  force: { harmless: [false], why: 'a service is known by its name: a copy needs a name of its own' },
  instance_var: { harmless: ['NODE_APP_INSTANCE'], why: 'an instance learns its number from NODE_APP_INSTANCE' },
  increment_var: {
    harmless: [''],
    why: 'every instance has the same variables; the app can add NODE_APP_INSTANCE to a number',
  },
  kill_retry_time: { harmless: [], why: 'gsup does not ask again and again, it learns of the end at once' },
  install_url: { harmless: [''], why: 'gsup installs nothing' },
  post_update: { harmless: [], why: 'gsup does not update programs' },
  username: { harmless: [''], why: 'only a label; who runs it says uid' },
  write: { harmless: [false], why: 'an option of the command line of PM2' },
  vizion: { harmless: [false], why: 'gsup does not look into the repository of a program' },
  automation: MONITORING,
  pmx: MONITORING,
  trace: MONITORING,
  v8: MONITORING,
  event_loop_inspector: MONITORING,
  deep_monitoring: MONITORING,
  io: MONITORING,
  container: DOCKER,
  dist: DOCKER,
  image_name: DOCKER,
  node_version: DOCKER,
  fresh: DOCKER,
  dockerdaemon: DOCKER,
};

function plain(...lines: readonly string[]): Record<string, readonly string[]> {
  return Object.fromEntries(lines.flatMap((line) => line.split(' ')).map((key) => [key, []]));
}

function camelCase(key: string): string {
  return key.replace(/_([a-z0-9])/g, (_, letter: string) => letter.toUpperCase());
}
