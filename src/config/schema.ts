/** The schema of supervisor.yaml: what may be written, of which the types and the published JSON Schema come. */
import * as v from 'valibot';
import { parseDuration } from '../core/duration.ts';
import { nearest } from '../core/name.ts';
import { shownName, withHiddenNames, withShownNames } from '../core/own-names.ts';
import { parseSignal, SIGNAL_NAMES, type SignalName } from '../core/signal.ts';
import { parseSize } from '../core/size.ts';
import { cronProblem } from './cron.ts';

/** A text or number that `parse` understands; `what` and `like` are for the message. */
function parsed<T>(
  what: string,
  like: string,
  parse: (input: string | number) => T | null,
  about: string,
  hint: (input: string | number) => string = () => '',
) {
  return v.pipe(
    v.union([v.string(), v.number()], `expected a ${what} like ${like}`),
    // Before the transformation: the JSON Schema is of what comes in.
    v.description(about),
    v.rawTransform<string | number, T>(({ dataset, addIssue, NEVER }) => {
      const result = parse(dataset.value);
      if (result !== null) return result;
      addIssue({ message: `${JSON.stringify(dataset.value)} is no ${what}; expected ${like}${hint(dataset.value)}` });
      return NEVER;
    }),
  );
}

const duration = (about: string) => parsed('duration', '500ms, 10s or 1m30s', parseDuration, about);
const bytes = (about: string) => parsed('size', '300MB or 64KiB', parseSize, about);
const whole = (about: string, from: number, to: number, more = '') =>
  v.pipe(
    v.number(`expected a whole number from ${from} to ${to}${more}`),
    v.check((n) => Number.isInteger(n) && n >= from && n <= to, `expected a whole number from ${from} to ${to}${more}`),
    v.description(about),
  );
const text = (about: string) =>
  v.pipe(v.string('expected a text'), v.nonEmpty('expected a text'), v.description(about));
const flag = (about: string) => v.pipe(v.boolean('expected true or false'), v.description(about));
const COMMAND = 'expected a command line or a list of words';
const words = (about: string) =>
  v.pipe(
    v.union(
      [
        v.pipe(v.string(), v.nonEmpty(COMMAND)),
        v.pipe(
          v.array(
            v.union([v.string(), v.pipe(v.union([v.number(), v.boolean()]), v.transform(String))], 'expected a word'),
          ),
          v.minLength(1, COMMAND),
        ),
      ],
      COMMAND,
    ),
    v.description(about),
  );
const oneOf = <const T extends readonly [string, ...string[]]>(about: string, known: T) =>
  v.pipe(v.picklist(known, `expected ${known.join(', ')}`), v.description(about));
const texts = (about: string) =>
  v.pipe(v.union([v.string(), v.array(v.string())], 'expected a text or a list of texts'), v.description(about));

/** What stands for a list where a map is wanted. */
export const LIST = Symbol('a list');

/** valibot takes a list for a map (`env: [A=B]` would be the variable 0). */
function noList<S extends v.GenericSchema>(schema: S): S {
  return {
    ...schema,
    '~run': (dataset: v.UnknownDataset, config: v.Config<v.BaseIssue<unknown>>) =>
      schema['~run'](Array.isArray(dataset.value) ? { ...dataset, value: LIST } : dataset, config),
  };
}

/** valibot leaves some names out of a map without a word: here they are names as any other. */
function everyName<S extends v.GenericSchema>(schema: S): S {
  return {
    ...schema,
    '~run': (dataset: v.UnknownDataset, config: v.Config<v.BaseIssue<unknown>>) => {
      const result = schema['~run']({ ...dataset, value: withHiddenNames(dataset.value) }, config);
      for (const { path = [] } of result.issues ?? [])
        for (const item of path as { key: unknown }[]) if (typeof item.key === 'string') item.key = shownName(item.key);
      return { ...result, value: withShownNames(result.value) };
    },
  };
}

function strictMap<const E extends v.ObjectEntries>(entries: E) {
  return noList(v.strictObject(entries));
}

const environment = noList(
  everyName(
    v.record(
      v.string(),
      v.union(
        [v.string(), v.pipe(v.number(), v.transform(String)), v.pipe(v.boolean(), v.transform(String))],
        'expected a text, a number, true or false',
      ),
      'expected a map of variables',
    ),
  ),
);

const http = 'a GET of this address answers 200 to 399';
const tcp = 'host:port takes a connection';
const exec = 'this command exits with 0. No shell';

const readyMap = strictMap({
  http: v.optional(text(`Ready when ${http}.`)),
  tcp: v.optional(v.pipe(v.union([v.string(), v.number()], 'expected host:port'), v.description(`Ready when ${tcp}.`))),
  exec: v.optional(words(`Ready when ${exec}.`)),
  log: v.optional(
    text('Ready when a line of output matches this regular expression; of each line the first 4 KiB count.'),
  ),
  message: v.optional(flag("Ready when the app says process.send('ready').")),
  notify: v.optional(flag("Ready when the app says READY=1 by systemd's protocol.")),
  fd: v.optional(whole('Ready when the app writes a line to this descriptor (3 or more), as s6 has it.', 3, 255)),
  initialDelay: v.optional(duration('Before the first try. Default 0s.')),
  interval: v.optional(duration('Between two tries. Default 200ms.')),
  timeout: v.optional(duration('A failed start after it. Default 30s.')),
  successThreshold: v.optional(whole('So many good answers, one after the other. Default 1.', 1, 1000)),
});

const ready = v.union(
  [
    v.pipe(
      v.literal('message'),
      v.transform((): v.InferOutput<typeof readyMap> => ({ message: true })),
    ),
    v.pipe(
      v.literal('notify'),
      v.transform((): v.InferOutput<typeof readyMap> => ({ notify: true })),
    ),
    readyMap,
  ],
  'expected a map, message or notify',
);

const liveMap = strictMap({
  http: v.optional(text(`Alive when ${http}.`)),
  tcp: v.optional(v.pipe(v.union([v.string(), v.number()], 'expected host:port'), v.description(`Alive when ${tcp}.`))),
  exec: v.optional(words(`Alive when ${exec}.`)),
  notify: v.optional(flag('Alive while the app says WATCHDOG=1 in time: at least once in failureThreshold intervals.')),
  initialDelay: v.optional(duration('From being ready to the first try. Default 0s.')),
  interval: v.optional(duration('From try to try. Default 10s.')),
  timeout: v.optional(duration('Of one try. Default 1s.')),
  failureThreshold: v.optional(
    whole('So many bad answers, one after the other, and it is stopped and restarted. Default 3.', 1, 1000),
  ),
});

const live = v.union(
  [
    v.pipe(
      v.literal('notify'),
      v.transform((): v.InferOutput<typeof liveMap> => ({ notify: true })),
    ),
    liveMap,
  ],
  'expected a map, or notify',
);

const address = v.union([v.string(), v.number()], 'expected host:port, a port or the path of a Unix socket');
const sockets = noList(
  everyName(
    v.record(
      v.pipe(v.string(), v.regex(/^[A-Za-z0-9_.-]{1,64}$/, 'expected a name of letters, digits, _ . - for a socket')),
      v.union(
        [
          address,
          strictMap({
            address: v.pipe(address, v.description('host:port, a port (all addresses), or the path of a Unix socket.')),
            backlog: v.optional(whole('Connections that may wait. Default 511.', 1, 65_535)),
            mode: v.optional(parsed('mode', '0660', parseUmask, "Of a Unix socket's file, in octal: 0660.")),
          }),
        ],
        'expected host:port, a port, the path of a Unix socket, or a map',
      ),
      'expected a map of name to address',
    ),
  ),
);

const rolling = strictMap({
  maxSurge: v.optional(whole('Instances beside the wanted ones. Default 1; 0 replaces in place.', 0, 1000)),
  maxUnavailable: v.optional(
    whole('Wanted instances that may be down by it. Default 0; with maxSurge 0 at least 1.', 0, 1000),
  ),
  minReady: v.optional(duration('How long a new instance stays ready before an old one goes. Default 1s.')),
});

const restartPolicy = ['always', 'on-failure', 'never'] as const;
const restart = strictMap({
  policy: v.optional(oneOf('Default always.', restartPolicy)),
  minDelay: v.optional(duration('First delay of the backoff. Default 250ms; 0s restarts at once, always.')),
  maxDelay: v.optional(duration('Ceiling of the backoff. Default 60s.')),
  limit: v.optional(whole('Restarts allowed within the window. Default 10.', 0, 1_000_000)),
  window: v.optional(duration('Default 60s.')),
  successExitCodes: v.optional(
    v.pipe(
      v.array(whole('', 0, 255), 'expected a list of exit codes'),
      v.description('Exit codes that are no failure. Default [0].'),
    ),
  ),
});

const stop = strictMap({
  signal: v.optional(
    parsed<SignalName>(
      'signal',
      'SIGTERM, TERM or 15',
      parseSignal,
      'Default: the signal that gsup gets, else SIGTERM.',
      nearestSignal,
    ),
  ),
  grace: v.optional(duration('From the stop signal to SIGKILL. Default 10s.')),
  killMode: v.optional(
    oneOf('Whom signals reach: mixed (leader softly, group hard; the default), group or leader.', [
      'mixed',
      'group',
      'leader',
    ]),
  ),
  drainDelay: v.optional(duration('Readiness is off, traffic still served for so long before the signal. Default 0s.')),
  preStop: v.optional(
    v.pipe(
      strictMap({
        exec: words('Run before the stop signal. No shell.'),
        timeout: v.optional(duration('At most so long. Default 5s.')),
      }),
      v.description('A hook before the stop signal.'),
    ),
  ),
  message: v.optional(flag("The message 'shutdown' over Node's IPC in place of the signal. Default false.")),
});

const logs = strictMap({
  format: v.optional(oneOf('cri (time stream F line; the default), raw or json.', ['cri', 'raw', 'json'])),
  maxSize: v.optional(bytes('A file that has grown so large is rotated. Default 10MB.')),
  maxFiles: v.optional(whole('Files kept, the one that is written included. Default 5.', 1, 1000)),
  maxAge: v.optional(duration('A file so old is rotated, and a rotated one removed. Default: age does not count.')),
  compress: v.optional(flag('Gzip rotated files. Default false.')),
});

const conditions = ['started', 'ready', 'completed'] as const;

/** One entry of `services`, and `defaults`. */
export const serviceSchema = strictMap({
  command: v.optional(words('What to run: a line that is split into words (no shell), or a list of words.')),
  shell: v.optional(flag('Give the command line to /bin/sh. Default false.')),
  script: v.optional(text('A script in place of a command; its interpreter is found by shebang or extension.')),
  args: v.optional(words('Arguments of the script.')),
  interpreter: v.optional(words('What runs the script.')),
  cwd: v.optional(text('Working directory, relative to this file. Default: its folder.')),
  env: v.optional(v.pipe(environment, v.description('Variables of the environment.'))),
  envFile: v.optional(texts('Files of variables, relative to this file, read at every start.')),
  inheritEnv: v.optional(
    flag(
      'Whether the environment of the command comes first. Default true; false if `user` is another user than that of gsup.',
    ),
  ),
  instances: v.optional(
    v.pipe(
      v.union([v.literal('max'), whole('', 1, 1000, ', or max')], 'expected a whole number from 1 to 1000, or max'),
      v.description('Copies to run, or max (one a processor). Default 1.'),
    ),
  ),
  dependsOn: v.optional(
    v.pipe(
      v.union(
        [
          v.array(v.string('expected the name of a service')),
          everyName(v.record(v.string(), v.picklist(conditions, `expected ${conditions.join(', ')}`))),
        ],
        'expected a list of services, or a map of service to started, ready or completed',
      ),
      v.description('Services that come first, and what of them is awaited; a list means ready.'),
    ),
  ),
  ready: v.optional(v.pipe(ready, v.description('How to learn that it is ready: exactly one check.'))),
  live: v.optional(v.pipe(live, v.description('How to learn that it still lives: exactly one check.'))),
  sockets: v.optional(
    v.pipe(
      sockets,
      v.description('Name to address: bound once by gsup and handed over as LISTEN_FDS from descriptor 3.'),
    ),
  ),
  rolling: v.optional(v.pipe(rolling, v.description('How "gsup reload" and a changed file replace what runs.'))),
  restart: v.optional(
    v.pipe(
      v.union([v.picklist(restartPolicy), restart], `expected ${restartPolicy.join(', ')}, or a map`),
      v.description('What happens after an exit.'),
    ),
  ),
  stop: v.optional(v.pipe(stop, v.description('How it is stopped.'))),
  critical: v.optional(flag('When it has failed for good, everything stops. Default false.')),
  logs: v.optional(v.pipe(logs, v.description('How the daemon keeps its output.'))),
  limits: v.optional(
    v.pipe(
      strictMap({
        memory: v.optional(bytes('Resident memory of the whole instance; above it: a graceful restart.')),
      }),
      v.description('Limits that lead to a restart.'),
    ),
  ),
  watch: v.optional(
    v.pipe(
      v.union(
        [
          flag('Whether the folder of the service is watched.'),
          strictMap({
            paths: v.optional(texts('Files and folders, from the file. Default: the folder of the service.')),
            ignore: v.optional(texts('Names, paths or globs; node_modules and .git always.')),
            debounce: v.optional(duration('From the last change to the restart. Default 200 ms.')),
          }),
        ],
        'expected true, false or a map',
      ),
      v.description('Files whose change restarts it.'),
    ),
  ),
  schedule: v.optional(
    parsed(
      'cron expression',
      '"0 3 * * *"',
      (input) => (cronProblem(String(input)) === null ? String(input) : null),
      'A cron expression in local time; what runs then is restarted.',
      (input) => `: ${cronProblem(String(input))}`,
    ),
  ),
  user: v.optional(
    v.pipe(
      v.union([v.string(), v.number()], 'expected a name or number'),
      v.description('Name or number; only root may change it. A number without an account needs `group`.'),
    ),
  ),
  group: v.optional(
    v.pipe(
      v.union([v.string(), v.number()], 'expected a name or number'),
      v.description(
        'Name or number. Default: the primary group of the user, whose supplementary groups are always set.',
      ),
    ),
  ),
  umask: v.optional(parsed('umask', '022', parseUmask, 'In octal: 022. Default: that of gsup.')),
  nice: v.optional(whole('From -20 (first) to 19 (last). Default: that of gsup.', -20, 19)),
});

/** Of one that is wrong nothing is told: `123` would be a number, and is a token all the same. */
const token = v.pipe(
  v.union([v.string(), v.number(), v.boolean()], 'expected a text'),
  v.description('Who has it may see everything and act: at least 16 characters, `${VAR}` from the environment.'),
  v.rawTransform<string | number | boolean, string>(({ dataset, addIssue, NEVER }) => {
    if (typeof dataset.value === 'string') return dataset.value;
    addIssue({ message: 'expected a text; put it in quotes' });
    return NEVER;
  }),
);

/** The top level but for its services, which are checked one by one. */
export const topSchema = v.strictObject({
  shutdown: v.optional(
    v.pipe(
      strictMap({ timeout: v.optional(duration('Of a whole shutdown. Default: as long as its waves need.')) }),
      v.description('The whole supervisor.'),
    ),
  ),
  http: v.optional(
    v.pipe(
      strictMap({
        listen: v.pipe(
          v.union([v.string(), v.number()], 'expected host:port, or a port'),
          v.description('host:port, or a port of 127.0.0.1; beyond this machine only with a token.'),
        ),
        token: v.optional(token),
        tokenFile: v.optional(text('A file with the token, relative to this file.')),
        hosts: v.optional(texts('Names under which browsers come, beside those of this machine.')),
      }),
      v.description('Health, metrics and the page, over HTTP. Default: nothing listens.'),
    ),
  ),
  defaults: v.optional(v.pipe(serviceSchema, v.description('For every service that does not say otherwise.'))),
  services: v.record(v.string(), v.unknown(), 'expected a map of services'),
});

/** The whole, for the JSON Schema. */
export const configSchema = v.strictObject({
  ...topSchema.entries,
  services: v.pipe(v.record(v.string(), serviceSchema), v.description('Name to service.')),
});

export type ServiceInput = v.InferOutput<typeof serviceSchema>;
export type TopInput = v.InferOutput<typeof topSchema>;
/** What a `supervisor.config.ts` exports. */
export type Config = v.InferInput<typeof configSchema>;

function nearestSignal(input: string | number): string {
  const written = String(input).toUpperCase();
  const near = nearest(written.startsWith('SIG') ? written : `SIG${written}`, SIGNAL_NAMES);
  return near === null ? '' : `; did you mean "${near}"?`;
}

function parseUmask(input: string | number): number | null {
  // YAML's own number 022 is 22: the digits count, as chmod and umask read them.
  const digits = String(input).replace(/^0o/, '');
  return /^[0-7]{1,4}$/.test(digits) && Number.parseInt(digits, 8) <= 0o777 ? Number.parseInt(digits, 8) : null;
}
