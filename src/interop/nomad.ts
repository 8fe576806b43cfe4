/** A spec → Nomad's job files: a job with a group a service, and a batch job for each service that ends by itself. */
import { basename, posix } from 'node:path';
import { stopBudget } from '../core/budget.ts';
import type { ServiceSpec, SupervisorSpec } from '../core/service.ts';
import { bundleNotes, bundleOf, portsOfAll, silentContainers, writtenNote } from './bundle.ts';
import { containerOf, isOneShot } from './container.ts';
import {
  type Exported,
  type ExportOptions,
  exactDuration,
  type Notes,
  noteLines,
  seconds,
  type Tell,
  teller,
} from './export.ts';
import { attribute, block, comment, type HclBody, type HclItem, hclText } from './hcl.ts';
import { dnsName, LONGEST_NAME, uniqueNames } from './names.ts';
import { restartBlocks, updateBlock } from './nomad-policy.ts';
import { environmentItems, networkBlock, portLabel, secretTemplate, serviceBlock, taskBlock } from './nomad-task.ts';

/** Nomad's clients cut it there unless they are told otherwise. */
const MAX_KILL_TIMEOUT_MS = 30_000;
const MARGIN_SECONDS = 5;

export function exportNomad(spec: SupervisorSpec, options: ExportOptions): Exported {
  const notes: Notes = [];
  const jobName = dnsName(basename(options.source.folder) || 'gsup');
  if (options.isBundle) {
    const groups = [bundleGroup(spec, jobName, options, teller(notes, null))];
    return { files: [jobFile(jobName, 'service', groups, options)], notes: noteLines(notes) };
  }
  const names = uniqueNames(
    spec.services.map(({ name }) => name),
    dnsName,
    LONGEST_NAME,
  );
  const group = (service: ServiceSpec, job: string): HclItem =>
    groupOf({
      service,
      spec,
      options,
      job,
      name: names.get(service.name) ?? service.name,
      tell: teller(notes, service.name),
    });
  const batches = spec.services.filter((service) => isOneShot(service, spec));
  const others = spec.services.filter((service) => !batches.includes(service));
  const files = [
    ...(others.length === 0
      ? []
      : [
          jobFile(
            jobName,
            'service',
            others.map((service) => group(service, jobName)),
            options,
          ),
        ]),
    ...batches.map((service) => {
      const name = `${jobName}-${names.get(service.name) ?? service.name}`;
      return jobFile(name, 'batch', [group(service, name)], options);
    }),
  ];
  return { files, notes: noteLines(notes) };
}

export type GroupContext = {
  readonly service: ServiceSpec;
  readonly spec: SupervisorSpec;
  readonly options: ExportOptions;
  readonly job: string;
  /** As Nomad may name services. */
  readonly name: string;
  readonly tell: Tell;
};

function jobFile(
  name: string,
  type: 'service' | 'batch',
  groups: HclBody,
  { namespace }: ExportOptions,
): Exported['files'][number] {
  const body = [
    attribute('datacenters', ['*']),
    attribute('type', type),
    ...(namespace === null ? [] : [attribute('namespace', namespace)]),
    ...groups,
  ];
  return { name: `${name}.nomad.hcl`, text: hclText([block('job', [name], body)]) };
}

function groupOf(context: GroupContext): HclItem {
  const { service, spec, options, name } = context;
  const told: string[] = [];
  const tell: Tell = (text) => {
    const line = context.tell(text);
    told.push(line);
    return line;
  };
  const container = containerOf(service, options, 'Nomad', context.tell);
  const isBatch = isOneShot(service, spec);
  const { stop, logs, instances } = service;
  tellOrder(service, spec, tell);
  if (spec.services.some(({ dependsOn }) => service.name in dependsOn) && container.ports.length > 0)
    tell(`sockets: other services find it by a template with nomadService "${name}", no longer at 127.0.0.1`);
  const body = [
    attribute('count', instances),
    ...(stop.drainDelayMs === 0 ? [] : [attribute('shutdown_delay', exactDuration(stop.drainDelayMs))]),
    ...restartBlocks(service, isBatch, tell),
    ...(isBatch ? [] : [updateBlock(service, tell)]),
    ...diskBlock(Math.ceil(logs.maxSizeBytes / 1_000_000) * logs.maxFiles),
    ...networkBlock(container.ports),
    ...serviceBlock(service, container, name, tell),
    taskBlock({ ...context, tell }, container),
  ];
  return block('group', [name], [...body, ...[...container.remarks, ...told].map(comment)]);
}

/** Nomad wants all logs of a group to be smaller than its disk, which has 300 MB. */
function diskBlock(megabytes: number): HclBody {
  return megabytes < 300 ? [] : [block('ephemeral_disk', [], [attribute('size', megabytes + 100)])];
}

function tellOrder({ name, dependsOn, stop }: ServiceSpec, spec: SupervisorSpec, tell: Tell): void {
  for (const [other, condition] of Object.entries(dependsOn)) {
    const on = spec.services.find((one) => one.name === other);
    const isBatch = on !== undefined && isOneShot(on, spec);
    tell(
      condition === 'completed' && isBatch
        ? `dependsOn: nothing in Nomad holds ${name} back until ${other} has completed: run its job first, and wait for its end`
        : `dependsOn: ${other} ${condition} has no counterpart in Nomad between groups: ${name} tries again until ${other} answers`,
    );
  }
  if (stop.graceMs > MAX_KILL_TIMEOUT_MS)
    tell(
      `stop.grace: Nomad's clients cut kill_timeout at 30s unless max_kill_timeout of the client is ${exactDuration(stop.graceMs)} or more`,
    );
  if (stop.preStop !== null)
    tell('stop.preStop has no counterpart in Nomad; the app does it at the stop signal, or use --bundle');
}

/** The file is written as a template with delimiters that nobody types. */
const DELIMITERS = ['<<gsup<', '>gsup>>'] as const;

function bundleGroup(spec: SupervisorSpec, job: string, options: ExportOptions, tell: Tell): HclItem {
  const { source, workdir, image } = options;
  const bundle = bundleOf(source, tell);
  const ports = portsOfAll(silentContainers(spec, options, 'Nomad'));
  const { pathMs } = stopBudget(spec);
  const killMs = (seconds(pathMs) + MARGIN_SECONDS) * 1000;
  const target = posix.join(workdir, source.name);
  const comments = [
    ...(image === null ? [tell('image: a placeholder; name yours with --image')] : []),
    ...bundleNotes(spec, options, tell),
    ...(bundle.written.length === 0 ? [] : [tell(writtenNote(source, bundle))]),
    tell('checks: gsup itself watches every service; Nomad sees the task only'),
    ...(killMs > MAX_KILL_TIMEOUT_MS
      ? [
          tell(
            `kill_timeout: Nomad's clients cut it at 30s unless max_kill_timeout of the client is ${exactDuration(killMs)} or more`,
          ),
        ]
      : []),
  ];
  const task = block(
    'task',
    ['gsup'],
    [
      attribute('driver', 'docker'),
      attribute('kill_signal', 'SIGTERM'),
      attribute('kill_timeout', exactDuration(killMs)),
      block(
        'config',
        [],
        [
          attribute('image', image ?? 'registry.example/gsup:latest'),
          attribute('entrypoint', ['gsup']),
          attribute('args', ['run', '-c', source.name]),
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
          block(
            'mount',
            [],
            [
              attribute('type', 'bind'),
              attribute('source', `local/${source.name}`),
              attribute('target', target),
              attribute('readonly', true),
            ],
          ),
        ],
      ),
      ...environmentItems(bundle.env),
      block(
        'template',
        [],
        [
          attribute('destination', `local/${source.name}`),
          attribute('left_delimiter', DELIMITERS[0]),
          attribute('right_delimiter', DELIMITERS[1]),
          attribute('data', bundle.text),
        ],
      ),
      ...secretTemplate(bundle.secrets, `nomad/jobs/${job}/gsup/gsup`, tell),
      ...comments.map(comment),
    ],
  );
  return block('group', ['gsup'], [attribute('count', 1), ...networkBlock(ports), task]);
}
