/** The published schemas of Kubernetes and compose, asked strictly: what they do not know is a problem. */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { Ajv } from 'ajv';
import { Deployment, StatefulSet } from 'kubernetes-models/apps/v1';
import { Job } from 'kubernetes-models/batch/v1';
import { PodDisruptionBudget } from 'kubernetes-models/policy/v1';
import { ConfigMap, Service } from 'kubernetes-models/v1';
import { parse, parseAllDocuments } from 'yaml';

const KINDS: Readonly<Record<string, { readonly apiVersion: string; readonly prototype: { validate(): void } }>> = {
  Deployment,
  StatefulSet,
  Job,
  PodDisruptionBudget,
  ConfigMap,
  Service,
};

/** Every problem of the documents of one text. */
export function kubernetesProblems(text: string): readonly string[] {
  // Kubernetes reads YAML 1.1.
  return parseAllDocuments(text, { version: '1.1' }).flatMap((document) => {
    const value = document.toJS() as { kind: string; apiVersion: string };
    const kind = KINDS[value.kind];
    if (kind === undefined || kind.apiVersion !== value.apiVersion)
      return [`no schema for ${value.kind} ${value.apiVersion}`];
    const { watched, unread } = readingOf(value);
    try {
      kind.prototype.validate.call(watched);
    } catch (error) {
      return [`${value.kind}: ${(error as Error).message}`];
    }
    return unread().map((path) => `${value.kind}: unknown key ${path}`);
  });
}

const COMPOSE = join(
  dirname(createRequire(import.meta.url).resolve('dclint/package.json')),
  'schemas/compose.schema.json',
);
// Its $schema is spelt in a way that Ajv does not know.
const { $schema: _, ...composeSchema } = JSON.parse(readFileSync(COMPOSE, 'utf8'));
const validateCompose = new Ajv({ strict: false, validateFormats: false, allErrors: true }).compile(composeSchema);

/** Every problem of a compose file; its schema refuses unknown keys itself. */
export function composeProblems(text: string): readonly string[] {
  validateCompose(parse(text, { version: '1.1' }));
  return (validateCompose.errors ?? []).map(
    ({ instancePath, message, params }) => `${instancePath} ${message} ${JSON.stringify(params)}`,
  );
}

/** The validators of kubernetes-models are lenient, but read every key that they know: what nobody read is unknown. */
function readingOf(root: object): { readonly watched: object; unread(): readonly string[] } {
  const read = new Map<object, Set<string | symbol>>();
  const proxies = new Map<object, object>();
  const watch = (target: object): object => {
    const known = proxies.get(target);
    if (known !== undefined) return known;
    const keys = new Set<string | symbol>();
    read.set(target, keys);
    const proxy = new Proxy(target, {
      get(of, key) {
        keys.add(key);
        const value: unknown = Reflect.get(of, key);
        return typeof value === 'object' && value !== null ? watch(value) : value;
      },
    });
    proxies.set(target, proxy);
    return proxy;
  };
  const unreadOf = (value: unknown, path: string): string[] => {
    if (typeof value !== 'object' || value === null) return [];
    return Object.entries(value).flatMap(([key, one]) => {
      const here = `${path}.${key}`;
      return read.get(value)?.has(key) ? unreadOf(one, here) : [here];
    });
  };
  return { watched: watch(root), unread: () => unreadOf(root, '') };
}
