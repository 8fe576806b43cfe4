/** A container → a task of Nomad's docker driver, its ports, and the checks of its service. */
import type { ServiceSpec } from '../core/service.ts';
import { type Container, isHere, type Port } from './container.ts';
import { exactDuration, type Tell } from './export.ts';
import { attribute, block, comment, type HclBody, type HclItem, isIdentifier } from './hcl.ts';
import type { GroupContext } from './nomad.ts';
import type { Probe } from './probe.ts';
import { plainText, render, type Text } from './references.ts';

/** Nomad refuses shorter ones. */
const LEAST_CHECK_MS = 1_000;
const TRY_TIMEOUT_MS = 5_000;

export function taskBlock(context: GroupContext, container: Container): HclItem {
  const { service, options, job, name, tell } = context;
  const { stop, logs, user, group } = service;
  const owner = user === null ? [] : [attribute('user', group === null ? user : `${user}:${group}`)];
  if (user === null && group !== null) tell(`group: ${group} needs a user beside it in Nomad, and is left out`);
  if (options.image === null) tell('image: a placeholder; name yours with --image');
  const leftOut = Object.entries({
    format: logs.format !== 'cri',
    maxAge: logs.maxAgeMs !== null,
    compress: logs.compress,
  });
  const own = leftOut.filter(([, isOwn]) => isOwn).map(([key]) => key);
  if (own.length > 0) tell(`logs: ${own.join(', ')} ${own.length === 1 ? 'has' : 'have'} no counterpart in Nomad`);
  const texts = [...container.env.map(([, value]) => value), ...container.command.flat()];
  if (texts.some((text) => typeof text === 'string' && text.includes('${')))
    tell("env, command: Nomad puts values in for ${NAME} where it knows the variable, and can't be told not to");
  return block(
    'task',
    [name],
    [
      attribute('driver', 'docker'),
      attribute('kill_signal', stop.signal ?? 'SIGTERM'),
      attribute('kill_timeout', exactDuration(stop.graceMs)),
      ...owner,
      configBlock(container, options.image ?? `registry.example/${name}:latest`),
      ...environmentItems(container.env),
      ...secretTemplate([...container.secrets.keys()], `nomad/jobs/${job}/${name}/${name}`, tell),
      ...fileTemplates(container.envFiles, tell),
      block(
        'logs',
        [],
        [
          attribute('max_files', logs.maxFiles),
          attribute('max_file_size', Math.max(1, Math.ceil(logs.maxSizeBytes / 1_000_000))),
        ],
      ),
      ...resources(service, tell),
    ],
  );
}

function configBlock({ command, workdir, ports }: Container, image: string): HclItem {
  const [first, ...rest] = command.map(word);
  return block(
    'config',
    [],
    [
      attribute('image', image),
      // In place of the image's own, and of its command.
      attribute('entrypoint', [first ?? '']),
      ...(rest.length === 0 ? [] : [attribute('args', rest)]),
      attribute('init', true),
      attribute('work_dir', workdir),
      ...(ports.length === 0
        ? []
        : [
            attribute(
              'ports',
              ports.map(({ name }) => portLabel(name)),
            ),
          ]),
    ],
  );
}

/** A secret is a variable of the task, which Nomad puts in when it starts. */
function word(text: Text): string {
  return render(
    text,
    (plain) => plain,
    (secret) => `\${${secret}}`,
  );
}

export function environmentItems(env: Container['env']): HclBody {
  if (env.length === 0) return [];
  const isPlain = env.every(([name]) => isIdentifier(name));
  return isPlain
    ? [
        block(
          'env',
          [],
          env.map(([name, value]) => attribute(name, value)),
        ),
      ]
    : [attribute('env', Object.fromEntries(env))];
}

/** Nomad's own variables, written into a file that becomes the environment; values are nowhere here. */
export function secretTemplate(secrets: readonly string[], path: string, tell: Tell): HclBody {
  if (secrets.length === 0) return [];
  const isOne = secrets.length === 1;
  tell(
    `env: ${secrets.join(', ')} ${isOne ? 'looks secret and is' : 'look secret and are'} not exported; nomad var put ${path} ${secrets.map((name) => `${keyOf(name)}=…`).join(' ')}`,
  );
  const lines = secrets.map((name) => `${name}={{ .${keyOf(name)} | toJSON }}`);
  const data = `{{ with nomadVar "${path}" }}\n${lines.join('\n')}\n{{ end }}\n`;
  return [
    block(
      'template',
      [],
      [attribute('destination', 'secrets/gsup.env'), attribute('env', true), attribute('data', data)],
    ),
  ];
}

/** A template names its keys as Go does. */
function keyOf(name: string): string {
  const plain = name.replace(/\W/g, '_');
  return /^\d/.test(plain) ? `_${plain}` : plain;
}

function fileTemplates(files: readonly string[], tell: Tell): HclBody {
  return files.map((file) =>
    comment(
      tell(
        `envFile: ${file} is not read; put it into Nomad's variables, and a template { env = true } that writes them`,
      ),
    ),
  );
}

/** Bridged: an instance beside another one has the same port. */
export function networkBlock(ports: readonly Port[]): HclBody {
  if (ports.length === 0) return [];
  const list = ports.map(({ name, port }) => block('port', [portLabel(name)], [attribute('to', port)]));
  return [block('network', [], [attribute('mode', 'bridge'), ...list])];
}

/** Labels of ports become names of variables. */
export function portLabel(name: string): string {
  return name.replaceAll('-', '_');
}

export function serviceBlock(service: ServiceSpec, container: Container, name: string, tell: Tell): HclBody {
  const { ports } = container;
  const [first] = ports;
  const checks = checksOf(service, container, tell);
  if (first === undefined) return [];
  return [
    block(
      'service',
      [],
      [attribute('name', name), attribute('provider', 'nomad'), attribute('port', portLabel(first.name)), ...checks],
    ),
  ];
}

function checksOf({ ready, live }: ServiceSpec, container: Container, tell: Tell): HclBody {
  const { ports } = container;
  const readyCheck = ready === null ? null : checkTarget('ready', container.ready, ports, tell);
  const liveCheck = live === null ? null : checkTarget('live', container.live, ports, tell);
  if (readyCheck !== null && ready !== null && ready.successThreshold > 1)
    tell("ready: successThreshold has no counterpart in Nomad's own checks");
  return [
    ...(readyCheck === null || ready === null
      ? []
      : [
          block(
            'check',
            [],
            [
              attribute('name', 'ready'),
              ...readyCheck,
              attribute('interval', exactDuration(Math.max(LEAST_CHECK_MS, ready.intervalMs))),
              attribute('timeout', exactDuration(Math.max(LEAST_CHECK_MS, Math.min(TRY_TIMEOUT_MS, ready.timeoutMs)))),
            ],
          ),
        ]),
    ...(liveCheck === null || live === null
      ? []
      : [
          block(
            'check',
            [],
            [
              attribute('name', 'live'),
              ...liveCheck,
              attribute('interval', exactDuration(Math.max(LEAST_CHECK_MS, live.intervalMs))),
              attribute('timeout', exactDuration(Math.max(LEAST_CHECK_MS, live.timeoutMs))),
              block(
                'check_restart',
                [],
                [
                  attribute('limit', live.failureThreshold),
                  attribute('grace', exactDuration((ready?.timeoutMs ?? 0) + live.initialDelayMs)),
                ],
              ),
            ],
          ),
        ]),
  ];
}

/** `null`: Nomad's own checks can't ask it, which was told. */
function checkTarget(key: 'ready' | 'live', probe: Probe | null, ports: readonly Port[], tell: Tell): HclBody | null {
  if (probe === null) return null;
  if (probe.kind === 'exec') {
    tell(
      `${key}: exec (${plainText(probe.words[0] ?? [])}) has no counterpart in Nomad's own checks; Consul's have type = "script"`,
    );
    return null;
  }
  const port =
    probe.kind === 'tcp' ? probe.port : Number(probe.url.port) || (probe.url.protocol === 'https:' ? 443 : 80);
  const host = probe.kind === 'tcp' ? probe.host : probe.url.hostname;
  const own = ports.find((one) => one.port === port);
  if (own === undefined || !isHere(host)) {
    tell(
      `${key}: Nomad checks ports of the group only, and ${host}:${port} is none; give the service a socket with it`,
    );
    return null;
  }
  const at = attribute('port', portLabel(own.name));
  if (probe.kind === 'tcp') return [attribute('type', 'tcp'), at];
  const { protocol, pathname, search } = probe.url;
  const secure = protocol === 'https:' ? [attribute('protocol', 'https'), attribute('tls_skip_verify', true)] : [];
  return [attribute('type', 'http'), ...secure, at, attribute('path', `${pathname}${search}`)];
}

function resources({ memoryLimitBytes }: ServiceSpec, tell: Tell): HclBody {
  if (memoryLimitBytes === null) return [];
  tell('limits.memory: Nomad kills the task at it, where gsup restarts it gracefully');
  return [block('resources', [], [attribute('memory', Math.max(10, Math.ceil(memoryLimitBytes / 1_048_576)))])];
}
