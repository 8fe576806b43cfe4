/** A container → a pod template: command, environment, probes, and a grace period that is longer than everything before it. */

import { stopNeedMs } from '../core/budget.ts';
import { DEFAULT_STOP, type LivePolicy, type ReadyPolicy, type ServiceSpec } from '../core/service.ts';
import { type Container, isHere } from './container.ts';
import { type ExportOptions, seconds, type Tell } from './export.ts';
import type { Identity } from './kubernetes-identity.ts';
import type { Probe } from './probe.ts';
import { hasSecret, plainText, render, shellWord, type Text } from './references.ts';
import { COMMENT, quoted, type YamlMap, type YamlValue } from './yaml.ts';

/** For ending the container after the process, and for a kubelet that is late. */
export const MARGIN_SECONDS = 5;

export type PodContext = {
  readonly service: ServiceSpec;
  readonly options: ExportOptions;
  readonly tell: Tell;
  readonly id: Identity;
};

export function podOf(context: PodContext, container: Container, restartPolicy?: 'OnFailure' | 'Never'): YamlMap {
  const { service, id, tell } = context;
  const { signal } = service.stop;
  const comments = signal === null || signal === 'SIGTERM' ? [] : [signalNote(signal, tell)];
  const security = securityOf(service, tell);
  return {
    metadata: { labels: id.labels },
    spec: {
      terminationGracePeriodSeconds: seconds(stopNeedMs(service.stop)) + MARGIN_SECONDS,
      restartPolicy,
      // lifecycle.stopSignal needs to know it.
      os: comments.length > 0 ? { name: 'linux' } : undefined,
      securityContext: security.map,
      containers: [containerSpec(context, container)],
      [COMMENT]: [budgetComment(service), ...comments, ...security.comments],
    },
  };
}

function budgetComment({ stop }: ServiceSpec): string {
  const parts = [
    ['drainDelay', stop.drainDelayMs],
    ['preStop', stop.preStop?.timeoutMs ?? 0],
    ['grace', stop.graceMs],
  ] as const;
  const sum = parts.filter(([name, ms]) => ms > 0 || name === 'grace').map(([name, ms]) => `${name} ${ms / 1000}s`);
  return `terminationGracePeriodSeconds: ${sum.join(' + ')} + ${MARGIN_SECONDS}s to clean up`;
}

function signalNote(signal: string, tell: Tell): string {
  return tell(
    `stop.signal: lifecycle.stopSignal needs Kubernetes 1.33 or newer with ContainerStopSignals; without it write "STOPSIGNAL ${signal}" into the Dockerfile`,
  );
}

function containerSpec({ service, options, tell, id }: PodContext, container: Container): YamlMap {
  const { memoryLimitBytes } = service;
  const memory =
    memoryLimitBytes === null
      ? []
      : [tell('limits.memory: Kubernetes kills the container at it (OOMKilled), where gsup restarts it gracefully')];
  return {
    name: id.name,
    image: options.image ?? `registry.example/${id.name}:latest`,
    command: container.command.map(commandWord),
    workingDir: container.workdir,
    env: environmentOf(container, id, tell),
    envFrom: filesOf(container, id, tell),
    ports:
      container.ports.length === 0
        ? undefined
        : container.ports.map(({ name, port }) => ({ name, containerPort: port })),
    ...probesOf(service, container, tell),
    lifecycle: lifecycleOf(service, container, tell),
    resources: memoryLimitBytes === null ? undefined : { limits: { memory: quoted(bytes(memoryLimitBytes)) } },
    [COMMENT]: [...(options.image === null ? [imageNote(tell)] : []), ...container.remarks, ...memory],
  };
}

export function imageNote(tell: Tell): string {
  return tell('image: a placeholder; name yours with --image');
}

/** The kubelet puts variables in for $(NAME), and takes $$ for $. */
function commandWord(text: Text): YamlValue {
  return render(text, escapedDollars, (secret) => `$(${secret})`);
}

export function escapedDollars(text: string): string {
  return text.replace(/\$(?=[$(]|$)/g, '$$$$');
}

function environmentOf({ env, secrets }: Container, { name }: Identity, tell: Tell): YamlValue | undefined {
  const plain = env.map(([variable, value]): YamlMap => ({ name: variable, value: quoted(escapedDollars(value)) }));
  const references = secretVariables([...secrets.keys()], `${name}-secrets`, tell);
  return [...plain, ...references].length === 0 ? undefined : [...plain, ...references];
}

/** The variables as references, and how the secret is made; values are nowhere. */
export function secretVariables(secrets: readonly string[], secretName: string, tell: Tell): readonly YamlMap[] {
  if (secrets.length === 0) return [];
  const literals = secrets.map((key) => `--from-literal=${key}=…`).join(' ');
  tell(
    `env: ${secrets.join(', ')} ${secrets.length === 1 ? 'looks' : 'look'} secret and ${secrets.length === 1 ? 'is' : 'are'} not exported; kubectl create secret generic ${secretName} ${literals}`,
  );
  return secrets.map((key) => ({ name: key, valueFrom: { secretKeyRef: { name: secretName, key } } }));
}

function filesOf({ envFiles }: Container, { name }: Identity, tell: Tell): YamlValue | undefined {
  if (envFiles.length === 0) return undefined;
  return envFiles.map((file, index) => {
    const secret = `${name}-${index === 0 ? 'env' : `env-${index + 1}`}`;
    tell(`envFile: ${file} is not read; kubectl create secret generic ${secret} --from-env-file=${file}`);
    return { secretRef: { name: secret } };
  });
}

function probesOf(service: ServiceSpec, { ready, live, ports }: Container, tell: Tell): YamlMap {
  const [first] = ports;
  const socket = service.sockets.find(({ address }) => address.kind === 'tcp');
  if (service.ready !== null && ready === null && first !== undefined && socket !== undefined) {
    tell(`ready: a tcpSocket probe of port ${first.port} stands for it`);
    const standIn: Probe = { kind: 'tcp', host: '127.0.0.1', port: first.port };
    return { ...readyProbes(service.ready, standIn, tell), ...liveProbe(service.live, live, tell) };
  }
  return {
    ...(ready && service.ready ? readyProbes(service.ready, ready, tell) : {}),
    ...liveProbe(service.live, live, tell),
  };
}

/** A startup probe for `ready.timeout`, which holds liveness back; readiness is asked as long as the pod lives. */
export function readyProbes(policy: ReadyPolicy, probe: Probe, tell: Tell): YamlMap {
  const handler = handlerOf(probe, tell);
  const periodSeconds = seconds(policy.intervalMs);
  const timeoutSeconds = seconds(Math.min(TRY_TIMEOUT_MS, policy.timeoutMs));
  const tries = Math.ceil((policy.timeoutMs - policy.initialDelayMs) / 1000 / periodSeconds);
  const initialDelaySeconds = policy.initialDelayMs === 0 ? undefined : seconds(policy.initialDelayMs);
  const { successThreshold } = policy;
  return {
    startupProbe: {
      ...handler,
      initialDelaySeconds,
      periodSeconds,
      timeoutSeconds,
      failureThreshold: Math.max(1, tries),
    },
    readinessProbe: {
      ...handler,
      periodSeconds,
      timeoutSeconds,
      successThreshold: successThreshold === 1 ? undefined : successThreshold,
    },
  };
}

/** As src/probes/readiness.ts has it. */
const TRY_TIMEOUT_MS = 5_000;

function liveProbe(policy: LivePolicy | null, probe: Probe | null, tell: Tell): YamlMap {
  if (policy === null || probe === null) return {};
  return {
    livenessProbe: {
      ...handlerOf(probe, tell),
      initialDelaySeconds: policy.initialDelayMs === 0 ? undefined : seconds(policy.initialDelayMs),
      periodSeconds: seconds(policy.intervalMs),
      timeoutSeconds: seconds(policy.timeoutMs),
      failureThreshold: policy.failureThreshold,
    },
  };
}

function handlerOf(probe: Probe, tell: Tell): YamlMap {
  switch (probe.kind) {
    case 'tcp':
      return { tcpSocket: { host: hostOf(probe.host), port: probe.port } };
    case 'http': {
      const { protocol, hostname, port, pathname, search } = probe.url;
      const isHttps = protocol === 'https:';
      return {
        httpGet: {
          host: hostOf(hostname),
          path: `${pathname}${search}`,
          port: port === '' ? (isHttps ? 443 : 80) : Number(port),
          scheme: isHttps ? 'HTTPS' : undefined,
        },
      };
    }
    case 'exec':
      return {
        exec: { command: probe.words.some(hasSecret) ? inShell(probe.words, tell) : probe.words.map(commandWord) },
      };
  }
}

/** The kubelet asks the pod's own address when there is none. */
function hostOf(host: string): string | undefined {
  return isHere(host) ? undefined : host.replace(/^\[|\]$/g, '');
}

/** Neither probes nor hooks get variables of secrets, so a shell puts them in. */
function inShell(words: readonly Text[], tell: Tell): readonly string[] {
  tell('a check or hook with a secret in its words is run by sh, which the image must have');
  return ['sh', '-c', lineOf(words)];
}

function lineOf(words: readonly Text[]): string {
  return `exec ${words.map(shellWord).join(' ')}`;
}

function lifecycleOf({ stop }: ServiceSpec, { preStop }: Container, tell: Tell): YamlMap | undefined {
  const drainSeconds = stop.drainDelayMs === 0 ? 0 : seconds(stop.drainDelayMs);
  const isOwn = stop.signal !== DEFAULT_STOP.signal && stop.signal !== 'SIGTERM';
  const hook = preStopOf(drainSeconds, preStop, tell);
  if (hook === undefined && !isOwn) return undefined;
  return { preStop: hook, stopSignal: isOwn ? (stop.signal ?? undefined) : undefined };
}

function preStopOf(drainSeconds: number, words: readonly Text[] | null, tell: Tell): YamlMap | undefined {
  if (words === null) {
    if (drainSeconds === 0) return undefined;
    tell(
      `stop.drainDelay: preStop.sleep needs Kubernetes 1.30 or newer; before it: exec: { command: [sleep, "${drainSeconds}"] }`,
    );
    return { sleep: { seconds: drainSeconds } };
  }
  tell(
    'stop.preStop: Kubernetes runs the hook in the container, and gives it what is left of terminationGracePeriodSeconds; its own timeout has no counterpart',
  );
  if (drainSeconds > 0) return { exec: { command: ['sh', '-c', `sleep ${drainSeconds}; ${lineOf(words)}`] } };
  return { exec: { command: words.some(hasSecret) ? inShell(words, tell) : words.map(plainText) } };
}

function securityOf(
  { user, group }: ServiceSpec,
  tell: Tell,
): { map: YamlMap | undefined; comments: readonly string[] } {
  const comments: string[] = [];
  const idOf = (word: 'user' | 'group', name: string | null): number | undefined => {
    if (name === null) return undefined;
    if (/^\d{1,10}$/.test(name) && Number(name) <= LARGEST_ID) return Number(name);
    const hint = word === 'user' ? `, or "USER ${name}" into the Dockerfile` : '';
    comments.push(tell(`${word}: ${name} is a name, and Kubernetes takes numbers: write its number${hint}`));
    return undefined;
  };
  const ids = { runAsUser: idOf('user', user), runAsGroup: idOf('group', group) };
  const isEmpty = ids.runAsUser === undefined && ids.runAsGroup === undefined;
  return { map: isEmpty ? undefined : ids, comments };
}

const LARGEST_ID = 2_147_483_647;

/** `300M` where that is exact. */
function bytes(size: number): string {
  if (size > 0 && size % 1_048_576 === 0) return `${size / 1_048_576}Mi`;
  return size > 0 && size % 1_000_000 === 0 ? `${size / 1_000_000}M` : String(size);
}
