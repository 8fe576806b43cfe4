/** The policies of a service → their keys in a compose file: ports, restart, hooks, memory, logging, updates. */
import { DEFAULT_LOGS, DEFAULT_RESTART, type ServiceSpec } from '../core/service.ts';
import { escaped } from './compose-text.ts';
import { type Container, ownKeys } from './container.ts';
import { exactDuration, seconds, type Tell } from './export.ts';
import { shellWord } from './references.ts';
import { quoted, type YamlMap, type YamlValue } from './yaml.ts';

export function restartOf({ restart }: ServiceSpec, tell: Tell): YamlValue {
  const own = ownKeys(restart, DEFAULT_RESTART, ['minDelayMs', 'maxDelayMs', 'windowMs', 'limit']);
  if (own.length > 0 && restart.policy !== 'never')
    tell(
      `restart: ${own.join(', ')} ${own.length === 1 ? 'has' : 'have'} no counterpart in compose: Docker's backoff is 100ms ×2 up to 1m, without an end`,
    );
  if (restart.policy === 'on-failure' && ownKeys(restart, DEFAULT_RESTART, ['successExitCodes']).length > 0)
    tell('restart: successExitCodes has no counterpart in compose: only 0 is a success');
  return restart.policy === 'never' ? quoted('no') : restart.policy;
}

const LEAST_MEMORY = 6 * 1_048_576;

export function memoryOf({ memoryLimitBytes }: ServiceSpec, tell: Tell): YamlValue | undefined {
  if (memoryLimitBytes === null) return undefined;
  tell('limits.memory: the kernel kills in the container at it, where gsup restarts it gracefully');
  if (memoryLimitBytes < LEAST_MEMORY) tell('limits.memory: Docker takes no less than 6MiB');
  return quoted(`${Math.max(LEAST_MEMORY, memoryLimitBytes)}b`);
}

export function loggingOf({ logs }: ServiceSpec, tell: Tell): YamlMap {
  const own = ownKeys(logs, DEFAULT_LOGS, ['format', 'maxAgeMs']);
  if (own.length > 0)
    tell(`logs: ${own.join(', ')} ${own.length === 1 ? 'has' : 'have'} no counterpart in compose (driver json-file)`);
  return {
    driver: 'json-file',
    options: {
      'max-size': quoted(String(Math.max(1, logs.maxSizeBytes))),
      'max-file': quoted(String(logs.maxFiles)),
      compress: logs.compress && logs.maxFiles > 1 ? quoted('true') : undefined,
    },
  };
}

/** Only a swarm knows updates; `docker compose up` replaces one after the other. */
export function deployOf({ instances, rolling }: ServiceSpec, tell: Tell): YamlMap | undefined {
  tell('rolling: deploy.update_config is of "docker stack deploy"; "docker compose up" stops the old container first');
  return {
    replicas: instances,
    update_config: {
      parallelism: Math.max(1, rolling.maxSurge === 0 ? rolling.maxUnavailable : rolling.maxSurge),
      order: rolling.maxSurge > 0 && rolling.maxUnavailable === 0 ? 'start-first' : 'stop-first',
      monitor: exactDuration(Math.max(1_000, rolling.minReadyMs)),
      failure_action: 'rollback',
    },
  };
}

/** A socket's address is the host's, as it was below gsup; one that several would bind is reached by name only. */
export function portsOf({ sockets, instances }: ServiceSpec, { ports }: Container, tell: Tell): YamlMap {
  const addresses = sockets.flatMap(({ address }) => (address.kind === 'tcp' ? [address] : []));
  if (ports.length === 0) return {};
  if (addresses.length === 0 || instances > 1) {
    tell(
      `ports: ${ports.map(({ port }) => port).join(', ')} ${ports.length === 1 ? 'is' : 'are'} reached from other services only; ${instances > 1 ? 'several instances share no port of the host: put a proxy before them' : 'publish with ports what the host is to reach'}`,
    );
    return { expose: ports.map(({ port }) => quoted(String(port))) };
  }
  return {
    ports: addresses.map(({ host, port }) => ({
      target: port,
      published: quoted(String(port)),
      host_ip: host === '::' ? undefined : quoted(host),
    })),
  };
}

export function userOf({ user, group }: ServiceSpec, tell: Tell): YamlValue | undefined {
  if (user === null && group !== null) tell(`group: ${group} needs a user beside it in compose, and is left out`);
  if (user === null) return undefined;
  return quoted(escaped(group === null ? user : `${user}:${group}`));
}

/** Compose gives up a stop whose hook fails; gsup does not. */
export function preStopOf({ stop }: ServiceSpec, { preStop }: Container, tell: Tell): YamlValue | undefined {
  const drain = stop.drainDelayMs === 0 ? [] : [`sleep ${seconds(stop.drainDelayMs)}`];
  const hook = preStop === null ? [] : [`${preStop.map(shellWord).join(' ')} || true`];
  if (drain.length === 0 && hook.length === 0) return undefined;
  tell(
    'stop: pre_stop (drainDelay, preStop) needs compose 2.30 or newer, and sh in the image; stop_grace_period begins after it',
  );
  if (preStop !== null) tell('stop.preStop: its timeout has no counterpart in compose');
  return [{ command: ['sh', '-c', escaped([...drain, ...hook].join('; '))] }];
}
