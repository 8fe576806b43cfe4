/** A service as the one process of a container: what every container platform needs of it, and what none of them has. */
import { posix } from 'node:path';
import { formatAddress } from '../core/address.ts';
import { INTERPRETERS, JAVASCRIPT, TYPESCRIPT } from '../core/interpreters.ts';
import { isSecret, secretValues } from '../core/secrets.ts';
import type { Program, ServiceSpec, SupervisorSpec } from '../core/service.ts';
import { DEFAULT_BACKLOG } from '../core/service.ts';
import type { ExportOptions, Tell } from './export.ts';
import { LONGEST_PORT, portName, uniqueNames } from './names.ts';
import { type Probe, probeOf } from './probe.ts';
import { type Concealer, concealer, type Text } from './references.ts';

export type Port = { readonly name: string; readonly port: number };

export type Container = {
  /** The whole command, in place of the image's own. */
  readonly command: readonly [Text, ...Text[]];
  /** Absolute, in the image. */
  readonly workdir: string;
  /** Without secrets. */
  readonly env: readonly (readonly [name: string, value: string])[];
  /** The variables that hold secrets; their values are for telling them apart, never for a text. */
  readonly secrets: ReadonlyMap<string, string>;
  /** Relative to the folder of the file where they are in it. */
  readonly envFiles: readonly string[];
  readonly ports: readonly Port[];
  readonly ready: Probe | null;
  readonly live: Probe | null;
  readonly preStop: readonly Text[] | null;
  /** What was told of it, for comments. */
  readonly remarks: readonly string[];
};

/** `platform` is its name in notes. */
export function containerOf(service: ServiceSpec, options: ExportOptions, platform: string, noted: Tell): Container {
  const remarks: string[] = [];
  const tell: Tell = (text) => {
    const line = noted(text);
    remarks.push(line);
    return line;
  };
  const inImage = (path: string) => pathInImage(path, options);
  const hidden = concealer(service.env);
  const variables = variablesOf(service, tell);
  // One that quotes another's secret is as secret.
  const values = secretValues(service.env);
  const plain = variables.filter(
    ([name, value]) => !isSecret(name, value) && !values.some((one) => value.includes(one)),
  );
  const quoting = variables.filter((one) => !plain.includes(one));
  const command = commandOf(service.program, inImage, hidden, tell);
  const container = {
    command,
    workdir: workdirOf(service, inImage, options, tell),
    env: graceTold(service, plain),
    envFiles: service.envFiles.map((file) => relativeTo(options.source.folder, file)),
    ports: portsOf(service, platform, tell),
    ready: service.ready && probeOf(service.ready.check, { key: 'ready', hidden, platform, tell }),
    live: service.live && probeOf(service.live.check, { key: 'live', hidden, platform, tell }),
    preStop: service.stop.preStop && hidden.words(service.stop.preStop.argv),
  };
  tellWithoutCounterpart(service, platform, tell);
  // Last: commands and checks may have brought secrets of their own.
  const secrets = new Map([...quoting, ...hidden.values()].filter(([name]) => isVariable(name)));
  return { ...container, secrets, remarks };
}

/** Whether it is to end by itself, and not to be kept up. */
export function isOneShot({ name, restart }: ServiceSpec, { services }: SupervisorSpec): boolean {
  const isAwaited = services.some(({ dependsOn }) => dependsOn[name] === 'completed');
  return restart.policy === 'never' || (restart.policy === 'on-failure' && isAwaited);
}

/** The keys of `restart` that stand in the file, those in `keys` only. */
export function ownKeys<T extends object>(
  policy: T,
  defaults: T,
  keys: readonly (keyof T & string)[],
): readonly string[] {
  return keys
    .filter((key) => JSON.stringify(policy[key]) !== JSON.stringify(defaults[key]))
    .map((key) => key.replace(/(Ms|Bytes)$/, ''));
}

type InImage = (path: string) => { readonly path: string; readonly isMoved: boolean };

function pathInImage(path: string, { source, workdir }: ExportOptions): ReturnType<InImage> {
  const inside = relativeTo(source.folder, path);
  return posix.isAbsolute(inside) ? { path, isMoved: false } : { path: posix.join(workdir, inside), isMoved: true };
}

/** `path` below `folder`, else as it is. */
export function relativeTo(folder: string, path: string): string {
  const relative = posix.relative(folder, path);
  return relative === '..' || relative.startsWith('../') ? path : relative;
}

function commandOf(program: Program, inImage: InImage, hidden: Concealer, tell: Tell): Container['command'] {
  switch (program.kind) {
    case 'command': {
      const [first = [''], ...rest] = hidden.words(program.argv);
      return [first, ...rest];
    }
    case 'shell':
      if (!/^\s*exec\s/.test(program.line))
        tell(
          'shell: the shell is the first process of the container and may not pass the stop signal on; begin the line with "exec"',
        );
      return [['/bin/sh'], ['-c'], hidden.line(program.line)];
    case 'script': {
      const script = inImage(program.script);
      if (!script.isMoved)
        tell(`script: ${script.path} is outside of the folder of the file; the image must have it there`);
      const interpreter = program.interpreter ?? interpreterOf(program.script, tell);
      const [first, ...rest] = hidden.words([
        ...(interpreter === null ? [] : [interpreter, ...program.interpreterArgs]),
        script.path,
        ...program.args,
      ]);
      return [first ?? [script.path], ...rest];
    }
  }
}

/** By extension alone: whether the image has the file, and with what first line, can't be seen here. */
function interpreterOf(script: string, tell: Tell): string | null {
  const extension = posix.extname(script).toLowerCase();
  if (JAVASCRIPT.has(extension)) return 'node';
  if (TYPESCRIPT.has(extension)) {
    tell('script: node runs TypeScript from 22.18 on; give an older image an interpreter: tsx, or a built script');
    return 'node';
  }
  const known = INTERPRETERS[extension] ?? null;
  if (known === null)
    tell(`script: ${posix.basename(script)} is run by its first line (#!), and must be executable in the image`);
  return known;
}

function workdirOf({ cwd }: ServiceSpec, inImage: InImage, { workdir, source }: ExportOptions, tell: Tell): string {
  const { path, isMoved } = inImage(cwd);
  if (!isMoved) tell(`cwd: ${path} is outside of the folder of the file; the image must have it`);
  else if (source.folder !== '') tell(`the folder of the file is ${workdir} in the image; --workdir names another`);
  return posix.resolve('/', path);
}

/** What Kubernetes took for a name before 1.34, and everything else takes too. */
function isVariable(name: string): boolean {
  return /^[-._a-zA-Z][-._a-zA-Z0-9]*$/.test(name);
}

function variablesOf({ env, inheritEnv }: ServiceSpec, tell: Tell): Container['env'] {
  for (const name of Object.keys(env).filter((one) => !isVariable(one)))
    tell(`env: ${JSON.stringify(name)} is no name of a variable in a container and is left out; rename it`);
  if (inheritEnv)
    tell(
      'inheritEnv: a container has the environment of its image, not that of the command that starts gsup; name what it needs in env',
    );
  return Object.entries(env).filter(([name]) => isVariable(name));
}

/** `gsup/app` takes its deadline from it, as it does below gsup. */
function graceTold({ stop }: ServiceSpec, env: Container['env']): Container['env'] {
  return env.some(([name]) => name === 'GSUP_GRACE_MS') ? env : [...env, ['GSUP_GRACE_MS', String(stop.graceMs)]];
}

function portsOf(service: ServiceSpec, platform: string, tell: Tell): readonly Port[] {
  const { sockets } = service;
  const found = new Map<number, string>();
  for (const { name, address, backlog } of sockets) {
    if (address.kind === 'unix') {
      tell(
        `sockets.${name}: the Unix socket ${formatAddress(address)} has no counterpart in ${platform}; the app binds it itself, in a volume that others share`,
      );
      continue;
    }
    if (!found.has(address.port)) found.set(address.port, name);
    if (backlog !== DEFAULT_BACKLOG)
      tell(`sockets.${name}: backlog has no counterpart in ${platform}; the app gives it to listen()`);
  }
  if (sockets.length > 0)
    tell(
      `sockets: nothing hands sockets over (LISTEN_FDS) in ${platform}: the app binds its ports itself, on every address (0.0.0.0 or ::); one that can't needs --bundle`,
    );
  if (sockets.length === 0) {
    const derived = derivedPort(service);
    if (derived !== null) {
      found.set(derived.port, derived.name);
      tell(
        `sockets: there are none; port ${derived.port} is taken from ${derived.from}, and the app binds it on every address (0.0.0.0 or ::)`,
      );
    }
  }
  const named = uniqueNames([...found.values()], portName, LONGEST_PORT);
  return [...found].map(([port, name]) => ({ name: named.get(name) ?? name, port }));
}

/** What it most likely listens on. */
function derivedPort({ env, ready, live }: ServiceSpec): (Port & { readonly from: string }) | null {
  const port = Number(env['PORT']);
  if (/^\d+$/.test(env['PORT'] ?? '') && port >= 1 && port <= 65_535) return { name: 'http', port, from: 'env.PORT' };
  for (const [key, check] of [
    ['ready', ready?.check],
    ['live', live?.check],
  ] as const) {
    if (check?.kind === 'tcp' && isHere(check.host)) return { name: 'tcp', port: check.port, from: key };
    if (check?.kind !== 'http') continue;
    const url = new URL(check.url);
    const of = Number(url.port) || (url.protocol === 'https:' ? 443 : 80);
    if (isHere(url.hostname)) return { name: url.protocol.replace(':', ''), port: of, from: key };
  }
  return null;
}

/** Whether a host of a check is the container itself. */
export function isHere(host: string): boolean {
  const plain = host.replace(/^\[|\]$/g, '');
  return ['localhost', '0.0.0.0', '::', '::1'].includes(plain) || plain.startsWith('127.');
}

function tellWithoutCounterpart(service: ServiceSpec, platform: string, tell: Tell): void {
  const { stop, nice, umask, critical, watch, schedule } = service;
  if (stop.killMode === 'group')
    tell(
      'stop.killMode: the stop signal reaches the first process only, SIGKILL all of them; the app passes the signal on, or use --bundle',
    );
  if (stop.killMode === 'leader')
    tell('stop.killMode: at the end of the grace period every process of the container is killed');
  if (stop.message)
    tell(
      `stop.message: 'shutdown' over IPC has no counterpart in ${platform}; the app gets ${stop.signal ?? 'SIGTERM'}, and listens to it`,
    );
  if (nice !== null) tell(`nice has no counterpart in ${platform}; begin the command with "nice -n ${nice}"`);
  if (umask !== null)
    tell(
      `umask has no counterpart in ${platform}; run the command by sh -c 'umask ${umask.toString(8).padStart(3, '0')}; exec …'`,
    );
  if (watch !== null) tell('watch: files of an image do not change; a new image is a new rollout');
  if (schedule !== null)
    tell(
      `schedule: ${schedule}: ${platform} restarts nothing by the clock; a cron job that asks for a rollout does, or --bundle keeps it`,
    );
  if (critical)
    tell(`critical: nothing in ${platform} stops everything when one service has failed for good; --bundle keeps it`);
}
