/** A spec → Kubernetes' manifests: a Deployment, StatefulSet or Job a service, its Service and its PodDisruptionBudget. */
import type { ServiceSpec, SupervisorSpec } from '../core/service.ts';
import { DEFAULT_LOGS, DEFAULT_RESTART, DEFAULT_ROLLING } from '../core/service.ts';
import { type Container, containerOf, isOneShot, ownKeys } from './container.ts';
import { type Exported, type ExportOptions, type Notes, noteLines, seconds, type Tell, teller } from './export.ts';
import { bundleDocuments } from './kubernetes-bundle.ts';
import { bundleName, type Identity, identityOf, serviceOf } from './kubernetes-identity.ts';
import { podOf } from './kubernetes-pod.ts';
import { dnsName, LONGEST_NAME, uniqueNames } from './names.ts';
import { COMMENT, type YamlMap, yamlText } from './yaml.ts';

/** A file a service, each with the documents that belong together. */
export function exportKubernetes(spec: SupervisorSpec, options: ExportOptions): Exported {
  const notes: Notes = [];
  const names = uniqueNames(
    spec.services.map(({ name }) => name),
    dnsName,
    LONGEST_NAME,
  );
  const files = options.isBundle
    ? [fileOf(bundleName(options), bundleDocuments(spec, identityOf(bundleName(options), options), options, notes))]
    : spec.services.map((service) => {
        const name = names.get(service.name) ?? service.name;
        const tell = teller(notes, service.name);
        if (name !== service.name)
          tell(`the name is ${name} in Kubernetes, which allows a-z, 0-9 and - only; others reach it by that`);
        return fileOf(
          name,
          documentsOf({
            service,
            spec,
            options,
            tell,
            id: identityOf(name, options),
            nameOf: (other) => names.get(other) ?? other,
          }),
        );
      });
  return { files, notes: noteLines(notes) };
}

type Context = {
  readonly service: ServiceSpec;
  readonly spec: SupervisorSpec;
  readonly options: ExportOptions;
  readonly tell: Tell;
  readonly id: Identity;
  /** Of another service. */
  nameOf(service: string): string;
};

function fileOf(name: string, documents: readonly YamlMap[]): Exported['files'][number] {
  return { name: `${name}.yaml`, text: documents.map((one) => yamlText(one)).join('---\n') };
}

function documentsOf(context: Context): readonly YamlMap[] {
  const { service, spec, options, tell } = context;
  const container = containerOf(service, options, 'Kubernetes', tell);
  const orders = tellOrder(context);
  const restarts = tellRestarts(context);
  const comments = [...orders, ...restarts, ...tellAddress(service, spec, container, context)];
  const isStateful = options.stateful.includes(service.name);
  if (isOneShot(service, spec)) {
    const told = isStateful
      ? [tell('--stateful: it ends by itself and becomes a Job, which has no identity to keep')]
      : [];
    return [jobOf(context, container, [...comments, ...told])];
  }
  const workload = isStateful
    ? statefulSetOf(context, container, comments)
    : deploymentOf(context, container, comments);
  const network = serviceOf(context.id, container.ports, isStateful);
  return [workload, ...(network === null ? [] : [network]), ...disruptionBudgetOf(service, context.id)];
}

function deploymentOf(context: Context, container: Container, comments: readonly string[]): YamlMap {
  const { service, id } = context;
  const { maxSurge, maxUnavailable, minReadyMs } = service.rolling;
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: id.metadata,
    spec: {
      replicas: service.instances,
      selector: { matchLabels: id.selector },
      strategy: {
        type: 'RollingUpdate',
        // Both 0 would never get on.
        rollingUpdate: { maxSurge, maxUnavailable: maxSurge === 0 ? Math.max(1, maxUnavailable) : maxUnavailable },
      },
      minReadySeconds: seconds(minReadyMs, 0),
      progressDeadlineSeconds: progressDeadline(service),
      template: podOf(context, container),
      [COMMENT]: comments,
    },
  };
}

function statefulSetOf(context: Context, container: Container, comments: readonly string[]): YamlMap {
  const { service, id, tell } = context;
  const { maxSurge, maxUnavailable, minReadyMs } = service.rolling;
  const own =
    maxSurge === 0 && maxUnavailable <= 1
      ? []
      : [
          tell(
            'rolling: a StatefulSet replaces its pods in place, one after the other; maxSurge and maxUnavailable have no counterpart',
          ),
        ];
  return {
    apiVersion: 'apps/v1',
    kind: 'StatefulSet',
    metadata: id.metadata,
    spec: {
      serviceName: id.name,
      replicas: service.instances,
      // gsup starts them together, too.
      podManagementPolicy: 'Parallel',
      selector: { matchLabels: id.selector },
      updateStrategy: { type: 'RollingUpdate' },
      minReadySeconds: seconds(minReadyMs, 0),
      template: podOf(context, container),
      [COMMENT]: [...comments, ...own],
    },
  };
}

function jobOf(context: Context, container: Container, comments: readonly string[]): YamlMap {
  const { service, id } = context;
  const isRetried = service.restart.policy === 'on-failure';
  return {
    apiVersion: 'batch/v1',
    kind: 'Job',
    metadata: id.metadata,
    spec: {
      completions: service.instances,
      parallelism: service.instances,
      backoffLimit: isRetried ? Math.min(service.restart.limit, 2_147_483_647) : 0,
      template: podOf(context, container, isRetried ? 'OnFailure' : 'Never'),
      [COMMENT]: comments,
    },
  };
}

/** Of several instances a drained node takes away no more than a rolling restart would; 0 would hold it for ever. */
function disruptionBudgetOf({ instances, rolling }: ServiceSpec, id: Identity): readonly YamlMap[] {
  if (instances < 2) return [];
  return [
    {
      apiVersion: 'policy/v1',
      kind: 'PodDisruptionBudget',
      metadata: id.metadata,
      spec: {
        maxUnavailable: Math.min(instances - 1, Math.max(1, rolling.maxUnavailable)),
        selector: { matchLabels: id.selector },
      },
    },
  ];
}

/** More than a pod needs to become ready and stay it; a minute is for its image. */
function progressDeadline({ ready, rolling }: ServiceSpec): number {
  return seconds(ready?.timeoutMs ?? 0, 0) + seconds(rolling.minReadyMs, 0) + 60;
}

/** What was 127.0.0.1 to the others has a name now. */
function tellAddress(
  { name }: ServiceSpec,
  { services }: SupervisorSpec,
  { ports }: Container,
  { id, tell }: Context,
): readonly string[] {
  const isAsked = services.some(({ dependsOn }) => name in dependsOn);
  if (!isAsked || ports.length === 0) return [];
  return [
    tell(
      `sockets: other services reach it as ${ports.map(({ port }) => `${id.name}:${port}`).join(', ')}, no longer as 127.0.0.1`,
    ),
  ];
}

function tellOrder({ service: { name, dependsOn }, spec, tell, nameOf }: Context): readonly string[] {
  return Object.entries(dependsOn).map(([other, condition]) => {
    const on = spec.services.find((one) => one.name === other);
    const isJob = condition === 'completed' && on !== undefined && isOneShot(on, spec);
    return tell(
      isJob
        ? `dependsOn: nothing in Kubernetes holds ${name} back until ${other} has completed: apply ${other} first, and "kubectl wait --for=condition=complete job/${nameOf(other)}"`
        : `dependsOn: ${other} ${condition} has no counterpart in Kubernetes, neither at the start nor at the stop: ${name} tries again until ${other} answers, and is not ready before`,
    );
  });
}

function tellRestarts({ service, spec, tell }: Context): readonly string[] {
  const { restart, logs } = service;
  const comments: string[] = [];
  const keys = ownKeys(restart, DEFAULT_RESTART, ['minDelayMs', 'maxDelayMs', 'windowMs']);
  const isJob = isOneShot(service, spec);
  const limit = isJob ? [] : ownKeys(restart, DEFAULT_RESTART, ['limit']);
  const own = [...keys, ...limit];
  if (own.length > 0)
    comments.push(
      tell(
        `restart: ${own.join(', ')} ${own.length === 1 ? 'has' : 'have'} no counterpart in Kubernetes, whose backoff is 10s ×2 up to 5m, without an end`,
      ),
    );
  if (!isJob && restart.policy !== 'always')
    comments.push(
      tell(
        `restart: ${restart.policy} has no counterpart in a Deployment, which restarts after a success, too; a service that others await as completed becomes a Job`,
      ),
    );
  if (restart.policy !== 'always' && ownKeys(restart, DEFAULT_RESTART, ['successExitCodes']).length > 0)
    comments.push(tell('restart: successExitCodes has no counterpart in Kubernetes: only 0 is a success'));
  if (isJob && ownKeys(service.rolling, DEFAULT_ROLLING, ['maxSurge', 'maxUnavailable', 'minReadyMs']).length > 0)
    comments.push(tell('rolling has no counterpart in a Job, which is not replaced but ends'));
  const kept = ownKeys(logs, DEFAULT_LOGS, ['format', 'maxSizeBytes', 'maxFiles', 'maxAgeMs', 'compress']);
  if (kept.length > 0)
    comments.push(
      tell(
        `logs: ${kept.join(', ')} ${kept.length === 1 ? 'has' : 'have'} no counterpart in Kubernetes: the kubelet keeps and rotates the logs (containerLogMaxSize, containerLogMaxFiles)`,
      ),
    );
  return comments;
}
