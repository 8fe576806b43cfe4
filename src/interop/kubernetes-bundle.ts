/** A whole file as one pod in which gsup is the first process: ConfigMap, Deployment, Service. */
import { posix } from 'node:path';
import { stopBudget } from '../core/budget.ts';
import type { SupervisorSpec } from '../core/service.ts';
import { askedService, bundleNotes, bundleOf, portsOfAll, silentContainers, writtenNote } from './bundle.ts';
import { type ExportOptions, type Notes, seconds, teller } from './export.ts';
import { type Identity, serviceOf } from './kubernetes-identity.ts';
import { escapedDollars, imageNote, MARGIN_SECONDS, readyProbes, secretVariables } from './kubernetes-pod.ts';
import { COMMENT, literal, quoted, type YamlMap } from './yaml.ts';

/** For fetching the image. */
const FETCH_SECONDS = 60;

export function bundleDocuments(
  spec: SupervisorSpec,
  id: Identity,
  options: ExportOptions,
  notes: Notes,
): readonly YamlMap[] {
  const tell = teller(notes, null);
  const bundle = bundleOf(options.source, tell);
  if (bundle.written.length > 0) tell(writtenNote(options.source, bundle));
  const containers = silentContainers(spec, options, 'Kubernetes');
  const ports = portsOfAll(containers);
  const asked = askedService(spec, containers);
  const { pathMs } = stopBudget(spec);
  // What it depends on comes first, in waves of which each may need all of its time.
  const startMs = spec.services.reduce((sum, { ready }) => sum + (ready?.timeoutMs ?? 0), 0);
  const config = `${id.name}-gsup`;
  const mountPath = posix.join(options.workdir, options.source.name);
  const terminationGracePeriodSeconds = seconds(pathMs) + MARGIN_SECONDS;
  const env = [
    // gsup compares its plan with it at the start.
    { name: 'TERMINATION_GRACE_PERIOD_SECONDS', value: quoted(String(terminationGracePeriodSeconds)) },
    ...bundle.env.map(([name, value]): YamlMap => ({ name, value: quoted(escapedDollars(value)) })),
    ...secretVariables(bundle.secrets, `${id.name}-secrets`, tell),
  ];
  const comments = [
    ...(options.image === null ? [imageNote(tell)] : []),
    ...bundleNotes(spec, options, tell),
    ...(ports.length === 0
      ? []
      : [
          tell(
            'sockets and addresses of 127.0.0.1 are reached from inside of the pod only; what others are to reach listens on 0.0.0.0 or ::',
          ),
        ]),
    tell(
      asked === null
        ? 'readiness: no service has a check that Kubernetes can ask (ready: http or tcp); the pod counts as ready when it runs'
        : `readiness: that of ${asked.service.name} stands for the whole; gsup itself watches every service`,
    ),
  ];
  const configMap: YamlMap = {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { ...id.metadata, name: config },
    data: { [options.source.name]: literal(bundle.text) },
  };
  const deployment: YamlMap = {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: id.metadata,
    spec: {
      replicas: 1,
      selector: { matchLabels: id.selector },
      strategy: { type: 'RollingUpdate', rollingUpdate: { maxSurge: 1, maxUnavailable: 0 } },
      progressDeadlineSeconds: seconds(startMs, 0) + FETCH_SECONDS,
      template: {
        metadata: { labels: id.labels },
        spec: {
          terminationGracePeriodSeconds,
          containers: [
            {
              name: id.name,
              image: options.image ?? `registry.example/${id.name}:latest`,
              command: ['gsup', 'run', '-c', options.source.name],
              workingDir: options.workdir,
              env,
              ports: ports.length === 0 ? undefined : ports.map(({ name, port }) => ({ name, containerPort: port })),
              ...(asked?.container.ready && asked.service.ready
                ? readyProbes({ ...asked.service.ready, timeoutMs: startMs }, asked.container.ready, tell)
                : {}),
              volumeMounts: [{ name: 'gsup', mountPath, subPath: options.source.name, readOnly: true }],
              [COMMENT]: comments,
            },
          ],
          volumes: [{ name: 'gsup', configMap: { name: config } }],
          [COMMENT]: [
            `terminationGracePeriodSeconds: the waves of a stop need ${pathMs / 1000}s, + ${MARGIN_SECONDS}s to clean up`,
          ],
        },
      },
    },
  };
  const network = serviceOf(id, ports, false);
  return [configMap, deployment, ...(network === null ? [] : [network])];
}
