/** A spec → a compose file: what Docker's engine and compose v2 know of it. */
import { posix } from 'node:path';
import { stopBudget } from '../core/budget.ts';
import type { ServiceSpec, SupervisorSpec } from '../core/service.ts';
import { bundleNotes, bundleOf, portsOfAll, silentContainers } from './bundle.ts';
import { healthcheckOf } from './compose-health.ts';
import { deployOf, loggingOf, memoryOf, portsOf, preStopOf, restartOf, userOf } from './compose-policy.ts';
import { composeText, environmentOf, escaped, type VariableOf, variablesOf } from './compose-text.ts';
import { type Container, containerOf } from './container.ts';
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
import type { Text } from './references.ts';
import { COMMENT, quoted, type YamlMap, yamlText } from './yaml.ts';

/** For ending the container after gsup. */
const MARGIN_SECONDS = 5;

/** One file, for `docker compose up`. */
export function exportCompose(spec: SupervisorSpec, options: ExportOptions): Exported {
  const notes: Notes = [];
  if (options.namespace !== null)
    teller(
      notes,
      null,
    )(`--namespace has no counterpart in compose; name the project: docker compose -p ${options.namespace}`);
  const services = options.isBundle
    ? { gsup: bundleService(spec, options, teller(notes, null)) }
    : servicesOf(spec, options, notes);
  return { files: [{ name: 'compose.yaml', text: yamlText({ services }) }], notes: noteLines(notes) };
}

type Context = {
  readonly spec: SupervisorSpec;
  readonly options: ExportOptions;
  readonly containers: ReadonlyMap<string, Container>;
  readonly variableOf: VariableOf;
};

function servicesOf(spec: SupervisorSpec, options: ExportOptions, notes: Notes): YamlMap {
  const containers = new Map(
    spec.services.map((service) => [
      service.name,
      containerOf(service, options, 'compose', teller(notes, service.name)),
    ]),
  );
  const context = { spec, options, containers, variableOf: variablesOf(spec, containers) };
  return Object.fromEntries(
    spec.services.map((service) => [service.name, composeService(service, context, teller(notes, service.name))]),
  );
}

function composeService(service: ServiceSpec, context: Context, noted: Tell): YamlMap {
  const { options, containers, variableOf } = context;
  const container = containers.get(service.name);
  if (container === undefined) return {};
  const told: string[] = [];
  const tell: Tell = (text) => {
    const line = noted(text);
    told.push(line);
    return line;
  };
  const variable = (secret: string) => variableOf(service.name, secret);
  const word = (text: Text) => composeText(text, variable);
  const secrets = [...container.secrets.keys()].map((name) => [name, variable(name)] as const);
  const { stop } = service;
  if (context.spec.services.some(({ dependsOn }) => service.name in dependsOn) && container.ports.length > 0)
    tell(
      `sockets: other services reach it as ${container.ports.map(({ port }) => `${service.name}:${port}`).join(', ')}, no longer as 127.0.0.1`,
    );
  const map: YamlMap = {
    image: imageOf(service.name, options, tell),
    // Without it the image's own entrypoint comes first.
    entrypoint: [],
    command: container.command.map(word),
    init: true,
    working_dir: escaped(container.workdir),
    user: userOf(service, tell),
    environment: environmentOf(container.env, secrets, tell),
    env_file:
      container.envFiles.length === 0 ? undefined : container.envFiles.map((file) => escaped(composePath(file))),
    ...portsOf(service, container, tell),
    depends_on: dependenciesOf(service, context, tell),
    healthcheck: healthcheckOf(service, container, word, tell),
    restart: restartOf(service, tell),
    stop_signal: stop.signal ?? 'SIGTERM',
    stop_grace_period: exactDuration(stop.graceMs),
    pre_stop: preStopOf(service, container, tell),
    mem_limit: memoryOf(service, tell),
    logging: loggingOf(service, tell),
    deploy: deployOf(service, tell),
  };
  return { ...map, [COMMENT]: [...container.remarks, ...told] };
}

function imageOf(name: string, { image }: ExportOptions, tell: Tell): string {
  if (image !== null) return image;
  tell('image: a placeholder; name yours with --image, or give the service a build');
  return `registry.example/${name
    .toLowerCase()
    .replace(/[._-]{2,}/g, '-')
    .replace(/[._-]$/, '')}:latest`;
}

/** Relative to the compose file, which belongs beside the supervisor's. */
function composePath(file: string): string {
  return posix.isAbsolute(file) ? file : `./${file}`;
}

function dependenciesOf({ dependsOn }: ServiceSpec, { spec, containers }: Context, tell: Tell): YamlMap | undefined {
  const entries = Object.entries(dependsOn).map(([name, condition]): [string, YamlMap] => {
    if (condition === 'completed') return [name, { condition: 'service_completed_successfully' }];
    const ready = spec.services.find((one) => one.name === name)?.ready ?? null;
    if (condition === 'started' || ready === null) return [name, { condition: 'service_started' }];
    // Only a check that compose can ask makes it healthy.
    if (containers.get(name)?.ready) return [name, { condition: 'service_healthy' }];
    tell(`dependsOn: compose can't ask whether ${name} is ready (${ready.check.kind}), and waits until it has started`);
    return [name, { condition: 'service_started' }];
  });
  return entries.length === 0 ? undefined : Object.fromEntries(entries);
}

function bundleService(spec: SupervisorSpec, options: ExportOptions, noted: Tell): YamlMap {
  const { source, workdir } = options;
  const told: string[] = [];
  const tell: Tell = (text) => {
    const line = noted(text);
    told.push(line);
    return line;
  };
  const bundle = bundleOf(source, tell);
  const ports = portsOfAll(silentContainers(spec, options, 'compose'));
  bundleNotes(spec, options, tell);
  if (options.image === null) tell('image: a placeholder; name yours with --image');
  if (bundle.written.length > 0)
    tell(
      `${source.name}: the file is mounted as it is, with the secrets that stand in it; better have \${VARIABLES} there`,
    );
  // The mounted file has its own values for the others.
  const secrets = bundle.secrets.filter((name) => !bundle.written.includes(name));
  const env = environmentOf(
    bundle.env,
    secrets.map((name) => [name, name]),
    tell,
  );
  return {
    image: options.image ?? 'registry.example/gsup:latest',
    entrypoint: [],
    command: ['gsup', 'run', '-c', source.name].map(escaped),
    // Node reaps no foreign zombies.
    init: true,
    working_dir: escaped(workdir),
    environment: Object.keys(env).length === 0 ? undefined : env,
    volumes: [escaped(`./${source.name}:${posix.join(workdir, source.name)}:ro`)],
    expose: ports.length === 0 ? undefined : ports.map(({ port }) => quoted(String(port))),
    restart: 'unless-stopped',
    stop_signal: 'SIGTERM',
    stop_grace_period: exactDuration((seconds(stopBudget(spec).pathMs) + MARGIN_SECONDS) * 1000),
    [COMMENT]: told,
  };
}
