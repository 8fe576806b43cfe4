/** One app of an ecosystem file → one service. */
import { parseSize } from '../core/size.ts';
import { durationText, type ServiceInput } from './config.ts';
import { json, type Noting, show } from './note.ts';
import { type Fields, textOf } from './pm2-fields.ts';
import { type Look, programOf } from './pm2-program.ts';
import { restartOf } from './pm2-restart.ts';
import { scheduleOf, watchOf } from './pm2-watch.ts';

export type Pm2App = {
  readonly app: Readonly<Record<string, unknown>>;
  readonly fields: Fields;
  readonly script: string;
  readonly name: string;
  readonly note: Noting;
  readonly envName: string | null;
  /** Variables of the stage that is deployed to. */
  readonly deployed: Readonly<Record<string, unknown>>;
  readonly look: Look;
  readonly processors: number;
  /** Ports that a socket has been given. */
  readonly ports: Set<number>;
};

const PORT_KEY = 'env.PORT';
const READY_KEY = 'ready.timeout';
/** Keys of notes that are told in full whenever the file is used. */
export const LOUD: readonly string[] = [PORT_KEY, READY_KEY];

/** In the order in which people read a service. */
export function serviceOf(pm2: Pm2App): ServiceInput {
  const { fields, script, look, note } = pm2;
  const { service: program, isNode } = programOf(script, fields, look, note);
  const env: Record<string, string> = { ...program.env, ...envOf(pm2) };
  const stop = { ...stopOf(fields), ...program.stop };
  const { instances, isCluster } = instancesOf(pm2, isNode);
  const sockets = isCluster ? socketsOf(pm2, env['PORT'], instances) : null;
  return {
    ...program,
    ...(Object.keys(env).length > 0 ? { env } : {}),
    ...inheritOf(fields, note),
    ...(instances === 1 ? {} : { instances }),
    ...(sockets === null ? {} : { sockets }),
    ...readyOf(fields, note),
    // Its reload of a fork is stop and start: two at once would want the same port.
    ...(isCluster ? {} : { rolling: { maxSurge: 0 } }),
    ...restartOf(fields, note),
    ...watchOf(fields, note),
    ...scheduleOf(fields, note),
    ...(Object.keys(stop).length > 0 ? { stop } : {}),
    ...logsOf(pm2, instances),
    ...memoryOf(fields, note),
    ...userOf(fields),
  };
}

/** `deploy.NAME.env`, `env`, PORT by `port`, `env_NAME`; a map in it is JSON, as PM2 hands it over. */
function envOf({ app, fields, envName, deployed, note }: Pm2App): Record<string, string> {
  const port = fields.number('port');
  const chosen = envName === null ? undefined : app[`env_${envName}`];
  const layers: [string, unknown][] = [
    ['deploy', deployed],
    [fields.written('env'), fields.raw('env')],
    ['port', port === null ? undefined : { PORT: port }],
    [`env_${envName}`, chosen],
  ];
  for (const key of Object.keys(app)) {
    if (/^env_\S/.test(key) && key !== 'env_file' && key !== `env_${envName}`)
      note(key, `chosen by "--env ${key.slice(4)}" of "gsup import", "start" and "run"`);
  }
  return Object.fromEntries(layers.flatMap(([key, layer]) => variablesOf(key, layer, note)));
}

function variablesOf(key: string, layer: unknown, note: Noting): readonly (readonly [string, string])[] {
  if (layer === undefined || layer === null) return [];
  if (typeof layer !== 'object' || Array.isArray(layer)) {
    note(key, `${show(layer)} is no map of variables; left out`);
    return [];
  }
  return Object.entries(layer).flatMap(([name, value]) => {
    const text = value === '' ? '' : typeof value === 'object' && value !== null ? json(value) : textOf(value);
    if (typeof text === 'string' && name !== '' && !/[=\0]/.test(name) && name !== '__proto__')
      return [[name, text] as const];
    if (value !== undefined) note(`${key}.${name}`, `${show(value)} can be no variable; left out`);
    return [];
  });
}

function inheritOf(fields: Fields, note: Noting): Pick<ServiceInput, 'inheritEnv'> {
  const filter = fields.raw('filter_env');
  if (filter === true || filter === 'true') return { inheritEnv: false };
  const isNothing = filter === undefined || filter === false || (Array.isArray(filter) && filter.length === 0);
  if (!isNothing)
    note(
      'filter_env',
      `${show(filter)}: single variables can't be held back; inheritEnv: false holds back all but PATH, HOME and the like`,
    );
  return {};
}

type Instances = NonNullable<ServiceInput['instances']>;
const MOST_INSTANCES = 1000;

function instancesOf(
  { fields, processors, note }: Pm2App,
  isNode: boolean,
): { instances: Instances; isCluster: boolean } {
  const written = fields.raw('instances');
  const mode = fields.raw('exec_mode');
  const isNamed = mode === undefined ? null : /^(cluster|fork)(_mode)?$/.exec(textOf(mode) ?? '');
  if (mode !== undefined && isNamed === null)
    note(fields.written('exec_mode'), `${show(mode)} is neither cluster nor fork; left out`);
  const isCluster = isNamed
    ? isNamed[1] === 'cluster' && fields.raw('execute_command') !== true
    : written !== undefined && isNode;
  if (written === undefined) return { instances: 1, isCluster };
  const count = written === 'max' ? 0 : Math.trunc(Number.parseInt(textOf(written) ?? '', 10) || 0);
  if (count === 0) return { instances: 'max', isCluster };
  if (count > 0) {
    if (count > MOST_INSTANCES) note('instances', `${show(written)}: at most ${MOST_INSTANCES}`);
    return { instances: Math.min(count, MOST_INSTANCES), isCluster };
  }
  const left = Math.max(1, processors + count);
  note('instances', `${show(written)} less than there are processors: that is ${left} on this machine`);
  return { instances: left, isCluster };
}

/** A cluster shares a port, which here is a socket: PM2 need not know which, gsup does. */
function socketsOf(
  { note, ports, fields }: Pm2App,
  port: string | undefined,
  instances: Instances,
): { http: number } | null {
  const number = Number(port ?? Number.NaN);
  const isPort = Number.isInteger(number) && number >= 1 && number <= 65_535;
  if (isPort && !ports.has(number)) {
    ports.add(number);
    note(
      PORT_KEY,
      `gsup opens port ${number} for all of its instances, on every address; if the app names one (listen(${number}, '127.0.0.1')), write it: sockets: { http: 127.0.0.1:${number} }`,
    );
    return { http: number };
  }
  if (isPort) note(PORT_KEY, `the socket of port ${number} belongs to another service`);
  else if (instances !== 1)
    note(
      fields.written(fields.raw('exec_mode') === undefined ? 'instances' : 'exec_mode'),
      'a cluster shares its port; if it listens on one, name it: sockets: { http: 3000 }',
    );
  return null;
}

function readyOf(fields: Fields, note: Noting): Pick<ServiceInput, 'ready'> {
  const timeout = fields.duration('listen_timeout');
  if (fields.flag('wait_ready') !== true) {
    if (timeout !== null)
      note(
        fields.written('listen_timeout'),
        'without wait_ready there is nothing to wait for; name a check: ready: { http: ... }',
      );
    return {};
  }
  if (timeout === null || timeout < SHORTEST_MS) {
    note(
      fields.written('wait_ready'),
      "an app that does not say 'ready' within 30s is a failed start; PM2 goes on after 3s as if it had",
    );
    return { ready: { message: true } };
  }
  const length = durationText(timeout);
  note(
    READY_KEY,
    `an app that does not say 'ready' within ${length} is a failed start; PM2 goes on as if it had. Raise it when it may take longer`,
  );
  return { ready: { message: true, timeout: length } };
}

/** gsup takes no shorter one for a check. */
const SHORTEST_MS = 10;

function stopOf(fields: Fields): NonNullable<ServiceInput['stop']> {
  const grace = fields.duration('kill_timeout');
  return {
    ...(grace === null ? {} : { grace: durationText(grace) }),
    ...(fields.flag('treekill') === false ? { killMode: 'leader' as const } : {}),
    ...(fields.flag('shutdown_with_message') === true ? { message: true } : {}),
  };
}

function logsOf({ fields, note }: Pm2App, instances: Instances): Pick<ServiceInput, 'logs'> {
  if (fields.flag('merge_logs') === true && instances !== 1)
    note(fields.written('merge_logs'), 'each instance has a log of its own; "gsup logs NAME" shows them together');
  const type = fields.text('log_type');
  if (type === null) return {};
  if (type === 'json' || type === 'raw') return { logs: { format: type } };
  note(fields.written('log_type'), `${show(type)} is unknown; gsup has cri, raw and json`);
  return {};
}

function memoryOf(fields: Fields, note: Noting): Pick<ServiceInput, 'limits'> {
  const limit = fields.raw('max_memory_restart');
  if (limit === undefined) return {};
  const bytes = typeof limit === 'string' || typeof limit === 'number' ? parseSize(limit) : null;
  if (bytes !== null && bytes > 0) return { limits: { memory: typeof limit === 'string' ? limit.trim() : bytes } };
  note(fields.written('max_memory_restart'), `${show(limit)} is no size; left out`);
  return {};
}

function userOf(fields: Fields): Pick<ServiceInput, 'user' | 'group'> {
  const [user, group] = [fields.text('uid'), fields.text('gid')];
  return { ...(user === null ? {} : { user }), ...(group === null ? {} : { group }) };
}
