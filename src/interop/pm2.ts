/** PM2's ecosystem files → supervisor.yaml, with a note for everything that has no counterpart; pure. */
import { basename } from 'node:path';
import { EXIT, GsupError } from '../core/error.ts';
import { type ImportedConfig, type ServiceInput, uniqueName } from './config.ts';
import type { Note } from './note.ts';
import { show } from './note.ts';
import { fieldsOf, textOf } from './pm2-fields.ts';
import type { Look } from './pm2-program.ts';
import { serviceOf } from './pm2-service.ts';

export type Imported = { readonly config: ImportedConfig; readonly notes: readonly Note[] };
export type Pm2Options = {
  /** PM2's `--env NAME`: `env_NAME` goes over `env`. */
  readonly envName: string | null;
  /** What is at a path of the machine. Default: nobody looks. */
  readonly look?: Look;
  /** Processors of this machine. Default 1. */
  readonly processors?: number;
};

/** @throws {GsupError} 78 when there is nothing to run. */
export function importPm2(value: unknown, options: Pm2Options): Imported {
  const { apps, rest } = partsOf(value);
  const notes: Note[] = [];
  const services: [string, ServiceInput][] = [];
  const names = new Set<string>();
  const ports = new Set<number>();
  const deployed = deployedEnv(rest['deploy'], options.envName);
  for (const [index, app] of apps.entries()) {
    const place = apps.length > 1 ? `apps[${index}]` : 'the app';
    if (!isMap(app)) throw refused(`${place} is no map, but ${show(app)}`);
    const own: Omit<Note, 'service'>[] = [];
    const note = (key: string, message: string) => own.push({ key, message });
    const fields = fieldsOf(app, note);
    const script = textOf(fields.raw('script'));
    const wanted = textOf(fields.raw('name'));
    if (script === null) throw refused(`${place}${wanted === null ? '' : ` (${show(wanted)})`} has no script`);
    const suffix = fields.flag('append_env_to_name') === true && options.envName ? `-${options.envName}` : '';
    const asked = (wanted ?? basename(script).replace(/(?<=.)\.[^.]*$/, '')) + suffix;
    const name = uniqueName(asked, names);
    if (name !== asked)
      note('name', `${show(asked)} ${names.has(asked) ? 'is there twice' : 'is no name here'}: it is ${name}`);
    names.add(name);
    const service = serviceOf({ app, fields, script, name, note, ports, deployed, ...defaulted(options) });
    services.push([name, service]);
    notes.push(...own.map((one) => ({ service: name, ...one })));
  }
  const chosen = `env_${options.envName}`;
  if (options.envName !== null && !apps.some((app) => isMap(app) && chosen in app))
    notes.push({ service: null, key: chosen, message: 'no app has it; only env counts' });
  for (const key of Object.keys(rest)) notes.push({ service: null, key, message: OF_FILE[key] ?? 'no key of PM2' });
  // What PM2 sends unless PM2_KILL_SIGNAL says otherwise.
  return { config: { defaults: { stop: { signal: 'SIGINT' } }, services: Object.fromEntries(services) }, notes };
}

/** Whether it looks like an ecosystem file rather than a supervisor.yaml. */
export function looksLikePm2(value: unknown): boolean {
  const plain = unwrapped(value);
  if (Array.isArray(plain)) return plain.length > 0 && plain.every((app) => isMap(app) && hasScript(app));
  if (!isMap(plain) || 'services' in plain) return false;
  return WHOLE.some((key) => key in plain) || hasScript(plain);
}

/** Keys that only a whole file has. */
const WHOLE = ['apps', 'pm2', 'static'];

const OF_FILE: Readonly<Record<string, string>> = {
  deploy: 'gsup does not deploy; "gsup apply -c FILE" is what to call at the end of a deployment',
  static: 'gsup serves no files; run a server for them as a service',
};

function hasScript(app: Readonly<Record<string, unknown>>): boolean {
  return ['script', 'exec'].some((key) => typeof app[key] === 'string');
}

function defaulted({ envName, look = () => 'unknown', processors = 1 }: Pm2Options) {
  return { envName, look, processors };
}

/** A list, one app, `{ apps }`, or `{ pm2 }` as in a package.json. */
function partsOf(value: unknown): {
  readonly apps: readonly unknown[];
  readonly rest: Readonly<Record<string, unknown>>;
} {
  const plain = unwrapped(value);
  if (!isMap(plain) && !Array.isArray(plain)) throw refused(`it has no apps, but is ${show(plain)}`);
  const isWhole = isMap(plain) && WHOLE.some((key) => key in plain);
  const { apps, pm2, ...rest } = isWhole ? plain : { apps: plain, pm2: undefined };
  const found = apps ?? pm2;
  const list: readonly unknown[] = Array.isArray(found) ? found : [found];
  const wanted = list.filter((app) => app !== null && app !== undefined);
  if (wanted.length === 0 || (isMap(plain) && Object.keys(plain).length === 0)) throw refused('it has no apps');
  return { apps: wanted, rest };
}

/** Compiled ES modules have what they export under `default`. */
function unwrapped(value: unknown): unknown {
  return isMap(value) && !('apps' in value) && !('script' in value) && 'default' in value ? value['default'] : value;
}

function deployedEnv(deploy: unknown, envName: string | null): Readonly<Record<string, unknown>> {
  const stage = isMap(deploy) && envName !== null && Object.hasOwn(deploy, envName) ? deploy[envName] : null;
  return isMap(stage) && isMap(stage['env']) ? stage['env'] : {};
}

function isMap(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function refused(why: string): GsupError {
  return new GsupError(`no ecosystem file: ${why}`, {
    exitStatus: EXIT.config,
    hint: 'it is a list of apps, or { apps: [{ name, script }] }',
  });
}
